"""Oversight of urgent issues: proceed, hold, reassign or escalate, each with the facts that decided it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.kernel.intervals import wilson_interval
from bailiwick.packs.operations.departments.body import issue_lines, query_text, read_discussion
from bailiwick.packs.operations.departments.desk import AgentRow, Attempt, Desk, Priority, SimilarIssue, Status
from bailiwick.packs.operations.departments.figures import quantile, rounded, say_duration
from bailiwick.packs.operations.injection import screen

Decision = Literal["proceed", "hold", "reassign", "escalate"]

MIN_ATTEMPTS = 5
"""Finished attempts from which an agent's durations and success are judged."""
DUPLICATE_SCORE = 0.6
FULL = 1.0
MIN_DESCRIPTION_WORDS = 5
_STUCK: frozenset[str] = frozenset({"blocked", "failed", "error"})
_STEPS = ("steps to reproduce", "reproduction steps", "how to reproduce", "steps", "tasks", "repro")
_CRITERIA = (
    "success criteria",
    "acceptance criteria",
    "definition of done",
    "done when",
    "expected",
    "expected behavior",
    "expected behaviour",
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who is meant to do the issue: the agent and the kind of work, as the lifecycle chose them."""

    agent_id: str
    agent_kind: str
    operation: str


@dataclass(frozen=True, slots=True)
class Oversight:
    """The decision, its reasons (those that decided it first) and the figures behind them.

    ``reassign_to`` names the better peer when the decision is to reassign.
    """

    decision: Decision
    reasons: tuple[str, ...]
    facts: JsonObject
    reassign_to: str | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """What an agent's finished attempts at this kind of work say; quantiles only from ``MIN_ATTEMPTS`` on.

    ``measured`` are those that a quality gate judged, ``passed`` of these: what nobody measured is no success.
    """

    agent: AgentRow
    attempts: int
    measured: int
    passed: int
    p50: float | None
    p95: float | None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share that passes lies, 95 %; ask only where something was measured."""
        return wilson_interval(self.passed, self.measured)


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything that a decision rests on; ``own`` is the assigned agent's record when it is active."""

    assignment: Assignment | None
    status: Status
    priority: Priority
    own: _Record | None
    peers: tuple[_Record, ...]
    remaining: float | None
    duplicates: tuple[SimilarIssue, ...]
    completeness: dict[str, bool]
    suspicious: tuple[str, ...]


async def oversee(
    issue: IssueRecord, assignment: Assignment | None, status: Status, priority: Priority, desk: Desk
) -> Oversight:
    """Decide whether urgent work should go on as assigned.

    In this order: suspicious text holds; a missed or unreachable deadline, work that is stuck at P0, or nobody
    to do it escalates; a missing description or an open duplicate holds; a full, slower or measurably worse
    agent is replaced by a better peer; otherwise the work proceeds. All reasons found are listed.
    """
    row = await desk.find_issue(issue.key)
    records = await _records(assignment, desk)
    own = next((one for one in records if assignment is not None and one.agent.agent_id == assignment.agent_id), None)
    case = _Case(
        assignment=assignment,
        status=status,
        priority=priority,
        own=own,
        peers=tuple(one for one in records if one is not own),
        remaining=None if row is None or row.deadline_at is None else (row.deadline_at - desk.now()).total_seconds(),
        duplicates=await _open_duplicates(issue, desk),
        completeness=_completeness(issue),
        suspicious=screen([line.text for line in issue_lines(issue)]).suspicious,
    )
    return _decide(case)


def _decide(case: _Case) -> Oversight:
    better, better_reasons = _better_peer(case)
    groups: list[tuple[Decision, list[str]]] = [
        ("hold", _suspicion(case)),
        ("escalate", [*_hopeless(case), *_stuck(case), *_nobody(case)]),
        ("hold", [*_incomplete(case), *_repeated(case)]),
        ("reassign", better_reasons),
    ]
    decision = _first_with_reasons(groups)
    if decision is None:
        return Oversight("proceed", tuple(_clear(case)), _facts(case))
    groups.sort(key=lambda group: group[0] != decision)
    reasons = tuple(reason for _, group in groups for reason in group)
    return Oversight(decision, reasons, _facts(case), better if decision == "reassign" else None)


def _first_with_reasons(groups: Sequence[tuple[Decision, list[str]]]) -> Decision | None:
    return next((name for name, reasons in groups if reasons), None)


async def _records(assignment: Assignment | None, desk: Desk) -> list[_Record]:
    if assignment is None:
        return []
    agents = await desk.agents(assignment.agent_kind)
    attempts = await desk.attempts(agent_kind=assignment.agent_kind, operation=assignment.operation)
    return [_record(agent, [one for one in attempts if one.agent_id == agent.agent_id]) for agent in agents]


def _record(agent: AgentRow, attempts: Sequence[Attempt]) -> _Record:
    seconds = [one.seconds for one in attempts if one.passed is not False]
    enough = seconds if len(seconds) >= MIN_ATTEMPTS else []
    measured = [one.passed for one in attempts if one.passed is not None]
    return _Record(agent, len(attempts), len(measured), sum(measured), quantile(enough, 0.5), quantile(enough, 0.95))


async def _open_duplicates(issue: IssueRecord, desk: Desk) -> tuple[SimilarIssue, ...]:
    similar = await desk.similar(query_text(issue), limit=10, exclude_key=issue.key)
    alike = (one for one in similar if one.issue.state == "open" and one.score >= DUPLICATE_SCORE)
    return tuple(one for one in alike if one.issue.created_at <= issue.created_at)


def _completeness(issue: IssueRecord) -> dict[str, bool]:
    body = read_discussion(issue)
    words = sum(len(line.text.split()) for line in body.prose) + sum(len(block.text.split()) for block in body.blocks)
    return {
        "description": words >= MIN_DESCRIPTION_WORDS,
        "steps": (
            body.find_section(*_STEPS) is not None or any(line.text.lstrip().startswith("1.") for line in body.prose)
        ),
        "criteria": body.find_section(*_CRITERIA) is not None,
    }


def _suspicion(case: _Case) -> list[str]:
    if not case.suspicious:
        return []
    orders = f"{len(case.suspicious)} sentence(s) give orders to an automated reader"
    return [f"{orders}; a person should read them before anything is done"]


def _hopeless(case: _Case) -> list[str]:
    if case.remaining is None:
        return []
    if case.remaining <= 0:
        return [f"the deadline passed {say_duration(-case.remaining)} ago"]
    timed = [(one.p50, one) for one in (case.own, *case.peers) if one is not None and one.p50 is not None]
    seconds, fastest = min(timed, key=lambda pair: pair[0], default=(0.0, None))
    if fastest is None or seconds <= case.remaining:
        return []
    takes = f"takes {say_duration(seconds)} in half of its {fastest.attempts} attempts"
    return [f"{say_duration(case.remaining)} remain, but even the fastest agent ({fastest.agent.name}) {takes}"]


def _stuck(case: _Case) -> list[str]:
    if case.priority != "P0" or case.status not in _STUCK:
        return []
    return [f"the issue is P0 and its status is {case.status}"]


def _nobody(case: _Case) -> list[str]:
    if case.assignment is None:
        return ["no agent is assigned"]
    own = case.own
    if own is None:
        active = f"the {len(case.peers)} active {case.assignment.agent_kind} agents"
        return [f"the assigned agent {case.assignment.agent_id} is not among {active}"]
    if own.agent.utilisation < FULL or any(one.agent.utilisation < FULL for one in case.peers):
        return []
    held = f"{own.agent.name} holds {own.agent.load} of {own.agent.capacity}"
    return [f"all {1 + len(case.peers)} {own.agent.kind} agents are full ({held})"]


def _incomplete(case: _Case) -> list[str]:
    if case.completeness["description"]:
        return []
    return [f"the issue has no description (fewer than {MIN_DESCRIPTION_WORDS} words): nothing says what to do"]


def _repeated(case: _Case) -> list[str]:
    return [
        f"probably the same as the open issue #{one.issue.number} (similarity {one.score:.2f}), "
        f"status {one.issue.status or 'unknown'}"
        for one in case.duplicates[:2]
    ]


def _better_peer(case: _Case) -> tuple[str | None, list[str]]:
    if case.own is None:
        return None, []
    free = [one for one in case.peers if one.agent.utilisation < FULL]
    for find in (_less_loaded, _fast_enough, _more_successful):
        found = find(case.own, free, case.remaining)
        if found is not None:
            return found
    return None, []


def _less_loaded(own: _Record, free: Sequence[_Record], remaining: float | None) -> tuple[str, list[str]] | None:
    if own.agent.utilisation < FULL or not free:
        return None
    peer = min(free, key=lambda one: one.agent.utilisation)
    held = f"{own.agent.name} holds {own.agent.load} of {own.agent.capacity}"
    return peer.agent.agent_id, [f"{held}; {peer.agent.name} holds {peer.agent.load} of {peer.agent.capacity}"]


def _fast_enough(own: _Record, free: Sequence[_Record], remaining: float | None) -> tuple[str, list[str]] | None:
    if remaining is None or own.p95 is None or own.p95 <= remaining:
        return None
    timely = [one for one in free if one.p95 is not None and one.p95 <= remaining]
    if not timely:
        return None
    peer = min(timely, key=lambda one: one.p95 or 0)
    slow = (
        f"{own.agent.name} needs up to {say_duration(own.p95)} (p95 of {own.attempts}),"
        f" {say_duration(remaining)} remain"
    )
    return peer.agent.agent_id, [
        f"{slow}; {peer.agent.name} needs up to {say_duration(peer.p95 or 0)} (p95 of {peer.attempts})"
    ]


def _more_successful(own: _Record, free: Sequence[_Record], remaining: float | None) -> tuple[str, list[str]] | None:
    if own.measured < MIN_ATTEMPTS:
        return None
    # Only when the intervals do not overlap is the difference more than luck.
    surer = [one for one in free if one.measured >= MIN_ATTEMPTS and one.interval[0] > own.interval[1]]
    if not surer:
        return None
    peer = max(surer, key=lambda one: one.interval[0])
    poor = f"{own.agent.name} passed its gates in {own.passed} of {own.measured} measured attempts at this work"
    return peer.agent.agent_id, [
        f"{poor}, {peer.agent.name} in {peer.passed} of {peer.measured} (95% intervals do not overlap)"
    ]


def _clear(case: _Case) -> list[str]:
    own = case.own
    if own is None:
        return []
    reasons = [f"{own.agent.name} holds {own.agent.load} of {own.agent.capacity}", _time_left(own, case.remaining)]
    if own.measured:
        low, high = own.interval
        share = f"{own.passed} of {own.measured} measured attempts at this work passed their gates"
        reasons.append(f"{share} (95% interval {low:.0%} to {high:.0%})")
    elif own.attempts:
        reasons.append(f"no quality gate measured its {own.attempts} attempts at this work")
    absent = [name for name, there in case.completeness.items() if not there]
    stated = (
        f"the issue states no {' and no '.join(absent)}" if absent else "description, steps and criteria are stated"
    )
    return [*reasons, stated]


def _time_left(own: _Record, remaining: float | None) -> str:
    if remaining is None:
        return "no deadline is on record"
    left = f"{say_duration(remaining)} remain"
    if own.p95 is None:
        return f"{left}; {own.attempts} finished attempts are too few to predict the duration"
    fits = "fits" if own.p95 <= remaining else "may not fit, and no free peer is faster"
    return f"{left} and 95% of {own.attempts} attempts took up to {say_duration(own.p95)}: it {fits}"


def _facts(case: _Case) -> JsonObject:
    return {
        "remaining_seconds": rounded(case.remaining, 0),
        "agent": None if case.own is None else _agent_facts(case.own),
        "peers": [_agent_facts(one) for one in sorted(case.peers, key=lambda one: one.agent.utilisation)[:10]],
        "open_duplicates": [{"key": one.issue.key, "score": round(one.score, 3)} for one in case.duplicates],
        "completeness": case.completeness,
        "suspicious_sentences": len(case.suspicious),
    }


def _agent_facts(record: _Record) -> JsonObject:
    low, high = record.interval if record.measured else (None, None)
    return {
        "agent_id": record.agent.agent_id,
        "load": record.agent.load,
        "capacity": record.agent.capacity,
        "utilisation": round(record.agent.utilisation, 3),
        "attempts": record.attempts,
        "measured": record.measured,
        "passed": record.passed,
        "passed_interval": None if low is None or high is None else [round(low, 3), round(high, 3)],
        "p50_seconds": rounded(record.p50, 1),
        "p95_seconds": rounded(record.p95, 1),
    }
