"""The engine wired by hand on one database, as small as a test can make it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from bailiwick.events import EventLog, EventRegistry, EventType, NewEvent
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.roles import application_url
from bailiwick.storage.waking import Wakeups
from bailiwick.tasks import (
    KindRegistry,
    NewTask,
    RetryPolicy,
    TaskKind,
    TaskQueue,
    Upkeep,
    Worker,
    WorkerSettings,
)
from bailiwick.tasks.control import TaskControl
from bailiwick.tasks.model import Handler
from bailiwick.tasks.services import EngineServices
from bailiwick.tasks.subscriptions import Subscriptions

Row = dict[str, Any]


class AnyPayload(BaseModel):
    """A payload that takes whatever it is given."""

    model_config = ConfigDict(extra="allow")

    def __getattr__(self, name: str) -> Any:
        """Give the extra fields to the type checker, too."""
        extra = self.model_extra or {}
        if name in extra:
            return extra[name]
        raise AttributeError(name)


async def until(
    condition: Callable[[], Awaitable[Any]], what: str, *, seconds: float = 15.0, every_seconds: float = 0.01
) -> Any:
    """Return what ``condition`` returns once that is true; fail with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(every_seconds)


def kind_of(
    name: str, handler: Handler, *, retry: RetryPolicy | None = None, timeout_seconds: float = 60.0
) -> TaskKind:
    """Return a kind that takes any payload and is by default tried again at once."""
    return TaskKind(
        name, handler, AnyPayload, retry or RetryPolicy(first_delay_seconds=0.001, factor=1), timeout_seconds
    )


class Engine:
    """Queue, event log, upkeep and any number of workers in this event loop."""

    def __init__(self, login_url: str, *, lease_seconds: float = 10.0, poll_seconds: float = 0.2) -> None:
        self.login_url = login_url
        url = self.url = application_url(login_url)
        self.organization_id = new_id()
        self.kinds = KindRegistry()
        self.types = EventRegistry()
        self.subscriptions = Subscriptions(self.kinds)
        self.wakeups = Wakeups(url)
        # The engine sees one organization at a time; what a test looks with sees all.
        self.database = Database(url)
        self.inspector = Database(login_url)
        self.queue = TaskQueue(url, self.kinds, self.wakeups)
        self.events = EventLog(url, self.types, self.wakeups, self.subscriptions.follow)
        self.services = EngineServices(self.queue, self.events, self.database)
        self.control = TaskControl(self.database, self.wakeups)
        self.workers: list[Worker] = []
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._upkeep: Upkeep | None = None

    def handles(
        self,
        name: str,
        handler: Handler,
        *,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        """Register a handler under a kind, by default tried again at once."""
        self.kinds.register(kind_of(name, handler, retry=retry, timeout_seconds=timeout_seconds))

    def knows(self, *event_types: str) -> None:
        """Register event types that take any payload."""
        for name in event_types:
            self.types.register(EventType(name, 1, AnyPayload))

    async def __aenter__(self) -> Self:
        """Open everything but workers."""
        await self.database.open()
        await self.inspector.open()
        await self.wakeups.start()
        await self.queue.open()
        await self.events.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop workers and close everything."""
        for worker in self.workers:
            await worker.stop()
        if self._upkeep is not None:
            await self._upkeep.stop()
        await self.queue.close()
        await self.events.close()
        await self.wakeups.close()
        await self.inspector.close()
        await self.database.close()

    async def work(
        self, *, concurrency: int = 20, drain_seconds: float = 5.0, kinds: KindRegistry | None = None
    ) -> Worker:
        """Start a worker, by default with this engine's handlers, and the upkeep with the first."""
        worker = Worker(
            self.url,
            kinds or self.kinds,
            self.services,
            self.wakeups,
            WorkerSettings(
                concurrency=concurrency,
                lease_seconds=self._lease_seconds,
                poll_seconds=self._poll_seconds,
                drain_seconds=drain_seconds,
            ),
        )
        await worker.start()
        self.workers.append(worker)
        if self._upkeep is None:
            self._upkeep = Upkeep(self.url, self.wakeups, poll_seconds=self._poll_seconds)
            await self._upkeep.start()
        return worker

    async def crash(self, worker: Worker) -> None:
        """End a worker as if its process were killed and its lease had lapsed."""
        await worker.crash()
        self.workers.remove(worker)
        await self.inspector.execute("update workers set lease_until = heartbeat_at where id = %s", (worker.id,))
        await self.inspector.fetch_all("select * from worker_reap(%s, 5)", (new_id(),))

    async def add(self, kind: str, payload: Any = None, **fields: Any) -> str:
        """Add one task of this engine's organization and return its id."""
        return (await self.queue.enqueue(self.organization_id, NewTask(kind, payload or {}, **fields))).task_id

    async def publish(self, event_type: str, key: str, payload: Any = None, **fields: Any) -> str:
        """Publish one event of this engine's organization and return its id."""
        event = NewEvent(event_type, payload or {}, key=key, **fields)
        return (await self.events.publish(self.organization_id, [event]))[0].event_id

    async def live(self, task_id: str) -> Row | None:
        """Return the row of a task that has not ended."""
        return await self.inspector.fetch_one("select *, state::text as state from tasks where id = %s", (task_id,))

    async def ended(self, task_id: str, *, seconds: float = 15.0) -> Row:
        """Wait until a task has ended and return its row."""

        async def look() -> Row | None:
            return await self.inspector.fetch_one(
                "select *, state::text as state from finished_tasks where id = %s", (task_id,)
            )

        return await until(look, f"task {task_id} ends", seconds=seconds)

    async def all_ended(self, task_ids: Sequence[str], *, seconds: float = 15.0) -> list[Row]:
        """Wait until tasks have ended and return their rows in order."""
        return [await self.ended(task_id, seconds=seconds) for task_id in task_ids]

    async def reaches(self, task_id: str, state: str, *, seconds: float = 15.0) -> Row:
        """Wait until a live task is in a state and return its row."""

        async def look() -> Row | None:
            row = await self.live(task_id)
            return row if row is not None and row["state"] == state else None

        return await until(look, f"task {task_id} becomes {state}", seconds=seconds)

    async def reaches_wait(self, task_id: str, event_type: str) -> Row:
        """Wait until a live task waits for an event of a type and return its row."""

        async def look() -> Row | None:
            row = await self.live(task_id)
            return row if row is not None and row["wait_event"] == event_type else None

        return await until(look, f"task {task_id} waits for {event_type}")

    async def steps(self, task_id: str) -> list[Row]:
        """Return a task's journal in order."""
        return await self.inspector.fetch_all("select * from steps where task_id = %s order by seq", (task_id,))
