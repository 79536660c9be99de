"""Cron expressions over wall time: what a clock that is put forward or back does to them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from bailiwick.kernel.errors import InvalidInputError

# No zone moves its clock by more than a day, and none twice within one.
_AROUND = timedelta(hours=26)
_FIELDS = 5
_ANY_WALL = datetime(2000, 1, 1)  # noqa: DTZ001 - a time on a wall has no zone


class Cron:
    """A cron expression of five fields in a time zone.

    Where the hour is fixed (``30 2 * * *``), a time that a clock put forward
    leaves out fires at the first moment after the gap, and one that a clock put
    back repeats fires once, the first time. Where the hour field starts with
    ``*`` elapsed time counts: nothing is made up for, and every quarter of a
    repeated hour fires.
    """

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Check the expression.

        Raises:
            InvalidInputError: it cannot be read, or never comes true.
        """
        self._expression = expression
        self._zone = zone
        try:
            fields = croniter.expand(expression)[0]
            croniter(expression, _ANY_WALL).get_next(datetime)
        except (CroniterBadCronError, CroniterBadDateError, ValueError, TypeError) as error:
            raise InvalidInputError(f"cron expression {expression!r}: {error}") from None
        written = expression.split()
        if len(fields) != _FIELDS or any(field[0] in "Rr" for field in written):
            raise InvalidInputError(
                f"cron expression {expression!r}: give five fields (minute hour day month weekday), none of them random"
            )
        self._is_hourly = fields[1] == ["*"] or (len(written) == _FIELDS and written[1].startswith("*"))

    def next_after(self, moment: datetime) -> datetime:
        """Return the first firing strictly after ``moment``, in UTC."""
        wall = _wall(moment, self._zone)
        shift = self._shift_around(moment)
        best: datetime | None = None
        for candidate in self._walls_after(wall - shift):
            later = [instant for instant in self._instants(candidate) if instant > moment]
            best = min(later if best is None else [*later, best], default=None)
            if best is not None and candidate >= wall + shift:
                return best
        raise AssertionError("a checked expression always comes true again")

    def earliest_of_last(self, count: int, moment: datetime) -> datetime:
        """Return a moment before the last ``count`` firings up to ``moment``, and hardly before."""
        walls = croniter(self._expression, _wall(moment, self._zone) + timedelta(seconds=1))
        earliest = _wall(moment, self._zone)
        for _ in range(count):
            earliest = walls.get_prev(datetime)
        return earliest.replace(tzinfo=self._zone).astimezone(UTC) - timedelta(seconds=1)

    def _walls_after(self, wall: datetime) -> Iterator[datetime]:
        walls = croniter(self._expression, wall)
        while True:
            yield walls.get_next(datetime)

    def _instants(self, wall: datetime) -> list[datetime]:
        """Return when the clock on the wall shows this time: once, twice, or never."""
        both = [wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        shown = sorted({instant for instant in both if _wall(instant, self._zone) == wall})
        if self._is_hourly:
            return shown
        return shown[:1] or [_end_of_gap(min(both), max(both), self._zone)]

    def _shift_around(self, moment: datetime) -> timedelta:
        offsets = [_offset(moment + around, self._zone) for around in (-_AROUND, timedelta(0), _AROUND)]
        return max(offsets) - min(offsets)


@lru_cache(maxsize=1024)
def parse_cron(expression: str, zone: ZoneInfo) -> Cron:
    """Return a checked expression; thousands of schedules share a few of them."""
    return Cron(expression, zone)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment between two at which the clock is put forward, to the second."""
    old = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _offset(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after
