"""The run context: what a handler uses to do durable work."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, NoReturn, ParamSpec, TypeVar, cast, overload

import orjson

from bailiwick.events import NewEvent
from bailiwick.kernel.documents import MAX_RESULT_BYTES, encode
from bailiwick.kernel.ids import id_at, time_of
from bailiwick.kernel.labels import checked
from bailiwick.storage.rows import RowFields, raw
from bailiwick.tasks.acting import Acted, Effect, Expectation
from bailiwick.tasks.errors import MAX_DELAY_SECONDS, JournalMismatchError, LeaseLostError, Suspended
from bailiwick.tasks.journal import Journal, JournalEntry
from bailiwick.tasks.model import Labelled, NewTask, Task, TaskOutcome
from bailiwick.tasks.services import Services
from bailiwick.telemetry.redacting import redacted_json

P = ParamSpec("P")
T = TypeVar("T")

_PLAIN = (type(None), bool, int, float, str)
_MAX_CHARGE = 1_000_000_000

# How much later than its id says an event may be committed: clocks differ, and a
# publisher may have waited for the database.
_LATE_BY = timedelta(minutes=5)


class Run:
    """One execution of a task. Everything awaited here is durable when it returns.

    After a crash the handler runs again from its top; steps that finished return
    what they returned before. So a handler must reach the same calls in the same
    order from the same payload and results; time, chance and the outside world
    belong inside steps.

    A run carries labels: those of its task, joined with those of everything it
    learned from. What it makes carries them on; nothing takes one away.
    """

    __slots__ = ("_cost", "_journal", "_journaled", "_labels", "_recorded", "_seq", "_services", "permit", "task")

    def __init__(
        self, task: Task, journal: Journal, services: Services, recorded: dict[int, JournalEntry] | None = None
    ) -> None:
        self.task = task
        self._journal = journal
        self._services = services
        self._recorded = recorded or {}
        self._seq = 0
        self._cost = 0.0
        self._labels = task.labels
        # Those that the task and its journal hold; the others go into the next row.
        self._journaled = task.labels
        # Asked before every new step; raises when the person concerned does not consent (any more).
        self.permit: Callable[[], Awaitable[None]] | None = None

    @property
    def cost(self) -> float:
        """What this stretch of execution was charged so far."""
        return self._cost

    def charge(self, amount: float) -> None:
        """Add to the task's cost, in the organization's currency."""
        # As much as is kept; what is no number is none of it.
        if not 0 <= amount <= _MAX_CHARGE:
            raise ValueError(f"a charge cannot be negative, nor more than {_MAX_CHARGE:,}")
        self._cost += amount

    @property
    def labels(self) -> frozenset[str]:
        """Where what this run knows by now comes from, and who asked for it."""
        return self._labels

    def label(self, *labels: str) -> None:
        """Join labels to those of the run: call it before anything is made of what they are about.

        They are journaled with the next step. Call it as the handler's code or a
        step's result has it, so that a run that begins again calls it again.

        Raises:
            InvalidInputError: one of them is no label.
        """
        self._join(checked(labels))

    @overload
    async def step(
        self,
        name: str,
        fn: Callable[P, Awaitable[Labelled[T]]] | Callable[P, Labelled[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...

    @overload
    async def step(
        self, name: str, fn: Callable[P, Awaitable[T]] | Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    async def step(self, name: str, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run ``fn`` once and journal its result; later executions return it unrun.

        A plain function runs in a thread, so it may block or compute. The result
        must be JSON-able and comes back as JSON gives it (tuples as lists). If
        ``fn`` raises, nothing is journaled and the task's retry policy decides.
        Where ``fn`` returns ``Labelled(value, labels)``, the result is ``value``
        and the run carries the labels from here on, after a crash as well.
        A crash between ``fn``'s effect and its journaling runs it again: make
        ``fn`` idempotent, for example by the key ``run.step_key(name)``.

        Raises:
            InvalidPayloadError, PayloadTooLargeError: the result cannot be journaled.
            LeaseLostError: the task was taken from this worker; stop.
            ForbiddenError: the person whom the task concerns does not consent; ``fn`` was not called.
        """
        seq, entry = self._next("step", name)
        if entry is not None:
            return entry.result
        await self._ask()
        started = time.perf_counter()
        value: object = await _called(fn, *args, **kwargs)
        if isinstance(value, Labelled):
            self._join(checked(value.labels))
            value = cast("object", value.value)
        return await self._record(seq, "step", name, value, started)

    def step_key(self, name: str) -> str:
        """Return a key that names one step of this task for ever, for idempotent effects."""
        return f"{self.task.id}:{self._seq}:{name}"

    async def sleep(self, seconds: float) -> None:
        """Let go of the worker and go on that much later, by the database's clock."""
        if not 0 <= seconds <= MAX_DELAY_SECONDS:
            raise ValueError(f"cannot sleep for less than nothing, nor for more than {MAX_DELAY_SECONDS:,} s")
        await self._suspend("sleep", "sleep", {"delay": seconds})

    async def wait_for(
        self, event_type: str, *, key: str, timeout_seconds: float | None = None
    ) -> dict[str, Any] | None:
        """Let go of the worker until an event of this type and key is recorded.

        Events count from the task's creation on, each at most once per type and
        key; one that came before this call answers it at once. Returns the event
        as ``{id, type, key, payload, occurred_at}``, or None after the timeout.
        """
        if timeout_seconds is not None and not 0 <= timeout_seconds <= MAX_DELAY_SECONDS:
            raise ValueError(f"timeout_seconds is 0 to {MAX_DELAY_SECONDS:,}")
        had: list[str] = []
        for entry in self._recorded.values():
            answer = entry.result
            if entry.kind == "wait" and answer and (answer["type"], answer["key"]) == (event_type, key):
                had.append(answer["id"])
        after = id_at(time_of(max([self.task.id, *had])) - _LATE_BY)
        fields: RowFields = {"ev": event_type, "key": key, "after": after, "delay": timeout_seconds}
        fields["seen"] = [event_id for event_id in had if event_id > after]
        return cast("dict[str, Any] | None", await self._suspend("wait", event_type, fields))

    async def spawn(
        self,
        kind: str,
        payload: Any,
        *,
        priority: int | None = None,
        deadline_at: Any = None,
        agent_id: str | None = None,
        choice: dict[str, Any] | None = None,
    ) -> str:
        """Add a child task, once, and return its id.

        Priority and deadline are this task's unless given.
        """
        seq, entry = self._next("spawn", kind)
        if entry is not None:
            return cast("str", entry.result)
        await self._ask()
        started = time.perf_counter()
        child = NewTask(
            kind,
            payload,
            priority=self.task.priority if priority is None else priority,
            deadline_at=self.task.deadline_at if deadline_at is None else deadline_at,
            agent_id=agent_id,
            parent_id=self.task.id,
            parent_fence=self.task.fence,
            cause_id=self.task.cause_id,
            # A crash before the journaling finds the child again by this key.
            key=f"spawn:{self.task.id}:{seq}",
            choice=choice,
            labels=self._labels,
        )
        child_id = await self._services.enqueue(self.task.organization_id, child)
        return await self._record(seq, "spawn", kind, child_id, started)

    async def gather(self, task_ids: Sequence[str]) -> list[TaskOutcome]:
        """Let go of the worker until all these children have ended; return how, in order.

        Raises:
            ConflictError: one of them is no child of this task and has not ended.
        """
        if not task_ids:
            return []
        seq, name, awaited = self._seq, f"{len(task_ids)} tasks", RowFields(ch=list(task_ids))
        await self._suspend("gather", name, awaited)

        async def outcomes() -> Labelled[list[TaskOutcome]]:
            ended = await self._services.outcomes(self.task, task_ids)
            if ended is None:
                # One was redriven while its siblings were awaited: now it is awaited again.
                await self._let_go(seq, "gather", name, awaited)
            return Labelled(ended, {label for outcome in ended for label in outcome.labels})

        # Journaled as JSON, so what comes back are the fields of outcomes.
        rows = cast("list[dict[str, Any]]", await self.step("gather.outcomes", outcomes))
        return [TaskOutcome(**row) for row in rows]

    async def publish(self, event: NewEvent) -> str:
        """Record an event, once, and return its id."""
        seq, entry = self._next("publish", event.type)
        if entry is not None:
            return cast("str", entry.result)
        await self._ask()
        started = time.perf_counter()
        once = NewEvent(
            event.type,
            event.payload,
            event.key,
            event.dedupe_key or f"run:{self.task.id}:{seq}",
            event.occurred_at,
            # Never another's: nobody may pass off what it tells as somebody else's word.
            self.task.id,
            (self.task.id, self.task.fence),
            event.labels | self._labels,
        )
        event_id = await self._services.publish(self.task.organization_id, once)
        return await self._record(seq, "publish", event.type, event_id, started)

    async def act(self, effect: Effect) -> Acted:
        """Change something outside the journal, once and only as far as there is authority; return what became of it.

        The only way to do so. It may let go of the worker for days while people
        decide. Nothing is raised where it is declined or fails: ``state`` and
        ``reason`` say so, and the handler goes on as it finds right.

        Raises:
            InvalidInputError: no such tool, or arguments that do not fit it.
        """
        return await self._services.acting.act(self, effect)

    async def expect(self, expectation: Expectation) -> str:
        """State once what should be true later if this task's result is right; return the id of the outcome.

        A durable timer looks when the time has come and writes whether it
        worked, with evidence. What an effect promises goes with the ``Effect``.

        Raises:
            UnknownKindError, InvalidPayloadError: no such check, or arguments that do not fit it.
        """
        return await self._services.expecting.expect(self, expectation)

    async def patched(self, name: str) -> bool:
        """Tell whether this run takes the code path of a change made while runs were under way.

        True for runs that reach this line for the first time, False for those
        whose journal is already past it without the mark: they keep the old path.
        """
        entry = self._recorded.get(self._seq)
        if entry is not None and (entry.kind, entry.name) != ("patch", name):
            return False
        seq, entry = self._next("patch", name)
        if entry is None:
            await self._record(seq, "patch", name, value=True, started=time.perf_counter())
        return True

    def _fresh_labels(self) -> list[str]:
        return [] if self._labels is self._journaled else sorted(self._labels - self._journaled)

    def _join(self, labels: frozenset[str]) -> None:
        if not labels <= self._labels:
            self._labels |= labels

    async def _ask(self) -> None:
        if self.permit is not None:
            await self.permit()

    def _next(self, kind: str, name: str) -> tuple[int, JournalEntry | None]:
        seq = self._seq
        self._seq += 1
        entry = self._recorded.get(seq)
        if entry is not None and (entry.kind, entry.name) != (kind, name):
            raise JournalMismatchError(
                f"step {seq} of task {self.task.id} is journaled as {entry.kind} {entry.name!r}, "
                f"but the handler now calls {kind} {name!r}; guard the change with run.patched(), "
                f"or fork the task from step {seq}"
            )
        if entry is not None and entry.labels:
            self._join(entry.labels)
            self._journaled |= entry.labels
        return seq, entry

    async def _record(self, seq: int, kind: str, name: str, value: T, started: float) -> T:
        given = encode(value, what=f"result of step {name!r}", limit=MAX_RESULT_BYTES)
        encoded = redacted_json(given)
        row: RowFields = {
            "t": self.task.id,
            "f": self.task.fence,
            "s": seq,
            "k": kind,
            "n": name,
            "r": raw(encoded),
            "ms": (time.perf_counter() - started) * 1000,
        }
        labels = self._labels
        if fresh := self._fresh_labels():
            row["l"] = fresh
        if not await self._journal.record(row):
            raise LeaseLostError(f"task {self.task.id} was taken from this worker before step {name!r} was journaled")
        self._journaled = labels
        # The same shape now as after a crash, so that no handler works only once.
        return value if isinstance(value, _PLAIN) and encoded is given else cast("T", orjson.loads(encoded))

    async def _suspend(self, kind: str, name: str, fields: RowFields) -> object:
        seq, entry = self._next(kind, name)
        if entry is not None and not entry.is_open:
            return entry.result
        return await self._let_go(seq, kind, name, fields)

    async def _let_go(self, seq: int, kind: str, name: str, fields: RowFields) -> NoReturn:
        row: RowFields = {
            "t": self.task.id, "f": self.task.fence, "st": "waiting",
            "ss": seq, "sk": kind, "sn": name, "c": self._cost, **fields,
        }  # fmt: skip
        if fresh := self._fresh_labels():
            row["l"] = fresh
        await self._journal.release(row)
        if kind == "wait":
            await self._journal.wake_from_history(self.task.id)
        raise Suspended


async def _called(fn: Callable[P, Awaitable[T]] | Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    if inspect.iscoroutinefunction(fn):
        return cast("T", await fn(*args, **kwargs))
    value = await asyncio.to_thread(fn, *args, **kwargs)
    return cast("T", await value if inspect.isawaitable(value) else value)
