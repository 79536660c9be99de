"""A policy's own tests: each case decided offline, compared with what it promises, and which rules none reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from bailiwick.authority.deciding import decide
from bailiwick.authority.model import Budget, Decision, EffectClass, Proposal, Remembered
from bailiwick.authority.policy.index import NO_POLICY, RuleIndex
from bailiwick.authority.policy.model import Case, Policy
from bailiwick.authority.voices import DEFAULT_LEVEL
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import INSTALLATION

# A Wednesday at noon, for cases that do not say when.
_MOMENT = datetime(2026, 1, 7, 12, tzinfo=UTC)
_AGENT = "0199b6ff-b66f-7000-8000-0000000000a9"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case: ``differences`` lists field, expected and actual; ``decision`` is None if it has a fault."""

    name: str
    line: int
    is_passed: bool
    differences: tuple[tuple[str, Any, Any], ...] = ()
    fault: str | None = None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class CaseReport:
    """What came of all cases, and the rules that no case reached."""

    results: tuple[CaseResult, ...]
    unreached: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        """Tell whether every case came out as it promised."""
        return all(result.is_passed for result in self.results)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """Return the cases that did not."""
        return tuple(result for result in self.results if not result.is_passed)


def run_cases(policy: Policy, cases: Sequence[Case] | None = None, *, is_ceiling: bool = False) -> CaseReport:
    """Decide every case by the policy alone and compare. Pure: no database, no clock.

    A ceiling's cases are decided as those of an organization without rules of its own.
    """
    index = RuleIndex(policy)
    own, ceiling = (NO_POLICY, index) if is_ceiling else (index, NO_POLICY)
    results: list[CaseResult] = []
    reached: set[str] = set()
    for case in policy.cases if cases is None else cases:
        result = _run(case, own, ceiling)
        results.append(result)
        if result.decision is not None:
            reached |= {opinion.rule.removeprefix("ceiling/") for opinion in result.decision.considered}
    return CaseReport(tuple(results), tuple(rule.name for rule in policy.rules if rule.name not in reached))


def explained(result: CaseResult) -> list[str]:
    """Return what went wrong with a case, a line each: expected and actual, and who spoke."""
    lines = [f"{result.name} (line {result.line})"]
    if result.fault is not None:
        lines.append(f"  cannot be run: {result.fault}")
    for field, expected, actual in result.differences:
        lines += [f"  {field}:", f"  - {_shown(expected)}", f"  + {_shown(actual)}"]
    if result.decision is not None:
        lines.append("  what was said:")
        lines += [f"    {opinion}" for opinion in result.decision.considered]
    return lines


def _run(case: Case, own: RuleIndex, ceiling: RuleIndex) -> CaseResult:
    try:
        proposal = proposal_of(case.proposal)
        decision = decide(own, proposal, **_given(case.given), ceiling=ceiling)
    except (InvalidInputError, ValueError, TypeError) as error:
        return CaseResult(case.name, case.line, is_passed=False, fault=str(error))
    actual = _actual(decision)
    differences = tuple(
        (name, expected, actual[name]) for name, expected in case.expect.items() if not _is_same(expected, actual[name])
    )
    return CaseResult(case.name, case.line, not differences, differences, decision=decision)


def _actual(decision: Decision) -> dict[str, Any]:
    terms = decision.terms
    return {
        "outcome": decision.outcome,
        "rule": decision.rule,
        "voice": decision.voice,
        "notice": decision.notice,
        "shadow": decision.is_shadow,
        "quorum": None if terms is None else terms.quorum,
        "roles": None if terms is None else list(terms.roles),
        "on_expiry": None if terms is None else terms.on_expiry,
    }


def _is_same(expected: Any, actual: Any) -> bool:
    if isinstance(actual, list) and isinstance(expected, str):
        expected = [expected]
    return expected == actual and isinstance(expected, bool) is isinstance(actual, bool)


