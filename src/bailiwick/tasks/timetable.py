"""When a schedule fires: cron and interval arithmetic, without input or output."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.tasks.cron import Cron, parse_cron

# A schedule that was asleep for long does not flood the queue when it wakes.
MAX_CATCH_UP = 100


@dataclass(frozen=True, slots=True)
class Timetable:
    """Either a cron expression in a time zone, or an interval in seconds.

    Cron follows wall time, as `Cron` says. Intervals count elapsed time on a
    grid through ``anchor_at``, the first firing, so that jitter and late
    firings never add up. Each firing is delayed by a random part of
    ``jitter_seconds``; it must be shorter than the time between two firings, or
    some would be left out.
    """

    cron: str | None = None
    interval_seconds: float | None = None
    timezone: str = "UTC"
    anchor_at: datetime | None = None
    jitter_seconds: float = 0.0
    _cron: Cron | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what can never fire, with the reason."""
        if (self.cron is None) == (self.interval_seconds is None):
            raise InvalidInputError("a schedule needs either a cron expression or an interval, and not both")
        if self.interval_seconds is not None and not 0.001 <= self.interval_seconds < 1e9:
            raise InvalidInputError("interval_seconds must be 0.001 or more, and less than a billion")
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidInputError(f"unknown time zone {self.timezone!r}; use a name such as Europe/Berlin") from None
        if self.cron is not None:
            object.__setattr__(self, "_cron", parse_cron(self.cron, zone))

    def check_jitter(self, now: datetime) -> None:
        """Refuse a jitter under which firings would be left out.

        Raises:
            InvalidInputError: it is negative, or as long as the time between two firings.
        """
        following = self.next_after(now)
        period = (self.next_after(following) - following).total_seconds()
        if not 0 <= self.jitter_seconds < period:
            raise InvalidInputError(
                f"jitter_seconds is {self.jitter_seconds:g}; it must be 0 or more and less than the "
                f"{period:g} s between two firings"
            )

    def next_after(self, moment: datetime) -> datetime:
        """Return the first firing strictly after ``moment``, in UTC and without jitter."""
        if self._cron is not None:
            return self._cron.next_after(moment)
        step = timedelta(seconds=self.interval_seconds or 0.0)
        anchor = self.anchor_at or moment
        return anchor + step * ((moment - anchor) // step + 1)

    def due(self, first: datetime, now: datetime) -> tuple[list[datetime], datetime]:
        """Return the firings from ``first`` up to ``now``, and the next one after.

        ``first`` counts whether it is on the timetable or not: it may have its
        jitter, or have been asked for by a person. At most the latest
        ``MAX_CATCH_UP`` are returned, however long nobody looked.
        """
        moment = self.next_after(first)
        if moment > now:
            return [first], moment
        firings = [first]
        moment = max(first, self._start_of_the_latest(now))
        while (moment := self.next_after(moment)) <= now:
            firings.append(moment)
        return firings[-MAX_CATCH_UP:], moment

    def _start_of_the_latest(self, now: datetime) -> datetime:
        if self._cron is not None:
            return self._cron.earliest_of_last(MAX_CATCH_UP, now)
        return now - timedelta(seconds=(self.interval_seconds or 0.0) * MAX_CATCH_UP)
