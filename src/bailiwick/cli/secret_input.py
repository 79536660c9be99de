"""Secrets that a person gives a command: typed unseen or piped, never an argument."""

import sys
from collections.abc import Mapping

import typer

from bailiwick.kernel.errors import InvalidInputError

_MAX_CHARACTERS = 16 * 1024


def read_secrets(asked_for: Mapping[str, str | None]) -> dict[str, str]:
    """Return the secrets whose option is ``-``, under their names with underscores.

    On a terminal each is asked for without being shown. Else standard input
    has a line for each in this order; what follows belongs to the last.

    Raises:
        InvalidInputError: one stands on the command line, or there are not enough lines.
    """
    for name, given in asked_for.items():
        if given not in (None, "-"):
            raise InvalidInputError(
                f"a {name} on the command line can be read by everybody on this machine and stays in the shell's "
                f"history; replace it, then give the new one as - and pipe or type it"
            )
    wanted = [name for name, given in asked_for.items() if given == "-"]
    if not wanted:
        return {}
    if sys.stdin.isatty():
        return {_key(name): typer.prompt(name, hide_input=True, err=True).strip() for name in wanted}
    lines = sys.stdin.read(_MAX_CHARACTERS).strip().split("\n", len(wanted) - 1)
    if len(lines) < len(wanted) or not all(line.strip() for line in lines):
        raise InvalidInputError(f"standard input must hold a line for each of: {', '.join(wanted)}")
    return {_key(name): line.strip() for name, line in zip(wanted, lines, strict=True)}


def _key(name: str) -> str:
    return name.replace(" ", "_")
