"""Who does an issue: the choice of an agent, the oversight of urgent work, the work itself, another try."""

from typing import Any, Literal

from bailiwick.agents import AgentDirectory
from bailiwick.packs.operations import event_types as facts
from bailiwick.packs.operations.assignments import WorkAssignment, WorkReport
from bailiwick.packs.operations.blocked import not_in_release
from bailiwick.packs.operations.case import Case
from bailiwick.packs.operations.oversight import Oversight
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.repository import Actor
from bailiwick.packs.operations.settings import OperationsSettings
from bailiwick.packs.operations.settling import settle
from bailiwick.tasks import TaskState

Choice = dict[str, Any]

URGENT = frozenset({Priority.P0, Priority.P1})


class Dispatch:
    """Gives issues to agents; ``working`` are the departments whose agents are part of this release."""

    def __init__(self, directory: AgentDirectory, working: frozenset[str]) -> None:
        self._directory = directory
        self._working = working
        self._oversight = Oversight(directory)

    async def give(self, case: Case, department: str, operation: str, settings: OperationsSettings) -> dict[str, Any]:
        """Let an agent of the department do the operation; return where the issue rests afterwards."""
        if department not in self._working:
            return await self.refuse(case, not_in_release(department))
        tried: list[str] = []
        failures: list[str] = []
        is_overseen = case.priority not in URGENT
        while len(failures) < settings.max_agents_tried:
            choice = await self._choose(case, department, tried)
            if choice["agent_id"] is None:
                return await self._give_up(case, department, failures, choice["reason"])
            if not is_overseen:
                is_overseen = True
                then = await self._oversight.of(case, choice, department, operation, settings)
                if then == "stop":
                    return await case.settle("blocked", "stopped by a person while it was held")
                if then == "reassign":
                    tried.append(choice["agent_id"])
                    continue
            report = await self._work(case, department, operation, choice)
            if isinstance(report, WorkReport):
                return await settle(case, report, agent_id=choice["agent_id"], agent=choice["name"])
            failures.append(f"{choice['name']}: {report}")
            tried.append(choice["agent_id"])
        return await self._give_up(case, department, failures, "")

    async def refuse(self, case: Case, reason: str) -> dict[str, Any]:
        """Block an issue that no agent can take; an urgent one is brought to people first."""
        if case.priority in URGENT:
            await self._oversight.of_nobody(case, reason)
        return await case.settle("blocked", reason)

    async def _choose(self, case: Case, department: str, without: list[str]) -> Choice:
        return await case.run.step("choose agent", self._choice, case, f"{department}.work", list(without))

    async def _choice(self, case: Case, task_kind: str, without: list[str]) -> Choice:
        choice = await self._directory.choose(case.organization_id, task_kind, without=without)
        document = choice.to_json()
        chosen = next((one.name for one in choice.weighed if one.agent_id == choice.agent_id), None)
        await case.set({"choice": document, "agent_id": choice.agent_id})
        return {**document, "name": chosen}

    async def _work(self, case: Case, department: str, operation: str, choice: Choice) -> WorkReport | str:
        """Return the agent's report, or why it could not give one."""
        agent_id, name = choice["agent_id"], choice["name"]
        await case.tell(
            "issue.assigned",
            facts.IssueAssigned(
                key=case.key, agent_id=agent_id, agent=name, department=department, operation=operation,
                reason=choice["reason"],
            ),
        )  # fmt: skip
        await case.move("in-progress", f"{operation} by {name}", actor=Actor("agent", name), details=_why(choice))
        task_id = await case.run.spawn(
            f"{department}.work", WorkAssignment(issue_key=case.key, operation=operation),
            priority=int(case.priority), deadline_at=case.deadline_at, agent_id=agent_id, choice=choice,
        )  # fmt: skip
        await case.tell("issue.started", facts.IssueStarted(key=case.key, agent_id=agent_id, task_id=task_id))
        outcome = (await case.run.gather([task_id]))[0]
        if outcome.state == TaskState.COMPLETED:
            return WorkReport.model_validate(outcome.result)
        return outcome.reason or f"its task was {outcome.state}"

    async def _give_up(self, case: Case, department: str, failures: list[str], why_nobody: str) -> dict[str, Any]:
        said = "; ".join([*failures, *([why_nobody] if why_nobody else [])])
        status: Literal["failed", "blocked"] = "failed" if failures else "blocked"
        reason = f"no {department} agent could do it: {said}"
        await case.tell(
            "issue.escalated",
            facts.IssueEscalated(
                key=case.key, before=case.priority_name, after=case.priority_name, by="lifecycle", reason=reason
            ),
        )
        return await case.settle(status, reason)


def _why(choice: Choice) -> dict[str, Any]:
    return {"choice": choice["reason"], "barred": choice["barred"]}
