"""Which backups stay: the newest of each of the latest days, weeks and months."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class KeepRule:
    """How many days, ISO weeks and months keep a backup; those without one do not count. All in UTC."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 6


def kept(moments: Iterable[datetime], rule: KeepRule) -> set[datetime]:
    """Return which of the backups made at these moments stay; the newest one always does.

    Pruning again changes nothing, and the passing of time alone removes nothing.
    """
    newest_first = sorted(set(moments), reverse=True)
    periods: tuple[tuple[int, Callable[[datetime], tuple[int, ...]]], ...] = (
        (rule.daily, lambda at: (at.year, at.month, at.day)),
        (rule.weekly, lambda at: tuple(at.isocalendar()[:2])),
        (rule.monthly, lambda at: (at.year, at.month)),
    )
    stay = set(newest_first[:1])
    for count, period in periods:
        newest_of: dict[tuple[int, ...], datetime] = {}
        for moment in newest_first:
            newest_of.setdefault(period(moment.astimezone(UTC)), moment)
        stay.update(list(newest_of.values())[:count])
    return stay
