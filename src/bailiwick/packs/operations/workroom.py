"""Where operations are carried out: the departments' functions, a desk on the database, the gates.

Imported at the first work, not at start: see ``agents``.
"""

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.assignments import OversightReport, WorkAssignment
from bailiwick.packs.operations.departments import OPERATIONS, Assignment, Desk, WorkResult, oversee
from bailiwick.packs.operations.departments.work import cannot_determine
from bailiwick.packs.operations.sql_desk import SqlDesk

__all__ = ["SqlDesk", "operate", "oversee_issue"]


async def operate(agent_kind: str, operation: str, issue: IssueRecord, desk: Desk) -> WorkResult:
    """Carry out an operation on an issue."""
    function = OPERATIONS.get(agent_kind, {}).get(operation)
    if function is None:
        return cannot_determine(operation, [f"the operation {operation} of {agent_kind}: not part of this release"])
    return await function(issue, desk)


async def oversee_issue(issue: IssueRecord, assignment: WorkAssignment, desk: Desk) -> OversightReport:
    """Judge whether urgent work should go on as assigned."""
    request = assignment.oversight
    if request is None:
        raise ValueError("oversight was asked for without saying of whom")
    meant = None if request.agent_id is None else Assignment(request.agent_id, request.agent_kind, request.operation)
    found = await oversee(issue, meant, request.status, request.priority, desk)
    return OversightReport(decision=found.decision, reasons=found.reasons, reassign_to=found.reassign_to)
