"""Explanations: the chain from an event to a verified outcome, or to who said no; as data and in sentences."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from bailiwick.authority.decisions import RecordedDecision

AboutKind = Literal["effect", "decision", "approval", "task", "event", "key"]

_DONE = {"applied", "verified", "refuted", "unverifiable", "reverted"}
_SHADOW = "its agent observes only: it was recorded what it would have done"


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as it was written, in the version that was in force then."""

    name: str
    version: int
    line: int
    text: str
    is_ceiling: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """A decision with the text of the rule that made it; None where no rule of a policy did."""

    decision: RecordedDecision
    rule_text: RuleText | None


@dataclass(frozen=True, slots=True)
class ExplainedProposal:
    """Something that an agent wanted to do, and everything that became of it.

    ``effect``, ``approvals`` with their answers, and ``outcomes`` are rows as
    they are stored; ``decisions`` are of all rounds, oldest first.
    """

    tool: str
    target: str
    decisions: tuple[ExplainedDecision, ...]
    effect: dict[str, Any] | None = None
    moves: tuple[dict[str, Any], ...] = ()
    approvals: tuple[dict[str, Any], ...] = ()
    outcomes: tuple[dict[str, Any], ...] = ()

    @property
    def verdict(self) -> str:
        """Say in one sentence what became of it, and who decided so."""
        what = f"{self.tool} on {self.target}"
        last = self.decisions[-1] if self.decisions else None
        if self.effect is None:
            return f"{what} {_declined(last)}."
        state = str(self.effect["state"])
        if state == "declined":
            return f"{what} {_declined(last, self.effect['problem'])}."
        if state == "waiting":
            return f"{what} waits for an approval{_by(last)}."
        if state in _DONE:
            return f"{what} was done{_how(last, self.approvals)}; {_proof(state)}."
        problem = f": {self.effect['problem']}" if self.effect["problem"] else ""
        return f"{what} is {state}{_by(last)}{problem}."


