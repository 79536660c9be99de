"""Where an issue comes to rest after a result: done, in review, or blocked for what is missing."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bailiwick.packs.operations import event_types as facts
from bailiwick.packs.operations.assignments import WorkReport
from bailiwick.packs.operations.blocked import LACKS
from bailiwick.packs.operations.case import Case
from bailiwick.packs.operations.proposals import KIND, Proposals
from bailiwick.packs.operations.repository import Actor
from bailiwick.packs.operations.status import IssueStatus

TAKES_IN: Mapping[str, str] = MappingProxyType(
    {
        "bug-reports": "the report is taken in; repairing it is the developer's, or a person's",
        "feature-requests": "the wish is weighed; a person decides whether to build it",
        "escalations": "the case is weighed; a person has to act on it",
        "escalation": "the plan stands; the people it names have to act",
        "threat-detection": "a person has to look into it and act",
        "access-control": "the request is judged; a person has to grant or refuse it",
    }
)
"""Operations whose answer is the beginning of somebody's work and not its end: their issues go to review."""

_NAMED_FROM = 3


async def settle(case: Case, report: WorkReport, *, agent_id: str, agent: str) -> dict[str, Any]:
    """Judge a report, move the issue to where it rests, and have carried out what the agent proposes."""
    await case.tell(
        "issue.result_recorded",
        facts.IssueResultRecorded(
            key=case.key, result_id=report.result_id, operation=report.operation, status=report.status,
            summary=report.summary,
        ),
    )  # fmt: skip
    await case.tell("issue.gated", _gated(case, report))
    to, reason = _rest(report, set_aside=case.set_aside)
    settled = await case.settle(to, reason, actor=Actor("agent", agent), details={"result_id": report.result_id})
    proposals = Proposals.of(case.key, case.issue.source, report, is_done=to == "done")
    # In a task of its own: waiting for a person must not hold the issue's.
    task_id = None if proposals is None else await case.run.spawn(KIND, proposals, agent_id=agent_id)
    return {**settled, "result_id": report.result_id, "summary": report.summary, "proposals": task_id}


def _rest(report: WorkReport, *, set_aside: int) -> tuple[IssueStatus, str]:
    to, reason = _rest_of(report)
    if not set_aside:
        return to, reason
    # Nobody is told that all is well with a text that tried to steer the reader.
    orders = f"{set_aside} passage(s) that give orders to an automated reader were set aside, a person should read them"
    return "review" if to == "done" else to, f"{reason}; {orders}"


def _rest_of(report: WorkReport) -> tuple[IssueStatus, str]:
    # A gate that was missed is known, whatever else could not be determined.
    if report.is_passed is False:
        failed = ", ".join(f"{gate['name']} {gate['measured']:g} below {gate['limit']:g}" for gate in _failed(report))
        return "review", f"quality gates not met ({failed}): {report.summary}"
    if report.status == "cannot_determine":
        return "blocked", _lacking(report)
    if report.operation in TAKES_IN:
        return "review", f"{report.summary}; {TAKES_IN[report.operation]}"
    return "done", report.summary


def _gated(case: Case, report: WorkReport) -> facts.IssueGated:
    by_verdict: dict[str, list[str]] = {"passed": [], "failed": [], "not measured": []}
    for gate in report.gates:
        by_verdict[str(gate["verdict"])].append(str(gate["name"]))
    return facts.IssueGated(
        key=case.key, result_id=report.result_id, passed=tuple(by_verdict["passed"]),
        failed=tuple(by_verdict["failed"]), not_measured=tuple(by_verdict["not measured"]),
    )  # fmt: skip


def _failed(report: WorkReport) -> list[dict[str, Any]]:
    return [gate for gate in report.gates if gate["verdict"] == "failed"]


def _lacking(report: WorkReport) -> str:
    """Say what is missing; of several things only the names, how to supply them stands in the comment."""
    if len(report.missing) < _NAMED_FROM:
        said = report.summary
    else:
        said = ", ".join(dict.fromkeys(one.partition(":")[0] for one in report.missing))
    return said if said.startswith(LACKS) else f"{LACKS}{said}"
