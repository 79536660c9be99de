"""Service levels: the deadline of an issue, where it stands, and what follows a breach. Pure functions of time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.calendar import BusinessCalendar
from bailiwick.packs.operations.priority import Priority

SLA_SECONDS: Mapping[Priority, int] = MappingProxyType(
    {Priority.P0: 3_600, Priority.P1: 4 * 3_600, Priority.P2: 24 * 3_600, Priority.P3: 72 * 3_600}
)
"""Time to done: 1 h, 4 h, 24 h, 72 h. The source also states 24 h, one week and one month
on its labels; the shorter set is the one its coordinator enforces, so it is the promise."""

AT_RISK_FRACTION = 0.25
"""An issue is at risk when less than this share of its time is left."""

ESCALATES_TO: Mapping[Priority, Priority] = MappingProxyType({Priority.P2: Priority.P1, Priority.P1: Priority.P0})
"""The ladder, one step per breach. P3 is not on it: forgotten trifles would otherwise
climb to P0 in four days and drown real emergencies. A late P3 is reported, not raised.
P0 has nowhere to go: its breach is an emergency."""

SlaState = Literal["on_track", "at_risk", "breached", "met"]


@dataclass(frozen=True)
class SlaPolicy:
    """An organization's service levels.

    ``calendar`` None means around the clock. Priorities in ``around_the_clock``
    ignore the calendar: an emergency does not wait for Monday.
    """

    seconds: Mapping[Priority, int] = field(default_factory=lambda: SLA_SECONDS)
    calendar: BusinessCalendar | None = None
    around_the_clock: frozenset[Priority] = frozenset({Priority.P0})
    at_risk_fraction: float = AT_RISK_FRACTION

    def __post_init__(self) -> None:
        if set(self.seconds) != set(Priority) or any(seconds <= 0 for seconds in self.seconds.values()):
            raise InvalidInputError("an SLA policy needs a positive number of seconds for each of P0 to P3")
        if not 0.0 <= self.at_risk_fraction < 1.0:
            raise InvalidInputError("at_risk_fraction lies from 0 up to, but not including, 1")

    def calendar_for(self, priority: Priority) -> BusinessCalendar | None:
        """Return the calendar that a priority's clock follows, None for around the clock."""
        return None if priority in self.around_the_clock else self.calendar


DEFAULT_POLICY = SlaPolicy()


@dataclass(frozen=True)
class SlaStatus:
    """Where an issue stands. ``remaining_seconds`` is working time, 0 after the deadline."""

    state: SlaState
    deadline_at: datetime
    remaining_seconds: float
    fraction_left: float


@dataclass(frozen=True)
class Escalation:
    """What follows a breach. ``raised`` is False when the priority stays; ``deadline_at`` is then None."""

    before: Priority
    after: Priority
    emergency: bool
    deadline_at: datetime | None
    reason: str

    @property
    def raised(self) -> bool:
        """Whether the priority changes."""
        return self.after != self.before


def deadline(opened_at: datetime, priority: Priority, policy: SlaPolicy = DEFAULT_POLICY) -> datetime:
    """Return the moment an issue must be done, in UTC; never before ``opened_at``.

    Raises:
        InvalidInputError: ``opened_at`` has no time zone, or the deadline lies beyond the year 9999.
    """
    opened = _aware(opened_at)
    seconds = policy.seconds[priority]
    calendar = policy.calendar_for(priority)
    if calendar is not None:
        return calendar.add_open_seconds(opened, seconds)
    try:
        return opened + timedelta(seconds=seconds)
    except OverflowError as error:
        raise InvalidInputError("the deadline lies beyond the year 9999") from error


def sla_status(
    opened_at: datetime,
    priority: Priority,
    now: datetime,
    policy: SlaPolicy = DEFAULT_POLICY,
    *,
    done_at: datetime | None = None,
) -> SlaStatus:
    """Say where an issue stands; ``done_at`` decides between met and breached once it is done.

    An issue is breached after its deadline, not at it.
    """
    deadline_at = deadline(opened_at, priority, policy)
    moment = _aware(now if done_at is None else done_at)
    calendar = policy.calendar_for(priority)
    if moment > deadline_at:
        return SlaStatus("breached", deadline_at, 0.0, 0.0)
    since = max(moment, _aware(opened_at))
    remaining = (
        (deadline_at - since).total_seconds() if calendar is None else calendar.open_seconds_between(since, deadline_at)
    )
    fraction = min(1.0, remaining / policy.seconds[priority])
    state: SlaState = "on_track" if fraction >= policy.at_risk_fraction else "at_risk"
    return SlaStatus("met" if done_at is not None else state, deadline_at, remaining, fraction)


def escalate(priority: Priority, breached_at: datetime, policy: SlaPolicy = DEFAULT_POLICY) -> Escalation:
    """Say what follows a breach: one step up P2 -> P1 -> P0 with a fresh deadline from ``breached_at``.

    The clock starts anew because a deadline counted from the opening would
    already be past, and one sweep would carry a P2 to an emergency. A P0 breach
    is an emergency; a P3 stays where it is.
    """
    hours = policy.seconds[priority] / 3_600
    reason = f"{priority.name} was not done within {hours:g} h"
    after = ESCALATES_TO.get(priority)
    if after is not None:
        fresh = deadline(breached_at, after, policy)
        return Escalation(
            priority, after, emergency=False, deadline_at=fresh, reason=f"{reason}; raised to {after.name}"
        )
    if priority is Priority.P0:
        return Escalation(priority, priority, emergency=True, deadline_at=None, reason=f"{reason}; emergency response")
    return Escalation(priority, priority, emergency=False, deadline_at=None, reason=f"{reason}; reported, not raised")


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidInputError("a moment without time zone cannot be compared; give UTC")
    return moment.astimezone(UTC)
