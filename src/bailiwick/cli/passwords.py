"""How commands take a password: asked for on a terminal, read from standard input otherwise, never an argument."""

import sys

import typer

from bailiwick.kernel.errors import InvalidInputError


def ask_password() -> str:
    """Return a new password.

    On a terminal it is asked for twice and not shown. Otherwise it is the first
    line of standard input.

    Raises:
        InvalidInputError: there is none.
    """
    if sys.stdin.isatty():
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise InvalidInputError("no password came; write it to standard input, one line, or run this on a terminal")
    return password