def proposal_of(given: Mapping[str, Any]) -> Proposal:
    """Return a proposal as a case describes it; what it leaves out is as harmless as it can be.

    An agent called ``agent`` answers for it, it can be undone, nothing comes
    from outside and nothing is paid.

    Raises:
        InvalidInputError: a value has the wrong shape; the message names it.
    """
    agent = _agent(given.get("agent", "agent"))
    return Proposal(
        organization_id=INSTALLATION,
        task_id=INSTALLATION,
        tool=_text(given, "tool", "some.tool"),
        effect_class=cast("EffectClass", _text(given, "class", "write")),
        arguments=_mapping(given, "arguments"),
        target=_text(given, "target", "thing:1"),
        at=_moment(given.get("at")),
        agent_id=agent["id"],
        agent_kind=agent["kind"],
        agent_name=agent["name"],
        price=_price(given.get("price", "0")),
        is_reversible=_flag(given, "reversible", default=True),
        labels=frozenset(_texts(given, "labels")),
        free_text=tuple(_texts(given, "free_text")),
        confidence=_number(given, "confidence"),
        factors=_mapping(given, "factors"),
        risk=_number(given, "risk"),
        score=_number(given, "score"),
        subject=_optional(given, "subject"),
        purpose=_optional(given, "purpose"),
    )


def _given(given: Mapping[str, Any]) -> dict[str, Any]:
    consent, budget = given.get("consent"), given.get("budget")
    if consent not in (None, "granted", "missing"):
        raise InvalidInputError("given.consent is granted or missing")
    if budget not in (None, "ok", "ask", "deny"):
        raise InvalidInputError("given.budget is ok, ask or deny")
    level = given.get("level", DEFAULT_LEVEL)
    if isinstance(level, bool) or not isinstance(level, int):
        raise InvalidInputError("given.level is a number from 1 to 5")
    return {
        "level": level,
        "consent": None if consent is None else consent == "granted",
        "budget": None if budget is None else Budget(budget),
        # Of the most senior role, so that a case asks for the rule and not for who made it.
        "remembered": None
        if given.get("remembered") is None
        else Remembered(_text(given, "remembered", ""), ("owner",)),
        "organization": _texts(given, "organization"),
    }


def _agent(given: Any) -> dict[str, str | None]:
    if given is None:
        return {"id": None, "kind": None, "name": None}
    if isinstance(given, str):
        return {"id": _AGENT, "kind": "agent", "name": given}
    if not isinstance(given, Mapping) or not set(given) <= {"id", "kind", "name"}:
        raise InvalidInputError("agent is a name, or a mapping with id, kind and name, or null for nobody")
    agent = cast("Mapping[str, Any]", given)
    # An agent that is known has all three; only what the case says of it matters.
    return {"id": _text(agent, "id", _AGENT), **{name: _text(agent, name, "agent") for name in ("kind", "name")}}


def _moment(given: Any) -> datetime:
    if given is None:
        return _MOMENT
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        raise InvalidInputError(f"at is a moment such as '2026-01-07T12:00:00Z', not {given!r}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _price(given: Any) -> Decimal:
    try:
        price = Decimal(str(given))
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite():
        raise InvalidInputError(f"price is an amount of money, not {given!r}")
    return price


def _number(given: Mapping[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InvalidInputError(f"{name} is a number")
    return value


def _flag(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} is true or false")
    return value


def _mapping(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{name} is a mapping")
    return cast("Mapping[str, Any]", value)


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    value = given.get(name, [])
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise InvalidInputError(f"{name} is a text or a list of texts")
    return values


def _text(given: Mapping[str, Any], name: str, default: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} is a text; put it in quotes")
    return value


def _optional(given: Mapping[str, Any], name: str) -> str | None:
    return None if given.get(name) is None else _text(given, name, "")


def _shown(value: Any) -> str:
    return ", ".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value)
