"""What a rule may ask, and how each question is answered: yes, no, or None where it cannot be determined."""

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.matching import matcher
from bailiwick.authority.risk import risk_band

Predicate = Callable[[Circumstances], bool | None]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge, "at_most": operator.le, "above": operator.gt, "below": operator.lt, "is": operator.eq,
}  # fmt: skip

_NO = object()


def predicate_of(name: str, ask: Any) -> Predicate:
    """Return what answers a condition of that name; ``ask`` as ``reading`` made it."""
    return _MAKERS[name](ask)


def _named(attribute: str) -> Callable[[Any], Predicate]:
    def make(patterns: tuple[str, ...]) -> Predicate:
        fits = matcher(patterns)

        def holds(around: Circumstances) -> bool | None:
            value = getattr(around.proposal, attribute)
            return None if value is None else fits(value)

        return holds

    return make


def _organization(patterns: tuple[str, ...]) -> Predicate:
    fits = matcher(patterns)
    return lambda around: any(fits(name) for name in around.organization)


def _compared(read: Callable[[Circumstances], Any]) -> Callable[[Any], Predicate]:
    def make(bounds: tuple[tuple[str, Any], ...]) -> Predicate:
        checks = tuple((COMPARISONS[name], bound) for name, bound in bounds)

        def holds(around: Circumstances) -> bool | None:
            value = read(around)
            if value is None or not math.isfinite(value):
                return None
            return all(check(value, bound) for check, bound in checks)

        return holds

    return make


def _risk(ask: Any) -> Predicate:
    if not isinstance(ask, frozenset):
        return _compared(lambda around: around.risk)(ask)

    def holds(around: Circumstances) -> bool | None:
        risk = around.risk
        return None if risk is None else risk_band(risk) in ask

    return holds


def _confidence(around: Circumstances) -> float | None:
    value = around.proposal.confidence
    return value if value is not None and 0 <= value <= 1 else None


def _price(around: Circumstances) -> Decimal:
    return around.proposal.price


def _labels(ask: tuple[tuple[str, ...], tuple[str, ...]]) -> Predicate:
    present, absent = (matcher(patterns) for patterns in ask)
    wants_one = bool(ask[0])

    def holds(around: Circumstances) -> bool:
        labels = around.proposal.labels
        return (not wants_one or any(present(label) for label in labels)) and not any(absent(label) for label in labels)

    return holds


def _consent(ask: tuple[str, frozenset[str]]) -> Predicate:
    state, purposes = ask

    def holds(around: Circumstances) -> bool | None:
        proposal = around.proposal
        if proposal.subject is None:
            return False
        if purposes and proposal.purpose is not None and proposal.purpose not in purposes:
            return False
        if proposal.purpose is None or around.consent is None:
            return None
        return around.consent is (state == "granted")

    return holds


def _time(ask: tuple[frozenset[int], tuple[int, int] | None, str]) -> Predicate:
    days, hours, zone_name = ask
    zone = ZoneInfo(zone_name)

    def holds(around: Circumstances) -> bool:
        moment = around.proposal.at.astimezone(zone)
        return (not days or moment.weekday() in days) and (hours is None or _is_within(moment, *hours))

    return holds


def _is_within(moment: datetime, begin: int, end: int) -> bool:
    """Tell whether a moment lies in a daily window of minutes; one that ends before it begins goes past midnight."""
    minute = moment.hour * 60 + moment.minute
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def _arguments(ask: tuple[tuple[tuple[str, ...], Any], ...]) -> Predicate:
    checks = tuple((path, _value_check(wanted)) for path, wanted in ask)

    def holds(around: Circumstances) -> bool | None:
        answers = [check(_argument(around.proposal.arguments, path)) for path, check in checks]
        if False in answers:
            return False
        return None if None in answers else True

    return holds


def _argument(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(arguments, Mapping) or name not in arguments:
            return _NO
        arguments = arguments[name]
    return arguments


def tagged(value: str | float) -> tuple[str, str | float]:
    """Return a value with its kind, for Python takes true for 1."""
    kind = "text" if isinstance(value, str) else "flag" if isinstance(value, bool) else "number"
    return kind, value


def _value_check(wanted: Any) -> Callable[[Any], bool | None]:
    if isinstance(wanted, frozenset):
        return lambda value: tagged(value) in wanted if isinstance(value, str | int | float) else None
    checks = tuple((COMPARISONS[name], bound) for name, bound in wanted)

    def holds(value: Any) -> bool | None:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value):
            return None
        return all(check(value, bound) for check, bound in checks)

    return holds


_MAKERS: Mapping[str, Callable[[Any], Predicate]] = {
    "organization": _organization,
    "tool": _named("tool"),
    "class": lambda classes: lambda around: around.proposal.effect_class in classes,
    "agent_id": _named("agent_id"),
    "agent_name": _named("agent_name"),
    "agent_kind": _named("agent_kind"),
    "target": _named("target"),
    "reversible": lambda wanted: lambda around: around.proposal.is_reversible is wanted,
    "price": _compared(_price),
    "risk": _risk,
    "score": _compared(lambda around: around.score),
    "confidence": _compared(_confidence),
    "level": _compared(lambda around: around.level),
    "time": _time,
    "labels": _labels,
    "consent": _consent,
    "arguments": _arguments,
}
