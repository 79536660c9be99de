"""Oversight of urgent issues: the project manager's decision, and what follows from it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bailiwick.agents import AgentDirectory
from bailiwick.packs.operations import event_types as facts
from bailiwick.packs.operations.assignments import OVERSIGHT, OversightReport, OversightRequest, WorkAssignment
from bailiwick.packs.operations.case import Case
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.repository import Actor
from bailiwick.packs.operations.settings import OperationsSettings
from bailiwick.packs.operations.sla import ESCALATES_TO
from bailiwick.tasks import TaskState

Then = Literal["proceed", "reassign", "stop"]

_MANAGER = "project-manager"
_TASK_KIND = "project-manager.work"


class Oversight:
    """Asks a project-manager agent about urgent work and does what it says."""

    def __init__(self, directory: AgentDirectory) -> None:
        self._directory = directory

    async def of(
        self, case: Case, choice: dict[str, Any], department: str, operation: str, settings: OperationsSettings
    ) -> Then:
        """Have the assignment judged; hold, raise or go on accordingly."""
        request = OversightRequest(
            agent_id=choice["agent_id"], agent_kind=department, operation=operation, status="todo",
            priority=case.priority_name,
        )  # fmt: skip
        report, manager = await self._ask(case, request)
        if report is None:
            return "proceed"
        if report.decision == "escalate":
            await self._escalate(case, manager, report, settings)
        if report.decision == "hold":
            return await self._hold(case, manager, report, settings)
        return "reassign" if report.decision == "reassign" else "proceed"

    async def of_nobody(self, case: Case, reason: str) -> None:
        """Bring urgent work that no agent can take to people, with the project manager's reasons."""
        request = OversightRequest(
            agent_id=None, agent_kind=_MANAGER, operation="escalation", status="blocked", priority=case.priority_name
        )
        report, manager = await self._ask(case, request)
        reasons = (reason,) if report is None else (reason, *report.reasons)
        await case.tell("issue.escalated", _escalated(case, manager, reasons))

    async def _ask(self, case: Case, request: OversightRequest) -> tuple[OversightReport | None, str]:
        choice = await case.run.step("choose overseer", self._choose, case.organization_id)
        if choice["agent_id"] is None:
            return None, "lifecycle"
        task_id = await case.run.spawn(
            _TASK_KIND, WorkAssignment(issue_key=case.key, operation=OVERSIGHT, oversight=request),
            priority=int(case.priority), deadline_at=case.deadline_at, agent_id=choice["agent_id"], choice=choice,
        )  # fmt: skip
        outcome = (await case.run.gather([task_id]))[0]
        if outcome.state != TaskState.COMPLETED:
            # Urgent work does not wait for an overseer that broke.
            return None, choice["name"]
        report = OversightReport.model_validate(outcome.result)
        await case.run.step("keep oversight", self._keep, case, report, choice["name"])
        await case.tell(
            "issue.overseen",
            facts.IssueOverseen(key=case.key, decision=report.decision, reasons=report.reasons, agent=choice["name"]),
        )
        return report, choice["name"]

    async def _choose(self, organization_id: str) -> dict[str, Any]:
        choice = await self._directory.choose(organization_id, _TASK_KIND)
        name = next((one.name for one in choice.weighed if one.agent_id == choice.agent_id), None)
        return {**choice.to_json(), "name": name}

    async def _keep(self, case: Case, report: OversightReport, manager: str) -> None:
        await case.set({"oversight": {**report.model_dump(mode="json"), "by": manager}})

    async def _hold(self, case: Case, manager: str, report: OversightReport, settings: OperationsSettings) -> Then:
        seconds = settings.hold_seconds.get(case.priority_name, 3600.0)
        actor = Actor("agent", manager)
        why = "; ".join(report.reasons)
        reason = f"held: {why}; goes on after {seconds / 60:g} min unless a person decides before"
        await case.settle("blocked", reason, actor=actor)
        answer = await case.run.wait_for("issue.released", key=case.key, timeout_seconds=seconds)
        if answer is None:
            await case.move("todo", "nobody answered while it was held; urgent work goes on")
            return "proceed"
        released = facts.IssueReleased.model_validate(answer["payload"])
        if released.decision == "stop":
            return "stop"
        said = f": {released.reason}" if released.reason else ""
        await case.move("todo", f"released{said}", actor=Actor("person", released.person))
        return "proceed"

    async def _escalate(self, case: Case, manager: str, report: OversightReport, settings: OperationsSettings) -> None:
        raised = await case.run.step("raise", self._raise, case, settings)
        fact = _escalated(case, manager, report.reasons)
        case.priority = Priority[raised["priority"]]
        case.deadline_at = datetime.fromisoformat(raised["deadline_at"])
        after = fact.model_copy(update={"after": case.priority_name, "deadline_at": case.deadline_at})
        if after.after != after.before:
            why = f"raised from {after.before} to {after.after}: {report.reasons[0]}"
            await case.move("todo", why, actor=Actor("agent", manager), details={"priority": after.after})
        await case.tell("issue.escalated", after)

    async def _raise(self, case: Case, settings: OperationsSettings) -> dict[str, Any]:
        """Raise the priority by one while the deadline is still to be met; a missed one is the sweep's to answer."""
        now = datetime.now(UTC)
        due = case.deadline_at or now
        higher = ESCALATES_TO.get(case.priority)
        if higher is None or due <= now:
            return {"priority": case.priority_name, "deadline_at": due}
        due = min(due, now + timedelta(seconds=settings.policy.seconds[higher]))
        await case.set({"priority": int(higher), "deadline_at": due})
        return {"priority": higher.name, "deadline_at": due}


def _escalated(case: Case, manager: str, reasons: tuple[str, ...]) -> facts.IssueEscalated:
    return facts.IssueEscalated(
        key=case.key, before=case.priority_name, after=case.priority_name, by=manager, reason="; ".join(reasons)
    )
