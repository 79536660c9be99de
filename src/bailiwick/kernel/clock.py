"""The clock, so that tests can move time instead of waiting for it; and which moments can be kept."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

from pydantic import AfterValidator, AwareDatetime

from bailiwick.kernel.errors import InvalidInputError

_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def check_moment(moment: datetime, what: str) -> None:
    """Refuse a moment that not everything here can hold: PostgreSQL keeps years that Python cannot read back.

    Raises:
        InvalidInputError: it has no time zone, or lies before the year 1900 or after 2199.
    """
    if moment.tzinfo is None:
        raise InvalidInputError(f"{what} has no time zone; give one, for example 2026-01-31T12:00:00Z")
    if not _EARLIEST <= moment <= _LATEST:
        raise InvalidInputError(f"{what} is not between the years 1900 and 2200")


def _keepable(moment: datetime) -> datetime:
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("a moment is between the years 1900 and 2200")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_keepable)]
"""A field that holds a moment which can be kept."""


class Clock(Protocol):
    """Tells the time; every decision that depends on time asks one of these."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the moment the clock was set to."""
        return self._now

    def advance(self, *, seconds: float) -> None:
        """Move forward by ``seconds``; negative values are refused."""
        if seconds < 0:
            raise ValueError("a clock only moves forward")
        self._now += timedelta(seconds=seconds)
