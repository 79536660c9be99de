"""Policies and proposals for tests of authority: as text, made at random, and decided the slow way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bailiwick.authority.model import ApprovalTerms, EffectClass, Outcome, Proposal
from bailiwick.authority.policy import Policy, Rule
from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.conditions import predicate_of

AGENT = "0199b6ff-b66f-7000-8000-0000000000a9"
ORGANIZATION = "0199b6ff-b66f-7000-8000-000000000002"
MOMENT = datetime(2026, 1, 7, 12, tzinfo=UTC)
TOOLS = ("mail.send", "mail.delete", "github.comment", "github.close", "pay.invoice")
CLASSES: tuple[EffectClass, ...] = ("read", "write", "external", "spend", "destructive")
AGENTS = ("Nora", "Otto", "Pia")
TARGETS = ("issue:acme/shop#1", "issue:acme/shop#2", "person:7", "account:main")
PURPOSES = ("marketing", "analytics")


def proposal(**fields: Any) -> Proposal:
    """A harmless proposal of a known agent, but for what is said."""
    given: dict[str, Any] = {
        "organization_id": ORGANIZATION, "task_id": ORGANIZATION, "tool": "mail.send", "effect_class": "write",
        "arguments": {}, "target": "person:7", "at": MOMENT, "agent_id": AGENT, "agent_kind": "clerk",
        "agent_name": "Nora", "is_reversible": True,
    }  # fmt: skip
    return Proposal(**{**given, **fields})


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _patterns(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    globs = tuple({f"{value.split(mark)[0]}{mark}*" for value in values for mark in ".:/" if mark in value} | {"*"})
    return st.lists(st.sampled_from([*values, *globs]), min_size=1, max_size=3).map(tuple)


def _bounds(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[tuple[str, Any], ...]]:
    names = ("at_least", "at_most", "above", "below", "is")
    return st.lists(st.tuples(st.sampled_from(names), numbers), min_size=1, max_size=2, unique_by=lambda x: x[0]).map(
        tuple
    )


_money = st.sampled_from([Decimal(0), Decimal("9.99"), Decimal(10), Decimal(500)])
_unit = st.sampled_from([0.0, 0.3, 0.7, 1.0])
_risks = st.sampled_from([0.0, 3.0, 5.0, 7.0, 10.0])
_labels = ("untrusted:github", "untrusted:mail", "by:user:7")

_CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "tool": _patterns(TOOLS),
    "class": st.frozensets(st.sampled_from(CLASSES), min_size=1),
    "agent_id": _patterns((AGENT, "another")),
    "agent_name": _patterns(AGENTS),
    "agent_kind": _patterns(("clerk", "guard")),
    "target": _patterns(TARGETS),
    "organization": _patterns((ORGANIZATION, "acme")),
    "reversible": st.booleans(),
    "price": _bounds(_money),
    "risk": _bounds(_risks) | st.frozensets(st.sampled_from(["low", "medium", "high", "critical"]), min_size=1),
    "score": _bounds(_unit),
    "confidence": _bounds(_unit),
    "level": _bounds(st.integers(1, 5)),
    "time": st.tuples(
        st.frozensets(st.integers(0, 6)), st.sampled_from([None, (540, 1020), (1320, 360)]), st.just("Europe/Berlin")
    ),
    "labels": st.tuples(
        st.sampled_from([(), ("untrusted:*",)]), st.sampled_from([(), ("by:*",), ("untrusted:mail",)])
    ),
    "consent": st.tuples(st.sampled_from(["granted", "missing"]), st.frozensets(st.sampled_from(PURPOSES))),
    "arguments": st.sampled_from([
        ((("count",), (("at_most", 3),)),),
        ((("state",), frozenset({("text", "closed")})),),
        ((("deep", "flag"), frozenset({("flag", True)})),),
    ]),
}  # fmt: skip

terms = st.builds(
    ApprovalTerms,
    roles=st.lists(st.sampled_from(["operator", "admin", "owner"]), min_size=1, max_size=2, unique=True).map(tuple),
    quorum=st.integers(1, 3),
    expires_hours=st.sampled_from([1.0, 24.0]),
    on_expiry=st.sampled_from(["deny", "allow"]),
)


@st.composite
def rules(draw: st.DrawFn, outcomes: tuple[Outcome, ...] = ("allow", "approve", "deny")) -> Rule:
    """A rule with up to four conditions."""
    names = draw(st.lists(st.sampled_from(sorted(_CONDITIONS)), max_size=4, unique=True))
    outcome = draw(st.sampled_from(outcomes))
    return Rule(
        name=draw(st.text("abcdefgh", min_size=6, max_size=6)),
        outcome=outcome,
        when={name: draw(_CONDITIONS[name]) for name in names},
        terms=draw(_optional(terms)) if outcome == "approve" else None,
        irreversible=outcome == "allow" and draw(st.booleans()),
        notice=outcome == "allow" and draw(st.booleans()),
    )


def policies(outcomes: tuple[Outcome, ...] = ("allow", "approve", "deny")) -> st.SearchStrategy[Policy]:
    """Policies of up to eight rules of different names."""
    return st.builds(
        Policy,
        rules=st.lists(rules(outcomes), max_size=8, unique_by=lambda rule: rule.name).map(tuple),
        approval=terms,
        version=st.integers(1, 9),
    )


@st.composite
def proposals(draw: st.DrawFn) -> Proposal:
    """Proposals of known agents, of which anything that may be unknown may be unknown."""
    arguments = draw(
        st.sampled_from([{}, {"count": 2, "state": "closed"}, {"count": 9}, {"count": "many", "deep": {"flag": True}}])
    )
    subject = draw(_optional(st.just("7")))
    return proposal(
        tool=draw(st.sampled_from(TOOLS)),
        effect_class=draw(st.sampled_from(CLASSES)),
        arguments=arguments,
        target=draw(st.sampled_from(TARGETS)),
        at=MOMENT + timedelta(hours=draw(st.integers(0, 24 * 7))),
        agent_name=draw(_optional(st.sampled_from(AGENTS))),
        agent_kind=draw(_optional(st.sampled_from(["clerk", "guard"]))),
        price=draw(_money),
        is_reversible=draw(st.booleans()),
        labels=draw(st.frozensets(st.sampled_from(_labels))),
        free_text=draw(st.sampled_from([(), (), ("body",)])),
        confidence=draw(_optional(_unit)),
        risk=draw(_optional(_risks)),
        score=draw(_optional(_unit)),
        subject=subject,
        purpose=None if subject is None else draw(_optional(st.sampled_from(PURPOSES))),
    )


def matching_slowly(policy: Policy, around: Circumstances) -> set[tuple[str, str | None]]:
    """Every rule asked in turn: names of those that are not known not to hold, with what is unknown, if anything."""
    found: set[tuple[str, str | None]] = set()
    for rule in policy.rules:
        answers = {name: predicate_of(name, ask)(around) for name, ask in rule.when.items()}
        if False not in answers.values():
            unknown = [name for name, answer in answers.items() if answer is None]
            found.add((rule.name, unknown[-1] if unknown else None))
    return found


def outcome_slowly(policy: Policy, around: Circumstances) -> Outcome | None:
    """What the rules alone say: deny beats approve beats allow, and allow needs everything known."""
    outcomes = {rule.name: rule.outcome for rule in policy.rules}
    said = {
        outcomes[name] for name, unknown in matching_slowly(policy, around)
        if unknown is None or outcomes[name] != "allow"
    }  # fmt: skip
    for outcome in ("deny", "approve", "allow"):
        if outcome in said:
            return outcome
    return None


def with_rules(policy: Policy, *more: Rule) -> Policy:
    """A policy with more rules."""
    return replace(policy, rules=(*policy.rules, *more))
