"""What holds of decisions whatever the policy and the proposal."""

from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from bailiwick.authority.deciding import decide
from bailiwick.authority.model import STRICTNESS, Budget, Decision, Proposal, Remembered
from bailiwick.authority.policy import NO_POLICY, Policy, Rule, RuleIndex
from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.terms import strictest, strictness
from tests.support.policies import matching_slowly, outcome_slowly, policies, proposals, rules, terms, with_rules

levels = st.integers(1, 5)
consents = st.sampled_from([None, True, False])
budgets = st.sampled_from([None, Budget("ok"), Budget("ask", "soft"), Budget("deny", "hard")])


def _said(decision: Decision) -> dict[str, Any]:
    """A decision but for its id."""
    return {name: getattr(decision, name) for name in Decision.__slots__ if name != "id"}


def _strict(decision: Decision) -> int:
    return STRICTNESS[decision.outcome]


@given(policies(), proposals(), levels, consents)
def test_the_index_finds_what_asking_every_rule_finds(
    policy: Policy, proposal: Proposal, level: int, consent: bool | None
) -> None:
    around = Circumstances(proposal, level, consent=consent)
    found = RuleIndex(policy).matching(around)
    assert {(match.rule.name, match.unknown) for match in found} == matching_slowly(policy, around)
    assert len(found) == len({match.rule.name for match in found})


@given(policies(), st.lists(proposals(), min_size=2, max_size=6), levels)
def test_what_an_index_was_asked_before_changes_nothing(policy: Policy, asked: list[Proposal], level: int) -> None:
    index = RuleIndex(policy)
    for proposal in [*asked, *asked]:
        assert _said(decide(index, proposal, level)) == _said(decide(RuleIndex(policy), proposal, level))


