"""Reads which period a text asks about: "last 14 days", "2026-11-01 to 2026-11-15", "October 2026"."""

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bailiwick.packs.operations.departments.body import Line

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0, "quarter": 91.0, "year": 365.0}
_WORDS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "six": 6, "twelve": 12}
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MAX_DAYS = 3_660

_LAST = re.compile(
    r"\b(?:last|past|previous)\s{1,4}(?:(\d{1,4}|a|one|two|three|four|six|twelve)\s{1,4})?"
    r"(hour|day|week|month|quarter|year)s?\b",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"\b(\d{4}-\d{2}-\d{2})\s{0,4}(?:to|until|till|through|-|–|\.\.)\s{0,4}(\d{4}-\d{2}-\d{2})\b", re.IGNORECASE
)
_SINCE = re.compile(r"\bsince\s{1,4}(\d{4}-\d{2}-\d{2})\b", re.IGNORECASE)
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})\s{{1,4}}(\d{{4}})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Period:
    """The half-open interval ``[since, until)`` and where it was read."""

    since: datetime
    until: datetime
    source: str

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since

    def before(self) -> "Period":
        """Return the period of equal length that ends where this one begins."""
        return Period(self.since - self.length, self.since, f"the {self.days:g} days before")

    @property
    def days(self) -> float:
        """Its length in days."""
        return round(self.length.total_seconds() / 86_400, 3)


def read_period(lines: Iterable[Line], now: datetime, *, default_days: int) -> Period:
    """Return the first period that a line names, else the last ``default_days`` days; dates are UTC, ends included."""
    for line in lines:
        found = _in_line(line, now)
        if found is not None and found.since < found.until and found.length <= timedelta(days=_MAX_DAYS):
            return found
    return Period(now - timedelta(days=default_days), now, f"no period named: the last {default_days} days")


def _in_line(line: Line, now: datetime) -> Period | None:
    bounds = _RANGE.search(line.text)
    if bounds is not None:
        since, last = _day(bounds.group(1)), _day(bounds.group(2))
        return Period(since, last + timedelta(days=1), line.source) if since and last else None
    since_match = _SINCE.search(line.text)
    if since_match is not None:
        since = _day(since_match.group(1))
        return Period(since, now, line.source) if since else None
    recent = _LAST.search(line.text)
    if recent is not None:
        amount = (recent.group(1) or "1").lower()
        count = _WORDS.get(amount) or int(amount)
        days = min(count * _DAYS[recent.group(2).lower()], _MAX_DAYS)
        return Period(now - timedelta(days=days), now, line.source)
    month = _MONTH.search(line.text)
    if month is not None and 1970 <= int(month.group(2)) <= 9000:
        year, number = int(month.group(2)), _MONTHS[month.group(1).lower()]
        since = datetime(year, number, 1, tzinfo=UTC)
        return Period(since, since + timedelta(days=calendar.monthrange(year, number)[1]), line.source)
    return None


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
