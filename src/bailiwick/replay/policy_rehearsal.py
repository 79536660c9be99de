"""Another policy over recorded decisions: each is made again from all it was made from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bailiwick.authority import Decision, Proposal, decide
from bailiwick.authority.given import Given, given_of, proposal_of
from bailiwick.authority.model import STRICTNESS
from bailiwick.authority.policy import RuleIndex
from bailiwick.authority.policy.terms import strictness
from bailiwick.replay.evidence import Evidence
from bailiwick.replay.rehearsal import Change, Divergence, Movement, Rehearsal, Side, counted, riskiest_first

_REFUSING = frozenset({"rule", "consent", "unknown"})
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class RecordedCase:
    """A recorded decision with all it was made from, the rules it was made by, and what became of it."""

    run_id: str
    outcome: str
    rule: str
    reason: str
    tool: str
    effect_class: str
    target: str
    risk: float | None
    proposal: Mapping[str, Any]
    given: Mapping[str, Any]
    # None: that version is not there any more, or no longer read.
    own: RuleIndex | None
    ceiling: RuleIndex | None
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is tried in the place of what was in force; None stays as it was."""

    own: RuleIndex | None = None
    ceiling: RuleIndex | None = None
    level: int | None = None


def rehearse_policy(
    cases: Iterable[RecordedCase],
    candidate: Candidate,
    *,
    name: str,
    subject: Literal["policy", "level"] = "policy",
    applies: Callable[[RecordedCase], bool] = lambda case: True,
) -> Rehearsal:
    """Return what a candidate would have decided; nothing is looked up and nothing is done.

    A decision that what was in force does not make again from its record has
    diverged: not all it was made from is known, so the candidate's would be a guess.
    """
    changes: list[Change] = []
    diverged: list[Divergence] = []
    seen: list[tuple[str, str]] = []
    runs: set[str] = set()
    compared = 0
    for case in cases:
        if not applies(case):
            continue
        runs.add(case.run_id)
        found = _compare(case, candidate)
        if isinstance(found, Divergence):
            diverged.append(found)
            seen.append((case.effect_class, "diverged"))
            continue
        compared += 1
        seen.append((case.effect_class, "same" if found is None else found.movement))
        if found is not None:
            changes.append(found)
    return Rehearsal(
        subject, name, len(runs), compared, compared - len(changes), riskiest_first(changes), tuple(diverged),
        counted(seen),
    )  # fmt: skip


def _compare(case: RecordedCase, candidate: Candidate) -> Change | Divergence | None:
    if case.own is None or case.ceiling is None:
        return Divergence(case.run_id, case.tool, "the policy by which it was decided cannot be read any more")
    try:
        proposal, given = proposal_of(case.proposal), given_of(case.given)
        before = _decide(proposal, given, case.own, case.ceiling)
    except _MALFORMED as error:
        return Divergence(case.run_id, case.tool, f"its proposal is not recorded in full ({type(error).__name__})")
    if (before.outcome, before.rule) != (case.outcome, case.rule):
        return Divergence(
            case.run_id, case.tool,
            f"recorded is {case.outcome} by {case.rule}, and made again it is {before.outcome} by {before.rule}: "
            "not all it was made from is recorded",
        )  # fmt: skip
    level = given.level if candidate.level is None else candidate.level
    after = _decide(proposal, replace(given, level=level), candidate.own or case.own, candidate.ceiling or case.ceiling)
    movement = _movement(before, after)
    if movement is None:
        return None
    return Change(
        case.run_id, case.evidence.effect_id, case.tool, case.effect_class, case.target, movement,
        Side(before.outcome, before.rule, before.reason), Side(after.outcome, after.rule, after.reason),
        str(case.evidence), _regression(before, after, case.evidence), case.risk,
    )  # fmt: skip


def _decide(proposal: Proposal, given: Given, own: RuleIndex, ceiling: RuleIndex) -> Decision:
    return decide(
        own, proposal, given.level, ceiling=ceiling, consent=given.consent, budget=given.budget,
        remembered=given.remembered, stranger=given.stranger, organization=given.organization,
    )  # fmt: skip


def _movement(before: Decision, after: Decision) -> Movement | None:
    step = STRICTNESS[after.outcome] - STRICTNESS[before.outcome]
    if step == 0 and before.terms is not None and after.terms is not None:
        was, now = strictness(before.terms), strictness(after.terms)
        step = (now > was) - (now < was)
    return "tightened" if step > 0 else "loosened" if step < 0 else None


def _regression(before: Decision, after: Decision, evidence: Evidence) -> str | None:
    against = evidence.against
    if before.outcome == "deny" and before.voice in _REFUSING:
        # Whoever wrote that rule, or did not consent, is people's word too.
        against = against or f"{before.rule} refused it"
    if after.outcome == "allow" and before.outcome != "allow" and against is not None:
        return f"it would be done without asking, and {against}"
    if after.outcome == "deny" and before.outcome != "deny" and evidence.is_verified:
        return "it would not be done, and it turned out to work"
    return None
