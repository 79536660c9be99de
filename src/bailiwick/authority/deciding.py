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
    Voice,
)
from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.index import NO_POLICY, Match, RuleIndex
from bailiwick.authority.policy.model import Policy
from bailiwick.authority.policy.terms import strictest, strictness
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
    is_ceiling: bool


def decide(
    policy: RuleIndex,
    proposal: Proposal,
    level: int | None,
    *,
    ceiling: RuleIndex = NO_POLICY,
    consent: bool | None = None,
    budget: Budget | None = None,
    remembered: str | None = None,
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
    undetermined: list[str] = []
    spoken = [
        *_spoken(policy, around, undetermined, is_ceiling=False),
        *_spoken(ceiling, around, undetermined, is_ceiling=True),
    ]
    floor = floor_voice(proposal, _permission(spoken, proposal))
    free_text = free_text_voice(proposal)
    general = [
        consent_voice(proposal, consent), budget_voice(budget), floor, free_text, shadow_voice(level),
        None if any(not one.is_ceiling for one in spoken) else level_voice(proposal, level),
    ]  # fmt: skip
    opinions = [one.opinion for one in spoken] + [opinion for opinion in general if opinion is not None]
    winner = _strictest(opinions)
    is_hard = floor is not None or free_text is not None or any(
        one.is_ceiling and one.opinion.outcome == "approve" for one in spoken
    )  # fmt: skip
    if winner.outcome == "approve" and not is_hard and (yes := remembered_voice(remembered)) is not None:
        opinions.append(yes)
        winner = yes
    terms = None
    if winner.outcome == "approve":
        needs_person = floor is not None or free_text is not None or proposal.effect_class == "destructive"
        terms = _terms(policy.policy, spoken, needs_person=needs_person)
        winner = _named_for(winner, spoken)
    return Decision(
        id=new_id(),
        outcome=winner.outcome,
        rule=winner.rule,
        reason=winner.reason,
        policy_version=policy.policy.version,
        level=level,
        terms=terms,
        notice=winner.outcome == "allow" and _is_told(proposal, level, spoken),
        is_shadow=winner.voice == "shadow",
        considered=tuple(sorted(opinions, key=_order)),
        voice=winner.voice,
        ceiling_version=ceiling.policy.version,
        undetermined=tuple(sorted(undetermined)),
    )


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
        found.append(_Spoken(Opinion("rule", name, rule.outcome, reason), match, terms, is_ceiling))
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


def _strictest(opinions: Sequence[Opinion]) -> Opinion:
    return min(opinions, key=_order)


def _terms(policy: Policy, spoken: Iterable[_Spoken], *, needs_person: bool) -> ApprovalTerms:
    """Return the strictest terms of the rules that ask for an approval, or the policy's own where none does."""
    asked = [one.terms for one in spoken if one.opinion.outcome == "approve"]
    terms = strictest(asked) if asked else policy.approval
    return replace(terms, on_expiry="deny") if needs_person and terms.on_expiry != "deny" else terms


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
