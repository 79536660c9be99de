"""One issue on its way through the lifecycle: durable steps that move it, store what was found and tell it."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bailiwick.connectors.issues import IssueRecord
from bailiwick.events import NewEvent
from bailiwick.packs.operations import event_types as facts
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.repository import Actor, IssueStore
from bailiwick.packs.operations.status import IssueStatus
from bailiwick.tasks import Run

LIFECYCLE = Actor("rule", "lifecycle")

_SETTLED: Mapping[IssueStatus, str] = {
    "done": "issue.done",
    "review": "issue.in_review",
    "blocked": "issue.blocked",
    "failed": "issue.failed",
}

_NAMES: Mapping[Priority, facts.PriorityName] = {
    Priority.P0: "P0",
    Priority.P1: "P1",
    Priority.P2: "P2",
    Priority.P3: "P3",
}


class ClosedMeanwhileError(Exception):
    """The issue was closed while it was worked on; the lifecycle has nothing more to do."""


class Case:
    """An issue in the hands of one run. Every method is one or two journaled steps."""

    def __init__(self, run: Run, store: IssueStore, issue: IssueRecord) -> None:
        self.run = run
        self.store = store
        self.issue = issue
        self.key = issue.key
        self.organization_id = run.task.organization_id
        self.priority = Priority(run.task.priority)
        self.deadline_at: datetime | None = None
        # How many sentences were set aside as orders to an automated reader.
        self.set_aside = 0

    @property
    def priority_name(self) -> facts.PriorityName:
        """The priority as people say it."""
        return _NAMES[self.priority]

    async def move(
        self, to: IssueStatus, reason: str, *, actor: Actor = LIFECYCLE, details: Mapping[str, Any] | None = None
    ) -> None:
        """Move the issue and write the transition.

        Raises:
            ClosedMeanwhileError: somebody closed it in between.
        """
        made_by = self.run.step_key(to)
        done = await self.run.step(f"to {to}", self._move, to, reason, actor, made_by, details)
        if done["state"] == "closed" or not done["is_moved"]:
            raise ClosedMeanwhileError(f"{self.key} is {done['status']}, closed meanwhile")

    async def settle(
        self, to: IssueStatus, reason: str, *, actor: Actor = LIFECYCLE, details: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Move the issue to where it rests, tell it, and return the lifecycle's answer."""
        await self.move(to, reason, actor=actor, details=details)
        await self.tell(_SETTLED[to], facts.IssueSettled(key=self.key, reason=reason))
        return {"issue": self.key, "status": to, "reason": reason}

    async def tell(self, event_type: str, fact: facts.IssueFact) -> None:
        """Publish a fact about the issue."""
        await self.run.publish(NewEvent(event_type, fact, fact.key))

    async def set(self, values: Mapping[str, Any]) -> None:
        """Store columns of the issue, outside any step of its own: only for use inside steps."""
        await self.store.set(self.organization_id, self.key, values)

    async def _move(
        self, to: IssueStatus, reason: str, actor: Actor, made_by: str, details: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        done = await self.store.move(
            self.organization_id, self.key, to, actor=actor, reason=reason, made_by=made_by, details=details
        )
        return asdict(done)