@dataclass(frozen=True, slots=True)
class Chain:
    """One task: the events and tasks before it, who was chosen, and what was proposed in it."""

    before: tuple[dict[str, Any], ...]
    task: dict[str, Any]
    proposals: tuple[ExplainedProposal, ...] = ()
    # Expectations of the task's own result.
    outcomes: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something did or did not happen."""

    about: str
    kind: AboutKind
    chains: tuple[Chain, ...]
    is_cut: bool = False
    # Said where there is no task at all.
    without_tasks: str = ""

    @property
    def answer(self) -> list[str]:
        """Answer in sentences: what became of each proposal, or that there was none and how the tasks ended."""
        sentences = [proposal.verdict for chain in self.chains for proposal in chain.proposals]
        if sentences:
            return sentences
        if not self.chains:
            return [self.without_tasks]
        return [f"Nothing was proposed: {_ended(chain.task)}." for chain in self.chains]

    def document(self) -> dict[str, Any]:
        """Return it as plain data, with every verdict."""
        return {
            "about": self.about,
            "kind": self.kind,
            "answer": self.answer,
            "chains": [_chain(chain) for chain in self.chains],
            "is_cut": self.is_cut,
        }


@dataclass(slots=True)
class Line:
    """A line for people: how deep it stands, what it is, what it says, and the document it ends with."""

    depth: int
    label: str
    text: str
    at: datetime | None = field(default=None)
    document: object = None


def lines_of(chain: Chain) -> Iterator[Line]:
    """Return a chain as lines for people, in the order of what happened."""
    for depth, one in enumerate(chain.before):
        yield Line(depth, one["what"], f"{one['name']} {one['key'] or ''}".strip(), one["at"])
    depth = len(chain.before)
    task = chain.task
    yield Line(depth, "task", f"{task['kind']} {task['state']}  {task['id']}", task["inserted_at"])
    if task["agent"] is not None:
        yield Line(depth + 1, "agent", task["agent"])
    if task["choice"]:
        yield Line(depth + 1, "chosen because", str(task["choice"].get("reason", "")))
        for who in task["choice"].get("barred", []):
            yield Line(depth + 1, "not chosen", f"{who.get('name')}: {who.get('because')}")
    if not chain.proposals:
        yield Line(depth + 1, "proposed", f"nothing: {_ended(task)}")
    for proposal in chain.proposals:
        yield from _proposal_lines(proposal, depth + 1)
    for outcome in chain.outcomes:
        yield _outcome_line(outcome, depth + 1)


def _proposal_lines(proposal: ExplainedProposal, depth: int) -> Iterator[Line]:
    effect = proposal.effect
    head = f"{proposal.tool} on {proposal.target}"
    yield Line(depth, "proposed", head if effect is None else f"{head}  {effect['id']}")
    for one in proposal.decisions:
        yield from _decision_lines(one, depth + 1)
    for approval in proposal.approvals:
        wanted = f"{approval['quorum']} of {', '.join(approval['roles'])}"
        yield Line(depth + 1, "approval", f"{approval['state']}, asked of {wanted}  {approval['id']}")
        for answer in approval["answers"]:
            because = f": {answer['reason']}" if answer["reason"] else ""
            yield Line(depth + 2, answer["decision"], f"{answer['answered_by_name']}{because}", answer["answered_at"])
    for move in proposal.moves:
        yield Line(depth + 1, move["state"], move["note"] or "", move["at"])
    for seen in effect["evidence"] if effect is not None else ():
        yield Line(depth + 1, "seen afterwards", f"{seen.get('outcome')}:", document=seen.get("evidence"))
    for outcome in proposal.outcomes:
        yield _outcome_line(outcome, depth + 1)


def _decision_lines(one: ExplainedDecision, depth: int) -> Iterator[Line]:
    decision = one.decision
    yield Line(
        depth,
        "decided",
        f"{decision.outcome} by {decision.rule}: {decision.reason}  {decision.id}",
        decision.decided_at,
    )
    if one.rule_text is not None:
        whose = "ceiling" if one.rule_text.is_ceiling else "policy"
        yield Line(depth + 1, f"{whose} version {one.rule_text.version}, line {one.rule_text.line}", "")
        for line in one.rule_text.text.splitlines():
            yield Line(depth + 2, "", line)
    for opinion in decision.considered:
        if opinion.rule != decision.rule:
            yield Line(depth + 1, "considered", str(opinion))
    for said in decision.undetermined:
        yield Line(depth + 1, "not applied", said)


def _outcome_line(outcome: dict[str, Any], depth: int) -> Line:
    state = "will be looked at" if outcome["state"] == "pending" else outcome["state"].replace("_", " ")
    missing = f"; missing: {outcome['missing']}" if outcome["missing"] else ""
    return Line(
        depth, "expected", f"{outcome['claim']}: {state}{missing}", outcome["checked_at"] or outcome["check_at"]
    )


def _declined(last: ExplainedDecision | None, problem: str | None = None) -> str:
    if last is None:
        return f"was declined{f': {problem}' if problem else ''}"
    decision = last.decision
    if decision.is_shadow:
        return f"was not done, {_SHADOW}"
    if decision.outcome == "deny":
        return f"was not done: {decision.rule} denies it, {decision.reason}"
    # It was allowed or asked about, and something else stood against it.
    return f"was not done: {problem or 'nothing came of it after it was decided'}{_by(last)}"


def _by(last: ExplainedDecision | None) -> str:
    return "" if last is None else f" (decided: {last.decision.outcome} by {last.decision.rule})"


def _how(last: ExplainedDecision | None, approvals: tuple[dict[str, Any], ...]) -> str:
    approved = [one for one in approvals if one["state"] == "approved"]
    if approved:
        names = ", ".join(answer["answered_by_name"] for answer in approved[-1]["answers"])
        return f", approved by {names or 'silence, as its terms say'}"
    return "" if last is None else f", allowed by {last.decision.rule}"


def _proof(state: str) -> str:
    return {
        "applied": "whether it stands is not verified yet",
        "verified": "it is verified",
        "refuted": "but it does not stand: the later look refuted it",
        "unverifiable": "whether it stands cannot be verified",
        "reverted": "and taken back since",
    }[state]


def _ended(task: dict[str, Any]) -> str:
    who = f"{task['kind']}{'' if task['agent'] is None else ' of ' + task['agent']}"
    state = task["state"]
    if task["reason"]:
        return f"{who} is {state}, {task['reason']}"
    if task["errors"]:
        return f"{who} is {state}, {task['errors'][-1].get('message', 'it failed')}"
    if state == "completed":
        return f"{who} completed and wanted no change"
    return f"{who} is {state} and has proposed nothing so far"


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "before": list(chain.before),
        "task": chain.task,
        "proposals": [{"verdict": proposal.verdict, **asdict(proposal)} for proposal in chain.proposals],
        "outcomes": list(chain.outcomes),
    }