@given(policies(), proposals(), levels, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(policy: Policy, proposal: Proposal, level: int, random: Any) -> None:
    shuffled = list(policy.rules)
    random.shuffle(shuffled)
    other = replace(policy, rules=tuple(shuffled))
    assert _said(decide(RuleIndex(policy), proposal, level)) == _said(decide(RuleIndex(other), proposal, level))


@given(policies(), proposals(), levels, rules(("deny",)), budgets)
def test_adding_a_rule_that_denies_never_loosens(
    policy: Policy, proposal: Proposal, level: int, denial: Rule, budget: Budget | None
) -> None:
    assume(denial.name not in {rule.name for rule in policy.rules})
    before = decide(RuleIndex(policy), proposal, level, budget=budget, remembered=Remembered("yes", ("owner",)))
    after = decide(
        RuleIndex(with_rules(policy, denial)), proposal, level, budget=budget, remembered=Remembered("yes", ("owner",))
    )
    assert _strict(after) >= _strict(before)


@given(policies(), policies(("approve", "deny")), proposals(), levels)
def test_a_ceiling_never_loosens(policy: Policy, ceiling: Policy, proposal: Proposal, level: int) -> None:
    free = decide(RuleIndex(policy), proposal, level, remembered=Remembered("yes", ("owner",)))
    held = decide(
        RuleIndex(policy), proposal, level, ceiling=RuleIndex(ceiling), remembered=Remembered("yes", ("owner",))
    )
    assert _strict(held) >= _strict(free)


@given(policies(), proposals(), levels)
def test_rules_speak_before_the_level(policy: Policy, proposal: Proposal, level: int) -> None:
    said = outcome_slowly(policy, Circumstances(proposal, level))
    decision = decide(RuleIndex(policy), proposal, level)
    if said is not None:
        assert _strict(decision) >= STRICTNESS[said]
        assert not any(opinion.voice == "level" for opinion in decision.considered)


@given(policies(), proposals(), consents, budgets)
def test_an_observer_never_gets_anything_allowed_or_approved(
    policy: Policy, proposal: Proposal, consent: bool | None, budget: Budget | None
) -> None:
    decision = decide(
        RuleIndex(policy), proposal, 1, consent=consent, budget=budget, remembered=Remembered("yes", ("owner",))
    )
    assert decision.outcome == "deny"


@given(policies(), proposals(), st.sampled_from(["agent", "level", "class", "tool", "stranger"]), levels)
def test_what_nobody_knows_is_denied(policy: Policy, proposal: Proposal, unknown: str, level: int) -> None:
    index = RuleIndex(policy)
    strangers: dict[str, Any] = {
        "agent": lambda: decide(index, replace(proposal, agent_id=None), level),
        "level": lambda: decide(index, proposal, None),
        "class": lambda: decide(index, replace(proposal, effect_class="magic"), level),  # type: ignore[arg-type]
        "tool": lambda: decide(index, replace(proposal, tool=""), level),
        "stranger": lambda: decide(index, proposal, level, stranger="nobody knows the tool"),
    }
    decision: Decision = strangers[unknown]()
    assert (decision.outcome, decision.voice) == ("deny", "unknown")


@given(
    policies(("approve", "deny")),
    proposals(),
    st.integers(1, 5),
    st.sampled_from([None, Remembered("yes", ("owner",))]),
)
def test_no_level_and_no_memory_passes_the_floor_of_what_cannot_be_undone(
    policy: Policy, proposal: Proposal, level: int, remembered: Remembered | None
) -> None:
    assume(proposal.effect_class != "read")
    final = replace(proposal, is_reversible=False)
    decision = decide(RuleIndex(policy), final, level, remembered=remembered)
    assert decision.outcome != "allow"
    assert decision.terms is None or decision.terms.on_expiry == "deny"


@given(policies(), proposals(), levels)
def test_only_a_rule_that_names_the_tool_and_says_so_passes_the_floor(
    policy: Policy, proposal: Proposal, level: int
) -> None:
    assume(proposal.effect_class != "read")
    final = replace(proposal, is_reversible=False)
    if decide(RuleIndex(policy), final, level).outcome == "allow":
        matched = {name for name, unknown in matching_slowly(policy, Circumstances(final, level)) if unknown is None}
        assert any(
            rule.irreversible and rule.name in matched and final.tool in rule.when.get("tool", ())
            for rule in policy.rules
        )


@given(policies(), proposals(), levels)
def test_text_from_outside_that_nothing_bounds_needs_a_person(policy: Policy, proposal: Proposal, level: int) -> None:
    reached = replace(proposal, free_text=("body",))
    decision = decide(RuleIndex(policy), reached, level, remembered=Remembered("yes", ("owner",)))
    assert decision.outcome != "allow"
    assert decision.terms is None or decision.terms.on_expiry == "deny"


@given(policies(), proposals(), levels, st.sampled_from([None, False]))
def test_without_consent_nothing_is_done_with_a_persons_data(
    policy: Policy, proposal: Proposal, level: int, consent: bool | None
) -> None:
    concerned = replace(proposal, subject="7", purpose="marketing")
    assert decide(RuleIndex(policy), concerned, level, consent=consent).outcome == "deny"


@given(policies(), proposals(), levels, st.sampled_from(["risk", "score", "confidence", "agent_name", "agent_kind"]))
def test_not_knowing_is_never_looser_than_knowing(policy: Policy, proposal: Proposal, level: int, unknown: str) -> None:
    known = decide(RuleIndex(policy), proposal, level)
    blind = decide(RuleIndex(policy), replace(proposal, **{unknown: None}), level)
    assert _strict(blind) >= _strict(known)


surroundings = st.fixed_dictionaries(
    {
        "level": levels,
        "budget": budgets,
        "consent": consents,
        "remembered": st.sampled_from([None, Remembered("yes", ("owner",))]),
    }
)


@given(policies(), proposals(), surroundings)
def test_the_strictest_of_all_that_was_said_wins_and_is_named(
    policy: Policy, proposal: Proposal, around: dict[str, Any]
) -> None:
    decision = decide(RuleIndex(policy), proposal, **around)
    winner = next(one for one in decision.considered if (one.voice, one.rule) == (decision.voice, decision.rule))
    assert (winner.outcome, winner.reason) == (decision.outcome, decision.reason)
    if decision.voice != "remembered":
        assert _strict(decision) == max(STRICTNESS[one.outcome] for one in decision.considered)
    assert (decision.terms is not None) == (decision.outcome == "approve")


@given(proposals(), budgets)
def test_a_remembered_yes_answers_only_what_would_be_asked(proposal: Proposal, budget: Budget | None) -> None:
    asked = decide(NO_POLICY, proposal, 2, budget=budget)
    remembered = decide(NO_POLICY, proposal, 2, budget=budget, remembered=Remembered("yes", ("owner",)))
    if asked.outcome != "approve" or any(one.voice in ("floor", "free_text") for one in asked.considered):
        assert _said(remembered) == _said(asked)
    else:
        assert (remembered.outcome, remembered.rule) == ("allow", "remembered:yes")


@given(st.lists(terms, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_strictest_terms_are_as_strict_as_each_in_whatever_order(several: list[Any], random: Any) -> None:
    merged = strictest(several)
    shuffled = list(several)
    random.shuffle(shuffled)
    assert strictest(shuffled) == merged
    assert merged.quorum == max(one.quorum for one in several)
    assert merged.on_expiry == ("deny" if any(one.on_expiry == "deny" for one in several) else "allow")
    assert all(strictness(merged)[:2] >= strictness(one)[:2] for one in several)
