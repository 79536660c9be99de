"""The door to the engine: add tasks, and move them by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import orjson

from bailiwick.kernel.clock import check_moment
from bailiwick.kernel.errors import InvalidInputError, QuotaExceededError
from bailiwick.kernel.ids import new_id
from bailiwick.storage.batching import Batcher
from bailiwick.storage.channel import Channel
from bailiwick.storage.refusals import Exhausted
from bailiwick.storage.rows import RowFields, batch
from bailiwick.storage.waking import DUE, TASKS, Wakeups
from bailiwick.tasks.errors import MAX_DELAY_SECONDS
from bailiwick.tasks.model import Enqueued, NewTask, Task
from bailiwick.tasks.registry import KindRegistry
from bailiwick.tasks.rows import new_task_row


class Executor(Protocol):
    """The worker in this process, to which a new task may go without a detour."""

    @property
    def id(self) -> str:
        """The identity under which it holds leases."""
        ...

    @property
    def code_version(self) -> str:
        """The version that a task remembers as the one that started it."""
        ...

    def reserve(self, organization_id: str) -> bool:
        """Keep a slot free for a task of that organization, if there is one."""
        ...

    def release(self, organization_id: str) -> None:
        """Give a reserved slot back."""
        ...

    def begin(self, task: Task) -> None:
        """Execute a task in a reserved slot."""
        ...


@dataclass(slots=True)
class _Addition:
    organization_id: str
    task_id: str
    row: RowFields
    task: NewTask
    payload: bytes
    was_sent: bool = False

    @property
    def is_due(self) -> bool:
        return self.task.delay_seconds is None and self.task.run_at is None

    @property
    def may_be_handed_over(self) -> bool:
        # Keys and fences of parents are checked on the long way only.
        return self.task.key is None and self.task.parent_id is None and self.is_due

    def as_task(self, inserted_at: datetime) -> Task:
        return Task(
            self.task_id, self.organization_id, self.task.kind, orjson.loads(self.payload), self.task.priority,
            self.task.deadline_at, self.task.agent_id, None, self.task.cause_id, 1, 0, 0, "", inserted_at, False,
            self.task.labels,
        )  # fmt: skip


class TaskQueue:
    """Adds tasks durably. Safe to share by everything in one event loop."""

    def __init__(self, url: str, kinds: KindRegistry, wakeups: Wakeups) -> None:
        self.kinds = kinds
        self._wakeups = wakeups
        self._channel = Channel(url, application="bailiwick enqueue")
        self._batcher: Batcher[_Addition, Enqueued] = Batcher(self._flush, patience_seconds=30)
        self._executor: Executor | None = None
        self._exhausted = Exhausted()

    def hand_to(self, executor: Executor | None) -> None:
        """Let due tasks go straight to a worker of this process while it has room for them.

        Only where nothing of the organization waits before them: the order of
        claims, limits and shares hold as ever.
        """
        self._executor = executor

    async def open(self) -> None:
        """Start taking tasks."""
        self._batcher.start()

    async def close(self) -> None:
        """Write what was handed in, then stop."""
        await self._batcher.close()
        await self._channel.close()

    async def enqueue(self, organization_id: str, task: NewTask) -> Enqueued:
        """Add one task; once this returns it survives any crash.

        Concurrent calls share commits. With ``task.key``, a second call of the
        same key in the organization returns the first task's id.

        Raises:
            UnknownKindError, InvalidPayloadError, PayloadTooLargeError: refused, nothing was added.
            QuotaExceededError: the organization's tasks of the month are used up.
            DatabaseUnavailableError: not acknowledged; with a key it is safe to call again.
        """
        if self.kinds.get(task.kind).is_metered:
            self._exhausted.check(organization_id)
        try:
            return await self._batcher.put(self._addition(organization_id, task))
        except QuotaExceededError as error:
            self._exhausted.note(error)
            raise

    async def enqueue_many(self, organization_id: str, tasks: Sequence[NewTask]) -> list[Enqueued]:
        """Add tasks in as few commits as possible; all are checked before the first is added."""
        if any(self.kinds.get(task.kind).is_metered for task in tasks):
            self._exhausted.check(organization_id)
        try:
            return await self._batcher.put_many([self._addition(organization_id, task) for task in tasks])
        except QuotaExceededError as error:
            self._exhausted.note(error)
            raise

    def _addition(self, organization_id: str, task: NewTask) -> _Addition:
        if not 0 <= task.priority <= 3:
            raise InvalidInputError(f"priority {task.priority} does not exist; use 0 (P0, most urgent) to 3 (P3)")
        for name, moment in (("deadline_at", task.deadline_at), ("run_at", task.run_at)):
            if moment is not None:
                check_moment(moment, name)
        if task.delay_seconds is not None and not task.delay_seconds <= MAX_DELAY_SECONDS:
            raise InvalidInputError(f"delay_seconds is at most {MAX_DELAY_SECONDS:,}")
        task = self.kinds.labelled(task)
        payload = self.kinds.encode_payload(task.kind, task.payload)
        task_id = new_id()
        row = new_task_row(task_id, organization_id, task, payload)
        return _Addition(organization_id, task_id, row, task, payload)

    async def _flush(self, additions: list[_Addition]) -> list[Enqueued]:
        answers = [Enqueued(addition.task_id, True) for addition in additions]
        executor = self._executor
        if executor is None:
            await self._add(additions, answers)
            return answers
        short: list[_Addition] = []
        long: list[_Addition] = []
        for addition in additions:
            reserved = addition.may_be_handed_over and executor.reserve(addition.organization_id)
            (short if reserved else long).append(addition)
        if short:
            await self._hand_over(short, executor)
        if long:
            await self._add(long, answers)
        return answers

    async def _hand_over(self, additions: list[_Addition], executor: Executor) -> None:
        again = _mark_sent(additions)
        begun: dict[str, datetime] = {}
        try:
            rows = await self._channel.call(
                "select * from task_hand_over(%s::jsonb, %s::uuid, %s, %s)",
                (batch([addition.row for addition in additions]), executor.id, executor.code_version, again),
            )
            begun = {row["task_id"]: row["inserted"] for row in rows}
        finally:
            for addition in additions:
                inserted_at = begun.get(addition.task_id)
                if inserted_at is None:
                    executor.release(addition.organization_id)
                else:
                    executor.begin(addition.as_task(inserted_at))
        if len(begun) < len(additions):
            self._wakeups.announce(TASKS)

    async def _add(self, additions: list[_Addition], answers: list[Enqueued]) -> None:
        again = _mark_sent(additions)
        for ordinal, addition in enumerate(additions):
            if addition.task.key is not None:
                addition.row["i"] = ordinal
        rows = await self._channel.call(
            "select * from task_enqueue(%s::jsonb, %s)", (batch([addition.row for addition in additions]), again)
        )
        for topic, wanted in ((TASKS, True), (DUE, False)):
            if any(addition.is_due is wanted for addition in additions):
                self._wakeups.announce(topic)
        places = {answer.task_id: place for place, answer in enumerate(answers)}
        for row in rows:
            answers[places[additions[row["ordinal"]].task_id]] = Enqueued(row["task_id"], row["is_new"])


def _mark_sent(additions: list[_Addition]) -> bool:
    again = any(addition.was_sent for addition in additions)
    for addition in additions:
        addition.was_sent = True
    return again
