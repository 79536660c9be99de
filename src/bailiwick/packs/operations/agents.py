"""The agents of the pack: one class per department that does real work in this release."""

import time
from typing import Any

from bailiwick.agents import Agent, AgentRecord
from bailiwick.connectors.issues import ISSUES
from bailiwick.kernel.labels import untrusted
from bailiwick.kernel.loading import loaded
from bailiwick.packs.operations.assignments import OVERSIGHT, OversightReport, WorkAssignment, WorkReport
from bailiwick.packs.operations.classification import screen_issue
from bailiwick.packs.operations.injection import ORDERS
from bailiwick.packs.operations.likeness import likenesses_of
from bailiwick.packs.operations.proposals import KIND, Proposals
from bailiwick.packs.operations.repository import IssueStore
from bailiwick.packs.operations.results import Worker, keep_result
from bailiwick.storage import Database
from bailiwick.tasks import Run

WORKROOM = "bailiwick.packs.operations.workroom"
"""The departments' libraries (scikit-learn, SciPy) take seconds to import, and a process that only
serves reads never needs them; so they are loaded by the warming of a worker or by the first work."""


class DepartmentAgent(Agent[WorkAssignment]):
    """Does one operation of its department on one issue and stores the result with its evidence."""

    assignment = WorkAssignment

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._issues = IssueStore(database)
        self._likenesses = likenesses_of(database)

    async def work(self, run: Run, agent: AgentRecord, assignment: WorkAssignment) -> object:
        """Compute the operation from the issue and the organization's records.

        Nothing outside changes; what the result asks for there is carried out
        by whoever settles the issue, or in a task of its own where nobody does.
        """
        # It reads the issue and others like it from where they are kept, whoever gives it the task.
        run.label(untrusted(ISSUES))
        if assignment.operation == OVERSIGHT:
            return await run.step("oversee", self._oversee, run, assignment)
        report = await run.step(assignment.operation, self._operate, run, agent, assignment)
        if assignment.is_by_itself:
            await self._propose(run, agent, assignment.issue_key, WorkReport.model_validate(report))
        return report

    async def _propose(self, run: Run, agent: AgentRecord, key: str, report: WorkReport) -> None:
        found = await run.step("screen", self._screen, run.task.organization_id, key)
        if found["gives_orders"]:
            run.label(ORDERS)
        proposals = Proposals.of(key, found["source"], report, is_done=False)
        if proposals is not None:
            await run.spawn(KIND, proposals, agent_id=agent.id)

    async def _screen(self, organization_id: str, key: str) -> dict[str, Any]:
        issue = await self._issues.text_of(organization_id, key)
        return {"source": issue.source, "gives_orders": bool(screen_issue(issue.title, issue.body).suspicious)}

    async def _operate(self, run: Run, agent: AgentRecord, assignment: WorkAssignment) -> WorkReport:
        room = await loaded(WORKROOM)
        organization_id = run.task.organization_id
        issue = await self._issues.text_of(organization_id, assignment.issue_key)
        desk = room.SqlDesk(self.database, organization_id, self._likenesses)
        started = time.perf_counter()
        result = await room.operate(agent.kind, assignment.operation, issue, desk)
        worker = Worker(run.task.id, agent.id, agent.kind, time.perf_counter() - started)
        return await keep_result(self._issues, organization_id, assignment.issue_key, result, worker)

    async def _oversee(self, run: Run, assignment: WorkAssignment) -> OversightReport:
        room = await loaded(WORKROOM)
        organization_id = run.task.organization_id
        issue = await self._issues.text_of(organization_id, assignment.issue_key)
        desk = room.SqlDesk(self.database, organization_id, self._likenesses)
        return await room.oversee_issue(issue, assignment, desk)


class ProjectManagerAgent(DepartmentAgent):
    """Plans, allocates, escalates, reviews delivery figures, and oversees urgent issues."""

    kind = "project-manager"


class SupportAgent(DepartmentAgent):
    """Takes in what users report, ask and wish for."""

    kind = "support"


class SecurityAgent(DepartmentAgent):
    """Finds threats, judges access, shows compliance, audits."""

    kind = "security"


class QualityAgent(DepartmentAgent):
    """Says from reports, measurements and source whether something is good enough."""

    kind = "qa"


class AnalyticsAgent(DepartmentAgent):
    """Answers questions with data."""

    kind = "analytics"


AGENT_CLASSES: tuple[type[DepartmentAgent], ...] = (
    ProjectManagerAgent,
    SupportAgent,
    SecurityAgent,
    QualityAgent,
    AnalyticsAgent,
)

WORKING_DEPARTMENTS = frozenset(agent.kind for agent in AGENT_CLASSES)
"""Departments whose issues get worked on; the others' wait in their queue until their agents come."""
