"""What runs reach through the engine: other tasks, events, outcomes."""

from collections.abc import Sequence
from typing import Protocol

from bailiwick.events import EventLog, NewEvent
from bailiwick.kernel.errors import ConflictError
from bailiwick.storage import Database
from bailiwick.tasks.acting import Acting, Expecting, NoActing, NoExpecting
from bailiwick.tasks.model import NewTask, Task, TaskOutcome, TaskState
from bailiwick.tasks.queue import TaskQueue


class Services(Protocol):
    """What a run needs from the rest of the engine."""

    @property
    def acting(self) -> Acting:
        """Who carries out effects."""
        ...

    @property
    def expecting(self) -> Expecting:
        """Who keeps what is expected of results."""
        ...

    async def enqueue(self, organization_id: str, task: NewTask) -> str:
        """Add a task and return its id, an earlier one's if the key was used."""
        ...

    async def publish(self, organization_id: str, event: NewEvent) -> str:
        """Record an event and return its id."""
        ...

    async def outcomes(self, parent: Task, task_ids: Sequence[str]) -> list[TaskOutcome] | None:
        """Return how tasks ended, in the order asked; None while one of them is a child that has not.

        Raises:
            ConflictError: one has not ended and is no child of ``parent``.
        """
        ...


class EngineServices:
    """The engine's own implementation of what a run needs."""

    def __init__(
        self,
        queue: TaskQueue,
        events: EventLog,
        database: Database,
        acting: Acting | None = None,
        expecting: Expecting | None = None,
    ) -> None:
        self.acting: Acting = acting or NoActing()
        self.expecting: Expecting = expecting or NoExpecting()
        self._queue = queue
        self._events = events
        self._database = database

    async def enqueue(self, organization_id: str, task: NewTask) -> str:
        """Add a task and return its id, an earlier one's if the key was used."""
        return (await self._queue.enqueue(organization_id, task)).task_id

    async def publish(self, organization_id: str, event: NewEvent) -> str:
        """Record an event and return its id."""
        return (await self._events.publish(organization_id, [event]))[0].event_id

    async def outcomes(self, parent: Task, task_ids: Sequence[str]) -> list[TaskOutcome] | None:
        """Return how tasks ended, in the order asked; None while one of them is a child that has not.

        Raises:
            ConflictError: one has not ended and is no child of ``parent``.
        """
        rows = await self._database.fetch_all(
            # One statement: a task that ends in this moment is in one of the two.
            "select id, state::text, result, reason, coalesce(result_labels, labels, '{}') as labels "
            "from finished_tasks where organization_id = %(org)s and id = any(%(ids)s::uuid[]) "
            "union all select id, null, null, null, '{}' from tasks "
            "where parent_id = %(parent)s and organization_id = %(org)s and id = any(%(ids)s::uuid[])",
            {"org": parent.organization_id, "parent": parent.id, "ids": list(task_ids)},
            organization_id=parent.organization_id,
        )
        strange = set(task_ids) - {row["id"] for row in rows}
        if strange:
            raise ConflictError(
                f"task {min(strange)} has not ended and is no child of {parent.id}; gather what this run spawned"
            )
        if any(row["state"] is None for row in rows):
            return None
        found = {
            row["id"]: TaskOutcome(row["id"], TaskState(row["state"]), row["result"], row["reason"], row["labels"])
            for row in rows
        }
        return [found[task_id] for task_id in task_ids]
