"""The voices of a decision beside the rules, each a small function; the strictest of all wins."""

from bailiwick.authority.model import EFFECT_CLASSES, Budget, Opinion, Outcome, Proposal

LEVELS = range(1, 6)

DEFAULT_LEVEL = 2
"""Of an agent about whom nobody said anything: it proposes."""

_NAMES = {1: "observe", 2: "propose", 3: "act with notice", 4: "act", 5: "act, destructively too"}


def unknown_voice(proposal: Proposal, level: int | None, stranger: str | None) -> Opinion | None:
    """Refuse what nobody vouches for: no agent, no tool, a class or level there is not.

    ``stranger`` is what the caller found out already, as a reason.
    """
    reason = stranger
    if reason is None and not proposal.tool:
        reason = "no tool is named"
    if reason is None and proposal.effect_class not in EFFECT_CLASSES:
        reason = f"no class of effect {str(proposal.effect_class)[:50]!r}"
    if reason is None and proposal.agent_id is None:
        reason = "no agent answers for it"
    if reason is None and level not in LEVELS:
        reason = "the agent has no level of autonomy"
    return None if reason is None else Opinion("unknown", "unknown", "deny", reason)


def level_voice(proposal: Proposal, level: int) -> Opinion:
    """Say how far the agent may go by itself; asked where no rule speaks."""
    may: Outcome = "allow" if proposal.effect_class == "read" or level >= _needed(proposal) else "approve"
    return Opinion("level", f"level:{level}", may, f"level {level} ({_NAMES[level]}) and {proposal.effect_class}")


def _needed(proposal: Proposal) -> int:
    return 5 if proposal.effect_class == "destructive" else 3


def shadow_voice(level: int) -> Opinion | None:
    """Let an observer do nothing, whatever else is said."""
    if level != 1:
        return None
    return Opinion("shadow", "level:1", "deny", "the agent observes: it is recorded what it would have done")


def floor_voice(proposal: Proposal, permitted_by: str | None) -> Opinion | None:
    """Want a person for what cannot be undone; only a rule that says so in full stands for one, and no level."""
    if proposal.is_reversible or proposal.effect_class == "read" or permitted_by is not None:
        return None
    return Opinion("floor", "floor", "approve", "it cannot be undone")


def free_text_voice(proposal: Proposal) -> Opinion | None:
    """Want a person where text from outside reaches an argument that nothing bounds."""
    if not proposal.free_text:
        return None
    names = ", ".join(sorted(proposal.free_text))
    return Opinion("free_text", "free_text", "approve", f"text from outside reaches {names} unbounded")


def consent_voice(proposal: Proposal, consent: bool | None) -> Opinion | None:
    """Refuse to process a person's data without consent to the purpose; not knowing is not having."""
    if proposal.subject is None or (consent is True and proposal.purpose is not None):
        return None
    if proposal.purpose is None:
        reason = "it concerns a person and names no purpose to consent to"
    elif consent is None:
        reason = f"cannot determine: consent to {proposal.purpose} missing"
    else:
        reason = f"the person concerned does not consent to {proposal.purpose}"
    return Opinion("consent", "consent", "deny", reason)


def budget_voice(budget: Budget | None) -> Opinion | None:
    """Repeat what the ladder of the budgets says."""
    if budget is None or budget.state == "ok":
        return None
    outcome: Outcome = "approve" if budget.state == "ask" else "deny"
    return Opinion("budget", f"budget:{budget.rung}" if budget.rung else "budget", outcome, budget.reason)


def remembered_voice(remembered: str) -> Opinion:
    """Repeat a yes that a person gave for good."""
    return Opinion("remembered", f"remembered:{remembered}", "allow", "a person said: always allow this")
