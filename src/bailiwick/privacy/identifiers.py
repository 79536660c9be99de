"""By what a person is known, and how it is told apart from what only looks like it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import parse_id

IdentifierKind = Literal["email", "login", "user", "name"]
KINDS: tuple[IdentifierKind, ...] = get_args(IdentifierKind)

_MAX_LENGTH = 320
_SHORTEST_NAME = 3
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_LOGIN = re.compile(r"[\w][\w.-]{0,99}")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Identifier:
    """One thing a person is known by, in its normal form: emails and logins in small letters."""

    kind: IdentifierKind
    value: str

    @classmethod
    def of(cls, kind: str, value: str) -> "Identifier":
        """Return an identifier in its normal form.

        Raises:
            InvalidInputError: the kind is unknown or the value is none of its kind.
        """
        text = _SPACES.sub(" ", value).strip()
        if not text or len(text) > _MAX_LENGTH or not text.isprintable():
            raise InvalidInputError(f"an identifier has 1 to {_MAX_LENGTH} printable characters")
        if kind == "email" and _EMAIL.fullmatch(text):
            return cls("email", text.lower())
        if kind == "login" and _LOGIN.fullmatch(login := text.removeprefix("@")):
            return cls("login", login.lower())
        if kind == "user" and (user_id := parse_id(text)) is not None:
            return cls("user", user_id)
        if kind == "name" and len(text) >= _SHORTEST_NAME:
            return cls("name", text)
        raise InvalidInputError(_FAULTS.get(kind, f"no kind of identifier {kind[:50]!r}; use {', '.join(KINDS)}"))

    @classmethod
    def parse(cls, reference: str) -> "Identifier":
        """Read ``kind:value``; a bare email address needs no kind.

        Raises:
            InvalidInputError: it is neither.
        """
        kind, colon, value = reference.partition(":")
        if not colon and "@" in reference[1:]:
            return cls.of("email", reference)
        if not colon:
            raise InvalidInputError("name a person by id, or as email:ADDRESS, login:NAME, user:ID or name:NAME")
        return cls.of(kind, value)

    @property
    def lookup_text(self) -> str:
        """What is hashed to find it: names are found whatever their case."""
        return f"{self.kind}:{self.value.casefold()}"


_FAULTS: Mapping[str, str] = {
    "email": "an email address is written as name@host",
    "login": "a login is made of letters, digits, dots, hyphens and underscores, at most 100",
    "user": "a user is named by its id",
    "name": f"a name that is searched for in texts has at least {_SHORTEST_NAME} characters",
}
