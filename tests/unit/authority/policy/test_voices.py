"""Each voice, and who is named where several speak."""

from typing import Any

import pytest

from bailiwick.authority.deciding import decide
from bailiwick.authority.model import Budget, Decision, Remembered
from bailiwick.authority.policy import NO_POLICY, RuleIndex, read_policy
from tests.support.policies import proposal


def _decided(rules: str = "[]", level: int = 2, *, ceiling: str = "", **known: Any) -> Decision:
    names = ("consent", "budget", "remembered", "stranger", "organization")
    around = {name: known.pop(name) for name in names if name in known}
    above = RuleIndex(read_policy(ceiling, version=1, is_ceiling=True)) if ceiling else NO_POLICY
    index = RuleIndex(read_policy(f"rules: {rules}", version=1))
    return decide(index, proposal(**known), level, ceiling=above, **around)


@pytest.mark.parametrize(
    ("effect_class", "outcomes"),
    [
        ("read", ["deny", "allow", "allow", "allow", "allow"]),
        ("write", ["deny", "approve", "allow", "allow", "allow"]),
        ("external", ["deny", "approve", "allow", "allow", "allow"]),
        ("spend", ["deny", "approve", "allow", "allow", "allow"]),
        ("destructive", ["deny", "approve", "approve", "approve", "allow"]),
    ],
)
def test_levels_from_observing_to_acting_destructively(effect_class: str, outcomes: list[str]) -> None:
    decisions = [_decided(level=level, effect_class=effect_class) for level in range(1, 6)]
    assert [one.outcome for one in decisions] == outcomes
    assert [one.is_shadow for one in decisions] == [True, False, False, False, False]
    assert [one.notice for one in decisions] == [False, False, outcomes[2] == "allow" and effect_class != "read",
                                                 False, False]  # fmt: skip


def test_an_observers_own_denial_is_no_shadow() -> None:
    decision = _decided("[{name: never, then: deny}]", level=1)
    assert (decision.voice, decision.is_shadow) == ("rule", False)


@pytest.mark.parametrize(
    ("known", "named"),
    [
        ({"stranger": "who is that"}, ("deny", "unknown", "unknown")),
        ({"agent_id": None}, ("deny", "unknown", "unknown")),
        ({"subject": "7", "purpose": "marketing", "consent": False}, ("deny", "consent", "consent")),
        ({"subject": "7", "consent": True}, ("deny", "consent", "consent")),
        ({"budget": Budget("deny", "hard")}, ("deny", "budget", "budget:hard")),
        ({"budget": Budget("ask", "soft")}, ("approve", "budget", "budget:soft")),
        ({"is_reversible": False}, ("approve", "floor", "floor")),
        ({"free_text": ("body",)}, ("approve", "free_text", "free_text")),
        ({"subject": "7", "purpose": "marketing", "consent": True}, ("allow", "level", "level:4")),
        ({}, ("allow", "level", "level:4")),
    ],
)
def test_the_voice_that_decides_is_named(known: dict[str, Any], named: tuple[str, str, str]) -> None:
    decision = _decided(level=4, **known)
    assert (decision.outcome, decision.voice, decision.rule) == named


def test_a_remembered_yes_answers_rule_level_and_budget_and_nothing_harder() -> None:
    asking = "[{name: ask, then: approve}]"
    assert _decided(asking, remembered=Remembered("Anna's", ("owner",))).rule == "remembered:Anna's"
    assert _decided(remembered=Remembered("Anna's", ("owner",))).outcome == "allow"
    assert (
        _decided(level=4, budget=Budget("ask", "soft"), remembered=Remembered("Anna's", ("owner",))).outcome == "allow"
    )
    for harder in (
        _decided(asking, remembered=Remembered("Anna's", ("owner",)), is_reversible=False),
        _decided(asking, remembered=Remembered("Anna's", ("owner",)), free_text=("body",)),
        _decided(remembered=Remembered("Anna's", ("owner",)), ceiling="rules: [{name: ask, then: approve}]"),
    ):
        assert harder.outcome == "approve"
    assert _decided("[{name: never, then: deny}]", remembered=Remembered("Anna's", ("owner",))).outcome == "deny"


def test_a_rule_that_names_the_tool_and_says_so_permits_what_cannot_be_undone() -> None:
    permits = "[{name: send, when: {tool: mail.send}, then: allow, irreversible: true}]"
    assert _decided(permits, is_reversible=False).outcome == "allow"
    assert _decided(permits, level=1, is_reversible=False).outcome == "deny"
    assert _decided("[{name: send, when: {tool: mail.send}, then: allow}]", is_reversible=False).rule == "floor"


def test_of_several_rules_that_ask_the_strictest_terms_hold_and_their_rule_is_named() -> None:
    decision = _decided(
        "[{name: a, then: approve, approval: {roles: [operator, admin], expires_hours: 2, on_expiry: allow}},"
        " {name: b, then: approve, approval: {roles: [admin, owner], quorum: 2, expires_hours: 8}}]"
    )
    assert decision.rule == "b"
    assert decision.terms is not None
    assert (decision.terms.roles, decision.terms.quorum) == (("admin",), 2)
    assert (decision.terms.on_expiry, decision.terms.expires_hours) == ("deny", 2.0)


@pytest.mark.parametrize(
    "known",
    [{"is_reversible": False}, {"free_text": ("body",)}, {"effect_class": "destructive"}, {"risk": None}],
)
def test_silence_never_means_yes_for_what_is_grave_or_unknown(known: dict[str, Any]) -> None:
    asking = "[{name: ask, when: {risk: {at_least: 0}}, then: approve, approval: {on_expiry: allow}}]"
    usual = _decided(asking, risk=1.0)
    assert usual.terms is not None
    assert usual.terms.on_expiry == "allow"
    proposed: dict[str, Any] = {"risk": 1.0, **known}
    grave = _decided(asking, **proposed)
    assert grave.terms is not None
    assert grave.terms.on_expiry == "deny"


def test_both_versions_are_part_of_what_an_approval_is_bound_to() -> None:
    assert _decided(ceiling="rules: [{name: x, when: {tool: y}, then: deny}]").policy_mark == "1/1"
