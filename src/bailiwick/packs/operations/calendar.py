"""Business calendars: when an organization works, and the arithmetic of working time.

Opening hours are wall-clock times in the organization's time zone; durations
are real elapsed seconds. On a day when clocks change, an opening from 00:00 to
24:00 therefore lasts 23 or 25 hours.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bailiwick.kernel.errors import InvalidInputError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_PER_DAY = 24 * 60
MAX_HOLIDAYS = 1_000
_TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")


@dataclass(frozen=True, order=True)
class OpeningHours:
    """One opening of a day, in minutes after local midnight; ``closes`` may be 1440 (24:00)."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= MINUTES_PER_DAY:
            raise InvalidInputError(f"opening hours {_clock(self.opens)}-{_clock(self.closes)} do not lie in one day")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``09:00-17:30``.

        Raises:
            InvalidInputError: it is not such a range.
        """
        start, separator, end = text.partition("-")
        if not separator:
            raise InvalidInputError(f"opening hours {text!r} are not of the form 09:00-17:30")
        return cls(_minutes(start), _minutes(end))

    def __str__(self) -> str:
        """Return ``09:00-17:30``."""
        return f"{_clock(self.opens)}-{_clock(self.closes)}"


@dataclass(frozen=True)
class BusinessCalendar:
    """Weekly opening hours in a time zone, without the holidays.

    ``weekly`` has seven entries, Monday first. Openings of a day are sorted and do
    not overlap; at least one day has one.
    """

    timezone: str
    weekly: tuple[tuple[OpeningHours, ...], ...]
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInputError(f"unknown time zone {self.timezone!r}") from error
        if len(self.weekly) != len(WEEKDAYS) or not any(self.weekly):
            raise InvalidInputError("a business calendar needs seven days and at least one opening")
        if len(self.holidays) > MAX_HOLIDAYS:
            raise InvalidInputError(f"a business calendar holds at most {MAX_HOLIDAYS} holidays")
        for name, hours in zip(WEEKDAYS, self.weekly, strict=True):
            if any(later.opens < earlier.closes for earlier, later in pairwise(hours)):
                raise InvalidInputError(f"opening hours of {name} overlap or are out of order")

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Self:
        """Read ``{"timezone": "Europe/Berlin", "weekly": {"mon": ["09:00-17:00"]}, "holidays": ["2026-12-25"]}``.

        Raises:
            InvalidInputError: something in it is missing or wrong, with its name.
        """
        zone, weekly, holidays = document.get("timezone"), document.get("weekly"), document.get("holidays", [])
        if not isinstance(zone, str) or not isinstance(weekly, Mapping) or not isinstance(holidays, Sequence):
            raise InvalidInputError("a business calendar needs timezone, weekly and, if any, a list of holidays")
        unknown = sorted(str(day) for day in weekly if day not in WEEKDAYS)
        if unknown:
            raise InvalidInputError(f"unknown weekday {unknown[0]!r}, use {', '.join(WEEKDAYS)}")
        days = tuple(_day_hours(day, weekly.get(day, [])) for day in WEEKDAYS)
        return cls(zone, days, frozenset(_holiday(item) for item in holidays))

    def to_document(self) -> dict[str, object]:
        """Return the form that ``from_document`` reads."""
        weekly = {day: [str(hours) for hours in own] for day, own in zip(WEEKDAYS, self.weekly, strict=True) if own}
        return {
            "timezone": self.timezone,
            "weekly": weekly,
            "holidays": [day.isoformat() for day in sorted(self.holidays)],
        }

    def is_open(self, at: datetime) -> bool:
        """Say whether the organization works at this moment; an opening includes its first moment, not its last."""
        moment = at.astimezone(UTC)
        opens, _ = next(self._openings(moment))
        return opens <= moment

    def add_open_seconds(self, start: datetime, seconds: float) -> datetime:
        """Return the moment at which ``seconds`` of open time after ``start`` have passed, in UTC.

        Zero seconds give ``start`` itself, open or not.

        Raises:
            InvalidInputError: ``seconds`` is negative, or the result lies beyond the year 9999.
        """
        if seconds < 0:
            raise InvalidInputError("working time is counted forward; seconds must not be negative")
        moment = start.astimezone(UTC)
        if seconds == 0:
            return moment
        left = timedelta(seconds=seconds)
        for opens, closes in self._openings(moment):
            begin = max(opens, moment)
            if begin + left <= closes:
                return begin + left
            left -= closes - begin
        raise InvalidInputError("the working time ends beyond the calendar")

    def open_seconds_between(self, start: datetime, end: datetime) -> float:
        """Return the open seconds from ``start`` to ``end``; 0 when ``end`` is not later."""
        first, last = start.astimezone(UTC), end.astimezone(UTC)
        total = timedelta()
        for opens, closes in self._openings(first):
            if opens >= last:
                break
            total += max(timedelta(), min(closes, last) - max(opens, first))
        return total.total_seconds()

    def _openings(self, after: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield openings that end after a moment, in order and without overlap, in UTC."""
        zone = ZoneInfo(self.timezone)
        try:
            # A day earlier: an opening that ends at 24:00 may reach past a change of clocks.
            day = after.astimezone(zone).date() - timedelta(days=1)
            previous_end = datetime.min.replace(tzinfo=UTC)
            while True:
                for hours in () if day in self.holidays else self.weekly[day.weekday()]:
                    opens = max(_moment(day, hours.opens, zone, fold=0), previous_end)
                    closes = _moment(day, hours.closes, zone, fold=1)
                    # An opening that falls into the hour the clocks skip is empty.
                    if opens < closes and closes > after:
                        yield opens, closes
                    previous_end = max(previous_end, closes)
                day += timedelta(days=1)
        except OverflowError as error:
            raise InvalidInputError("the working time ends beyond the year 9999") from error


def _moment(day: date, minutes: int, zone: ZoneInfo, *, fold: int) -> datetime:
    # fold: where a wall-clock time comes twice, an opening begins at the first and ends at the second.
    days, rest = divmod(minutes, MINUTES_PER_DAY)
    wall = datetime.combine(day + timedelta(days=days), time(rest // 60, rest % 60), tzinfo=zone)
    if days:
        fold = 0
    return wall.replace(fold=fold).astimezone(UTC)


def _minutes(text: str) -> int:
    found = _TIME_OF_DAY.fullmatch(text.strip())
    if found is None:
        raise InvalidInputError(f"{text.strip()!r} is not a time of the form 09:30")
    return int(found.group(1)) * 60 + int(found.group(2))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _day_hours(day: str, value: object) -> tuple[OpeningHours, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInputError(f"{day} needs a list of opening hours such as 09:00-17:30")
    return tuple(sorted(OpeningHours.parse(str(item)) for item in value))


def _holiday(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInputError(f"holiday {value!r} is not a date such as 2026-12-25") from error
