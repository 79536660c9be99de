"""What budgets are made of: amounts, periods, ladders, and what a reservation is answered."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal, get_args
from zoneinfo import available_timezones

from bailiwick.authority.model import Budget as Answer
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import parse_id

Scope = Literal["organization", "agent", "run"]
Unit = Literal["money", "tokens"]
Period = Literal["day", "month", "life"]
Deed = Literal["tell", "ask", "stop"]
State = Literal["ok", "ask", "deny"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
UNITS: tuple[Unit, ...] = get_args(Unit)
PERIODS: tuple[Period, ...] = get_args(Period)
DEEDS: tuple[Deed, ...] = get_args(Deed)

# What numeric(20, 6) holds, with room for rungs above the amount.
MAX_AMOUNT = Decimal(10) ** 12
MAX_AT = Decimal(100)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MAX_RUNGS = 10


@dataclass(frozen=True, slots=True)
class Rung:
    """What happens from a share of the amount on.

    Reaching it is told, whatever it does; going beyond one that asks takes a
    person's yes, and nothing is reserved beyond one that stops.
    """

    at: Decimal
    do: Deed


DEFAULT_LADDER: tuple[Rung, ...] = (
    Rung(Decimal("0.8"), "tell"),
    Rung(Decimal(1), "ask"),
    Rung(Decimal("1.2"), "stop"),
)


@dataclass(frozen=True, slots=True)
class NewBudget:
    """A budget as somebody sets it.

    ``subject`` is the id of the one agent or run that it bounds; None: each has
    as much, on its own. Days and months begin in ``zone``; a run has its whole life.
    """

    name: str
    scope: Scope
    unit: Unit
    amount: Decimal
    period: Period
    subject: str | None = None
    zone: str = "UTC"
    ladder: Sequence[Rung] = DEFAULT_LADDER


@dataclass(frozen=True, slots=True)
class Budget(NewBudget):
    """A budget that is in force."""

    id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """What one holder (the organization, an agent or a run) reserved and spent in one period.

    ``began_at`` and ``ends_at`` bound the period; None for the whole life of a run.
    """

    budget: str
    holder: str
    began_at: datetime | None
    ends_at: datetime | None
    reserved: Decimal
    settled: Decimal
    amount: Decimal
    unit: Unit

    @property
    def used(self) -> Decimal:
        """What is reserved or spent."""
        return self.reserved + self.settled


@dataclass(frozen=True, slots=True)
class Reservation:
    """What budgets say to a spending: ``ok`` and it is reserved; ``ask`` a person or ``deny``, and nothing is.

    ``budget`` and ``rung`` name what stands in the way; a budget of None with a
    rung is the organization's quota of money.
    """

    key: str
    state: State
    unit: Unit
    amount: Decimal
    budget: str | None = None
    rung: Rung | None = None
    limit: Decimal | None = None
    used: Decimal | None = None

    @property
    def answer(self) -> Answer:
        """What a decision is told: ``rung`` names the budget and what it does, for example ``daily:ask``."""
        if self.rung is None:
            return Answer(self.state)
        return Answer(self.state, f"{self.budget or 'quota-of-model-spend'}:{self.rung.do}", self.reason)

    @property
    def reason(self) -> str:
        """What stands in the way, in a sentence; empty where nothing does."""
        if self.rung is None or self.limit is None or self.used is None:
            return ""
        what = f"the budget {self.budget!r}" if self.budget else "the organization's quota of model_spend"
        then = "a person decides" if self.rung.do == "ask" else "nothing more is spent"
        return (
            f"{plain(self.amount)} {self.unit} more would pass {plain(self.rung.at * 100)} % of {what} "
            f"({plain(self.used)} of {plain(self.limit)} used or reserved); from there on {then}"
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What is reserved and neither settled nor released: a call under way, or one of which nobody knows."""

    key: str
    agent_id: str | None
    task_id: str | None
    unit: Unit
    amount: Decimal
    reserved_at: datetime


def checked_budget(wanted: NewBudget) -> None:
    """Refuse a budget that cannot hold.

    Raises:
        InvalidInputError: says what is wrong with it.
    """
    if _NAME.fullmatch(wanted.name) is None:
        raise InvalidInputError("a budget's name is small letters, digits and hyphens, at most 63: daily-agents")
    for name, value, known in (
        ("scope", wanted.scope, SCOPES), ("unit", wanted.unit, UNITS), ("period", wanted.period, PERIODS),
    ):  # fmt: skip
        if value not in known:
            raise InvalidInputError(f"there is no {name} {value!r}; there are: {', '.join(known)}")
    if (wanted.scope == "run") != (wanted.period == "life"):
        raise InvalidInputError("a run's budget is for its life; an organization's or agent's for a day or a month")
    if wanted.scope == "organization" and wanted.subject is not None:
        raise InvalidInputError("a budget of the organization names no agent or run")
    if wanted.subject is not None and parse_id(wanted.subject) is None:
        raise InvalidInputError("a budget names its one agent or run by its id")
    if not (wanted.amount.is_finite() and 0 <= wanted.amount < MAX_AMOUNT):
        raise InvalidInputError(f"the amount of a budget is a number from 0 to below {MAX_AMOUNT:,}")
    if wanted.zone != "UTC" and wanted.zone not in available_timezones():
        raise InvalidInputError(f"{wanted.zone!r} is no time zone; write it like Europe/Vienna")
    checked_ladder(wanted.ladder)


def checked_ladder(ladder: Sequence[Rung]) -> None:
    """Refuse a ladder that does not rise, or that ends without a stop or a question.

    Raises:
        InvalidInputError: says what is wrong with it.
    """
    if not 1 <= len(ladder) <= _MAX_RUNGS:
        raise InvalidInputError(f"a ladder has 1 to {_MAX_RUNGS} rungs, for example 0.8:tell 1.0:ask 1.2:stop")
    for rung in ladder:
        if rung.do not in DEEDS:
            raise InvalidInputError(f"a rung cannot {rung.do!r}; it can: {', '.join(DEEDS)}")
        if not (rung.at.is_finite() and 0 < rung.at <= MAX_AT and rung.at == round(rung.at, 6)):
            raise InvalidInputError(f"a rung stands at a share above 0 and up to {MAX_AT}, with at most 6 decimals")
    if any(upper.at <= lower.at for lower, upper in pairwise(ladder)):
        raise InvalidInputError("the rungs of a ladder rise: each stands at a higher share than the one before")
    if any(rung.do == "stop" for rung in ladder[:-1]):
        raise InvalidInputError("nothing comes after a stop; it is the last rung")
    if ladder[-1].do == "tell":
        raise InvalidInputError("the last rung stops or asks; one that only tells would let spending go on for ever")


def parsed_rung(text: str) -> Rung:
    """Return a rung written ``0.8:tell``, or raise InvalidInputError."""
    at, colon, do = text.partition(":")
    try:
        share = Decimal(at)
    except ArithmeticError as error:
        raise InvalidInputError(f"{text!r} is no rung; write it like 0.8:tell, 1.0:ask or 1.2:stop") from error
    if not colon or do not in DEEDS:
        raise InvalidInputError(f"{text!r} is no rung; write it like 0.8:tell, 1.0:ask or 1.2:stop")
    return Rung(share, do)


def plain(amount: Decimal) -> str:
    """Return an amount without zeros that say nothing."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ladder_document(ladder: Sequence[Rung]) -> list[dict[str, Any]]:
    """Return a ladder as the database and the audit log keep it; shares as text, so that no digit is lost."""
    return [{"at": plain(rung.at), "do": rung.do} for rung in ladder]
