"""How fast an organization delivers: its weekly closings and arrivals, and what they let us expect."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy import stats

from bailiwick.packs.operations.departments.desk import IssueRow

WEEKS = 12
MIN_WEEKS = 4


@dataclass(frozen=True, slots=True)
class WeeklyCounts:
    """Issues closed and opened per whole week, oldest first."""

    closed: tuple[int, ...]
    opened: tuple[int, ...]

    @property
    def weeks(self) -> int:
        """How many whole weeks are on record, at most ``WEEKS``."""
        return len(self.closed)


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected count with its 80% prediction interval."""

    mean: float
    low: float
    high: float


def count_weeks(rows: Sequence[IssueRow], now: datetime, weeks: int = WEEKS) -> WeeklyCounts:
    """Count closings and arrivals of the whole weeks that end now; weeks before the first issue do not count."""
    if not rows:
        return WeeklyCounts((), ())
    known = min(weeks, (now - min(row.created_at for row in rows)).days // 7)
    closed, opened = [0] * known, [0] * known
    for row in rows:
        for moment, counts in ((row.closed_at, closed), (row.created_at, opened)):
            if moment is None or moment >= now:
                continue
            back = (now - moment) // timedelta(weeks=1)
            if back < known:
                counts[known - 1 - back] += 1
    return WeeklyCounts(tuple(closed), tuple(opened))


def expect(counts: Sequence[int], weeks_ahead: float) -> Expected | None:
    """Predict a sum over coming weeks from weekly counts, or None for fewer than 4 weeks.

    Student's t prediction interval for the sum of independent weeks: the spread of the weeks themselves plus
    that of the estimated mean. The variance is at least the mean's, as for counts.
    """
    if len(counts) < MIN_WEEKS:
        return None
    values = np.asarray(counts, dtype=np.float64)
    mean = float(values.mean())
    variance = max(float(values.var(ddof=1)), mean)
    spread = math.sqrt(variance * weeks_ahead + variance * weeks_ahead**2 / len(values))
    t = float(stats.t.ppf(0.9, len(values) - 1))
    centre = mean * weeks_ahead
    return Expected(centre, max(0.0, centre - t * spread), centre + t * spread)
