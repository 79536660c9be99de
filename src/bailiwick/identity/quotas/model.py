"""What plans, quotas and usage are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, cast, get_args

from bailiwick.kernel.errors import InvalidInputError

Resource = Literal["api_calls", "tasks", "agents", "storage_bytes", "model_spend"]
Scope = Literal["key", "user", "organization"]

RESOURCES: tuple[Resource, ...] = get_args(Resource)
SCOPES: tuple[Scope, ...] = get_args(Scope)
# Counted by UTC month; the others are what there is at a moment.
MONTHLY: frozenset[Resource] = frozenset({"api_calls", "tasks", "model_spend"})

MAX_PER_MINUTE = 1_000_000
# What numeric(20, 6) holds.
MAX_AMOUNT = Decimal(10) ** 13


@dataclass(frozen=True, slots=True)
class Bound:
    """How much of a resource: reaching ``soft`` is told, beyond ``hard`` is refused; None: no such limit.

    Calls, tasks and agents in pieces, storage in bytes, model spend in the
    money that runs are charged in.
    """

    soft: Decimal | None = None
    hard: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast: ``per_minute`` requests lastingly, and up to ``burst`` at once after a quiet time."""

    per_minute: int
    burst: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What an organization may have. A resource without a bound is not bounded; a rate of None is no limit."""

    name: str
    description: str
    quotas: Mapping[Resource, Bound]
    rates: Mapping[Scope, Rate | None]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Quota:
    """A resource of an organization: its bounds, where they come from, and what is used of it now."""

    resource: Resource
    soft: Decimal | None
    hard: Decimal | None
    origin: Literal["plan", "organization", "none"]
    used: Decimal
    # The first day of the month that `used` counts; None for what is there at a moment.
    month: date | None
    state: Literal["below", "soft", "hard"]


@dataclass(frozen=True, slots=True)
class QuotaView:
    """Everything that bounds an organization."""

    organization_id: str
    plan: str
    quotas: list[Quota]
    rates: dict[Scope, Rate | None]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an organization used of a resource on a UTC day.

    For what is counted (calls, tasks, spend) the day's sum; for what is measured
    (agents, storage) the most of the day.
    """

    organization_id: str
    resource: Resource
    day: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Crossing:
    """A limit that an organization reached for the first time in a month."""

    organization_id: str
    resource: Resource
    level: Literal["soft", "hard"]
    month: date
    bound: Decimal
    used: Decimal
    reached_at: datetime


def month_of(text: str | None = None, *, now: datetime | None = None) -> date:
    """Return the first day of a month written ``2026-11``, or of the present UTC month.

    Raises:
        InvalidInputError: it is no month.
    """
    if text is None:
        return (now or datetime.now(UTC)).astimezone(UTC).date().replace(day=1)
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is no month; write it like 2026-11") from error


def following_month(month: date) -> date:
    """Return the first day of the month after one."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def checked_resource(name: str) -> Resource:
    """Return a resource by its name, or raise InvalidInputError naming those there are."""
    if name not in RESOURCES:
        raise InvalidInputError(f"there is no resource {name!r}; there are: {', '.join(RESOURCES)}")
    return name


def checked_bound(resource: Resource, bound: Bound) -> Bound:
    """Return a bound that can hold, or raise InvalidInputError."""
    for level, amount in (("soft", bound.soft), ("hard", bound.hard)):
        if amount is not None and not (amount.is_finite() and 0 <= amount < MAX_AMOUNT):
            raise InvalidInputError(f"the {level} limit of {resource} is a number from 0 to below {MAX_AMOUNT:,}")
        if amount is not None and resource != "model_spend" and amount != amount.to_integral_value():
            raise InvalidInputError(f"the {level} limit of {resource} is a whole number")
    if bound.soft is not None and bound.hard is not None and bound.soft > bound.hard:
        raise InvalidInputError(f"the soft limit of {resource} ({bound.soft}) lies above the hard one ({bound.hard})")
    return bound


def checked_rate(scope: str, rate: Rate | None) -> Rate | None:
    """Return a rate that can hold, or raise InvalidInputError."""
    if scope not in SCOPES:
        raise InvalidInputError(f"there is no rate of {scope!r}; there are: {', '.join(SCOPES)}")
    if rate is not None and not (1 <= rate.per_minute <= MAX_PER_MINUTE and 1 <= rate.burst <= MAX_PER_MINUTE):
        raise InvalidInputError(f"a rate is 1 to {MAX_PER_MINUTE:,} per minute with a burst of 1 to {MAX_PER_MINUTE:,}")
    return rate


def quotas_document(quotas: Mapping[Resource, Bound]) -> dict[str, Any]:
    """Return bounds as the database keeps them; amounts as text, so that no digit is lost."""
    return {
        name: {
            "soft": None if bound.soft is None else str(bound.soft),
            "hard": None if bound.hard is None else str(bound.hard),
        }
        for name, bound in quotas.items()
    }


def rates_document(rates: Mapping[Scope, Rate | None]) -> dict[str, Any]:
    """Return rates as the database keeps them."""
    return {
        scope: None if rate is None else {"per_minute": rate.per_minute, "burst": rate.burst}
        for scope, rate in rates.items()
    }


def read_quotas(document: Mapping[str, Any]) -> dict[Resource, Bound]:
    """Return bounds from what the database keeps."""
    return {cast("Resource", name): Bound(_amount(b["soft"]), _amount(b["hard"])) for name, b in document.items()}


def read_rates(document: Mapping[str, Any]) -> dict[Scope, Rate | None]:
    """Return rates from what the database keeps."""
    return {
        cast("Scope", scope): None if rate is None else Rate(rate["per_minute"], rate["burst"])
        for scope, rate in document.items()
    }


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
