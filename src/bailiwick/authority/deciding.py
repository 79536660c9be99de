"""Decides: hears every voice, lets the strictest win, and names it. No I/O, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bailiwick.authority.model import (
    STRICTNESS,
    ApprovalTerms,
    Budget,
    Decision,
    Opinion,
    Proposal,
    Remembered,
    Voice,
)
from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.index import NO_POLICY, Match, RuleIndex
from bailiwick.authority.policy.model import Policy
from bailiwick.authority.policy.terms import is_heard, strictest, strictness
from bailiwick.authority.voices import (
    budget_voice,
    consent_voice,
    floor_voice,
    free_text_voice,
    level_voice,
    remembered_voice,
    shadow_voice,
    unknown_voice,
)
from bailiwick.kernel.ids import new_id

# Who is named where several say the same: rules before what is said of everything.
_PRECEDENCE: dict[Voice, int] = {
    voice: rank
    for rank, voice in enumerate(
        ("unknown", "consent", "rule", "budget", "floor", "free_text", "level", "remembered", "shadow")
    )
}

CEILING = "ceiling/"


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A rule that matched, with the terms it would have asked for."""

    opinion: Opinion
    match: Match
    terms: ApprovalTerms


@dataclass(slots=True)
class _Heard:
    """Everything that was said. ``needs_person``: silence is no yes; ``is_hard``: neither is a remembered one."""

    spoken: list[_Spoken]
    undetermined: list[str]
    opinions: list[Opinion]
    needs_person: bool
    is_hard: bool


def decide(
    policy: RuleIndex,
    proposal: Proposal,
    level: int | None,
    *,
    ceiling: RuleIndex = NO_POLICY,
    consent: bool | None = None,
    budget: Budget | None = None,
    remembered: Remembered | None = None,
    stranger: str | None = None,
    organization: Sequence[str] = (),
) -> Decision:
    """Return what may happen with a proposal, and who says so.

    Deny beats approve beats allow, whoever says it and whatever the order.
    ``ceiling`` are rules that hold for all organizations; ``consent`` is that
    of the proposal's subject to its purpose, None where it cannot be told;
    ``stranger`` says why the tool or agent is not known; ``organization`` are
    the names the organization goes by. The same inputs give the same decision,
    except for its id.
    """
    unknown = unknown_voice(proposal, level, stranger)
    if unknown is not None or level is None:
        return _refused(unknown, policy, ceiling)
    around = Circumstances(proposal, level, consent=consent, organization=tuple(organization))
    heard = _hear(policy, ceiling, around, budget)
    winner = min(heard.opinions, key=_order)
    terms = None
    if winner.outcome == "approve":
        terms = _terms(policy.policy, heard, is_grave=proposal.effect_class == "destructive")
        # One person's word for good stands neither for that of several nor for that of somebody more senior.
        if remembered is not None and not heard.is_hard and terms.quorum == 1 and is_heard(remembered.roles, terms):
            winner, terms = remembered_voice(remembered.name), None
            heard.opinions.append(winner)
        else:
            winner = _named_for(winner, heard.spoken)
    return Decision(
        id=new_id(),
        outcome=winner.outcome,
        rule=winner.rule,
        reason=winner.reason,
        policy_version=policy.policy.version,
        level=level,
        terms=terms,
        notice=winner.outcome == "allow" and _is_told(proposal, level, heard.spoken),
        is_shadow=winner.voice == "shadow",
        considered=tuple(sorted(heard.opinions, key=_order)),
        voice=winner.voice,
        ceiling_version=ceiling.policy.version,
        undetermined=tuple(sorted(heard.undetermined)),
    )


def _hear(policy: RuleIndex, ceiling: RuleIndex, around: Circumstances, budget: Budget | None) -> _Heard:
    """Let every voice speak but that of memory, which only answers a question."""
    proposal = around.proposal
    undetermined: list[str] = []
    own = _spoken(policy, around, undetermined, is_ceiling=False)
    above = _spoken(ceiling, around, undetermined, is_ceiling=True)
    spoken = [*own, *above]
    floor, free_text = floor_voice(proposal, _permission(spoken, proposal)), free_text_voice(proposal)
    general = (
        consent_voice(proposal, around.consent), budget_voice(budget), floor, free_text, shadow_voice(around.level),
        None if own else level_voice(proposal, around.level),
    )  # fmt: skip
    opinions = [one.opinion for one in spoken] + [opinion for opinion in general if opinion is not None]
    needs_person = floor is not None or free_text is not None
    is_hard = needs_person or any(one.opinion.outcome == "approve" for one in above)
    return _Heard(spoken, undetermined, opinions, needs_person=needs_person, is_hard=is_hard)


def _refused(unknown: Opinion | None, policy: RuleIndex, ceiling: RuleIndex) -> Decision:
    opinion = unknown or Opinion("unknown", "unknown", "deny", "the agent has no level of autonomy")
    return Decision(
        new_id(), "deny", opinion.rule, opinion.reason, policy.policy.version, 0, considered=(opinion,),
        voice="unknown", ceiling_version=ceiling.policy.version,
    )  # fmt: skip


def _spoken(index: RuleIndex, around: Circumstances, undetermined: list[str], *, is_ceiling: bool) -> list[_Spoken]:
    found: list[_Spoken] = []
    if not index.policy.rules:
        return found
    for match in index.matching(around):
        rule = match.rule
        if not match.speaks:
            undetermined.append(f"{rule.name}: cannot determine: {match.unknown} missing")
            continue
        reason = rule.because or "its conditions hold"
        terms = rule.terms or index.policy.approval
        if match.unknown is not None:
            reason = f"cannot determine: {match.unknown} missing; {reason}"
            # Who wrote the rule did not think of this, so silence is no yes.
            terms = replace(terms, on_expiry="deny")
        name = f"{CEILING}{rule.name}" if is_ceiling else rule.name
        found.append(_Spoken(Opinion("rule", name, rule.outcome, reason), match, terms))
    return found


def _permission(spoken: Iterable[_Spoken], proposal: Proposal) -> str | None:
    """Return the rule by which this tool may do what cannot be undone: it names the tool in full and says so."""
    for one in spoken:
        rule = one.match.rule
        if rule.irreversible and rule.outcome == "allow" and proposal.tool in rule.when.get("tool", ()):
            return one.opinion.rule
    return None


def _order(opinion: Opinion) -> tuple[int, int, str]:
    return (-STRICTNESS[opinion.outcome], _PRECEDENCE[opinion.voice], opinion.rule)


def _terms(policy: Policy, heard: _Heard, *, is_grave: bool) -> ApprovalTerms:
    """Return the strictest terms of the rules that ask for an approval, or the policy's own where none does."""
    asked = [one.terms for one in heard.spoken if one.opinion.outcome == "approve"]
    terms = strictest(asked) if asked else policy.approval
    return replace(terms, on_expiry="deny") if heard.needs_person or is_grave else terms


def _named_for(winner: Opinion, spoken: Iterable[_Spoken]) -> Opinion:
    """Return the opinion of the rule with the strictest terms, where rules ask for the approval."""
    asking = [one for one in spoken if one.opinion.outcome == "approve"]
    if winner.voice != "rule" or len(asking) < 2:
        return winner
    return min(asking, key=lambda one: (tuple(-part for part in strictness(one.terms)), one.opinion.rule)).opinion


def _is_told(proposal: Proposal, level: int, spoken: Iterable[_Spoken]) -> bool:
    if proposal.effect_class == "read":
        return False
    return level == 3 or any(one.match.rule.notice and one.opinion.outcome == "allow" for one in spoken)
