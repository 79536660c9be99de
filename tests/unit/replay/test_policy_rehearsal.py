"""Another policy over recorded decisions: the same one changes nothing, a worse one is refused, a guess is none."""

from dataclasses import asdict, replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.authority import Decision, Proposal, decide
from bailiwick.authority.given import Given, given_document, given_of, proposal_document, proposal_of
from bailiwick.authority.model import STRICTNESS, Budget, Remembered
from bailiwick.authority.policy import NO_POLICY, Policy, RuleIndex, read_policy
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.replay.evidence import Evidence
from bailiwick.replay.policy_rehearsal import Candidate, RecordedCase, rehearse_policy
from bailiwick.replay.rehearsal import Bound, Bounds, Rehearsal, RehearsalRefusedError, judge, require
from tests.support.policies import ORGANIZATION, policies, proposal, proposals

givens = st.builds(
    Given,
    level=st.none() | st.integers(1, 5),
    consent=st.none() | st.booleans(),
    budget=st.none() | st.builds(Budget, st.sampled_from(["ok", "ask", "deny"]), st.sampled_from(["", "run"])),
    remembered=st.none() | st.just(Remembered("always", ("owner",))),
    stranger=st.none() | st.just("no such tool"),
    organization=st.just((ORGANIZATION, "acme")),
)
evidences = st.builds(
    Evidence,
    effect_id=st.just("e"),
    state=st.sampled_from([None, "declined", "applied", "verified", "refuted", "reverted"]),
    approval=st.sampled_from([None, "approved", "rejected", "expired"]),
    outcomes=st.lists(st.sampled_from(["worked", "did_not", "unknown"]), max_size=2).map(tuple),
)

WORKED = ("worked",)
CAREFUL = "rules:\n  - {name: ask, then: approve, when: {class: [write, external]}}\n"
LOOSE = "rules:\n  - {name: anything, then: allow}\n"
SHUT = "rules:\n  - {name: shut, then: deny}\n"


def plain(document: Any) -> Any:
    """Return a document as the database gives it back."""
    return orjson.loads(orjson.dumps(document, default=str))


def made(index: RuleIndex, about: Proposal, around: Given) -> Decision:
    return decide(
        index, about, around.level, consent=around.consent, budget=around.budget, remembered=around.remembered,
        stranger=around.stranger, organization=around.organization,
    )  # fmt: skip


def case_of(index: RuleIndex, about: Proposal, around: Given, evidence: Evidence | None = None) -> RecordedCase:
    decision = made(index, about, around)
    return RecordedCase(
        about.task_id, decision.outcome, decision.rule, decision.reason, about.tool, about.effect_class, about.target,
        about.risk, plain(proposal_document(about)), plain(given_document(around)), index, NO_POLICY,
        evidence or Evidence(),
    )  # fmt: skip


@given(proposals(), givens)
def test_a_proposal_comes_back_from_its_record_as_it_was(about: Proposal, around: Given) -> None:
    assert proposal_of(plain(proposal_document(about))) == about
    assert given_of(plain(given_document(around))) == around


@given(policies(), st.lists(st.tuples(proposals(), givens, evidences), max_size=5))
def test_the_policy_in_force_changes_nothing_about_its_own_decisions(policy: Policy, things: Any) -> None:
    index = RuleIndex(policy)
    found = rehearse_policy([case_of(index, *thing) for thing in things], Candidate(own=index), name="same")
    assert (found.compared, found.same, found.changes, found.diverged) == (len(things), len(things), (), ())


@given(policies(), policies(), st.lists(st.tuples(proposals(), givens, evidences), max_size=5))
def test_every_decision_is_the_same_changed_or_diverged_and_changes_are_real(
    old: Policy, new: Policy, things: Any
) -> None:
    before, after = RuleIndex(old), RuleIndex(new)
    cases = [case_of(before, *thing) for thing in things]
    found = rehearse_policy(cases, Candidate(own=after), name="other")
    assert found.compared == found.same + len(found.changes) == len(things)
    outcomes = [made(after, about, around).outcome for about, around, _ in things]
    differ = sum(case.outcome != outcome for case, outcome in zip(cases, outcomes, strict=True))
    assert differ <= len(found.changes)
    for change in found.changes:
        step = STRICTNESS[change.new.outcome] - STRICTNESS[change.old.outcome]  # pyright: ignore[reportArgumentType]
        assert step >= 0 if change.movement == "tightened" else step <= 0
        if change.regression is not None:
            assert change.new.outcome in ("allow", "deny")
    ranks = [change.regression is None for change in found.changes]
    assert ranks == sorted(ranks)


