"""Whom a task or event concerns, and for what: what must be asked of a person before it goes on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bailiwick.kernel.errors import ForbiddenError


@dataclass(frozen=True, slots=True)
class Concern:
    """Declares that work processes a person's data for a purpose that needs consent.

    ``subject`` takes the checked payload and returns the person: the id of a
    data subject, or ``email:...``, ``login:...``, ``user:...``; None where this
    payload concerns nobody.
    """

    purpose: str
    subject: Callable[[Any], str | None]


# Given an organization, a person as `Concern.subject` returns one, and a purpose: returns
# if there is consent at this moment, raises a ForbiddenError if there is none.
Guard = Callable[[str, str, str], Awaitable[None]]


async def unguarded(_organization_id: str, _subject: str, purpose: str) -> None:
    """Refuse everything: who declares a concern is not let through for want of somebody to ask.

    Raises:
        ForbiddenError: always.
    """
    raise ForbiddenError(
        f"nobody here can tell whether there is consent for {purpose!r}; set the guard of this queue, log or worker"
    )
