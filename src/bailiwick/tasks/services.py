"""What runs reach through the engine: other tasks, events, outcomes."""

from collections.abc import Sequence

from bailiwick.events import EventLog, NewEvent
from bailiwick.storage import Database
from bailiwick.tasks.acting import Acting, Expecting, NoActing, NoExpecting
from bailiwick.tasks.model import NewTask, TaskOutcome, TaskState
from bailiwick.tasks.queue import TaskQueue


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

    async def outcomes(self, organization_id: str, task_ids: Sequence[str]) -> list[TaskOutcome]:
        """Return how finished tasks ended, in the order asked."""
        rows = await self._database.fetch_all(
            "select id, state::text, result, reason, coalesce(result_labels, labels, '{}') as labels "
            "from finished_tasks "
            "where organization_id = %s and id = any(%s::uuid[])",
            (organization_id, list(task_ids)),
            organization_id=organization_id,
        )
        found = {
            row["id"]: TaskOutcome(row["id"], TaskState(row["state"]), row["result"], row["reason"], row["labels"])
            for row in rows
        }
        return [found[task_id] for task_id in task_ids if task_id in found]