def test_a_worse_policy_is_refused_and_the_message_names_the_worst() -> None:
    careful = RuleIndex(read_policy(CAREFUL))
    around = Given(4, organization=(ORGANIZATION,))
    cases = [
        case_of(careful, proposal(target="person:1"), around, Evidence("a", "verified", "approved", outcomes=WORKED)),
        case_of(careful, proposal(target="person:2"), around, Evidence("b", "declined", "rejected")),
    ]
    loose = Candidate(own=RuleIndex(read_policy(LOOSE)))
    found = rehearse_policy(cases, loose, name="loose")
    assert [(one.target, one.regression) for one in found.changes] == [
        ("person:2", "it would be done without asking, and people rejected it"), ("person:1", None),
    ]  # fmt: skip
    with pytest.raises(RehearsalRefusedError, match=r"1 regressions .* person:2: it would be done without asking"):
        require(found, Bounds())
    require(found, Bounds(regressions=Bound(1)))
    assert not judge(found, Bounds(regressions=Bound(0.4, is_share=True))).is_passed
    assert judge(found, Bounds(regressions=Bound(0.5, is_share=True))).is_passed


def test_a_policy_that_forbids_what_worked_is_worse() -> None:
    careful = RuleIndex(read_policy(CAREFUL))
    cases = [case_of(careful, proposal(), Given(4), Evidence("a", "verified", "approved", outcomes=WORKED))]
    shut = RuleIndex(read_policy(SHUT))
    found = rehearse_policy(cases, Candidate(own=shut), name="shut")
    assert [one.regression for one in found.changes] == ["it would not be done, and it turned out to work"]


@pytest.mark.parametrize("outcomes", [(), ("seen",), ("unknown",)])
def test_what_was_only_seen_right_after_has_not_turned_out_to_work(outcomes: tuple[str, ...]) -> None:
    careful, shut = RuleIndex(read_policy(CAREFUL)), RuleIndex(read_policy(SHUT))
    seen = Evidence("a", "verified", "approved", outcomes=outcomes)
    found = rehearse_policy([case_of(careful, proposal(), Given(4), seen)], Candidate(own=shut), name="shut")
    assert [one.regression for one in found.changes] == [None]


def test_letting_through_what_a_rule_refused_is_worse_and_what_a_watching_agent_did_not_do_is_not() -> None:
    shut = RuleIndex(read_policy(SHUT))
    loose = Candidate(own=RuleIndex(read_policy(LOOSE)))
    refused = rehearse_policy([case_of(shut, proposal(), Given(4))], loose, name="loose")
    assert [one.regression for one in refused.changes] == ["it would be done without asking, and shut refused it"]
    watched = case_of(RuleIndex(read_policy(LOOSE)), proposal(), Given(1))
    found = rehearse_policy([watched], Candidate(level=3), name="3", subject="level")
    assert [(one.movement, one.regression) for one in found.changes] == [("loosened", None)]


def test_a_decision_that_cannot_be_made_again_has_diverged_and_is_never_counted_as_same() -> None:
    careful = RuleIndex(read_policy(CAREFUL))
    case = case_of(careful, proposal(), Given(4))
    cut, gone = replace(case, proposal={"tool": "mail.send"}), replace(case, own=None)
    other = replace(case, rule="another")
    found = rehearse_policy([cut, gone, other], Candidate(own=careful), name="same")
    assert (found.compared, found.same, len(found.diverged)) == (0, 0, 3)
    verdict = judge(found, Bounds(diverged=Bound(1.0, is_share=True)))
    assert not verdict.is_passed
    assert "nothing could be compared" in verdict.reasons[0]


def test_nothing_compared_is_not_passed() -> None:
    assert not judge(Rehearsal("policy", "any", 0, 0, 0), Bounds()).is_passed


@pytest.mark.parametrize(
    ("text", "bound"),
    [("0", Bound(0)), ("3", Bound(3)), ("5%", Bound(0.05, is_share=True)), ("12.5 %", Bound(0.125, is_share=True))],
)
def test_a_bound_is_a_number_or_a_share(text: str, bound: Bound) -> None:
    assert asdict(Bound.parse(text)) == pytest.approx(asdict(bound))


@pytest.mark.parametrize("text", ["", "-1", "many", "101%", "5 percent"])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="bound"):
        Bound.parse(text)
