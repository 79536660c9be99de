"""One attempt at a task: call the handler, then write how it ended."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import structlog
from pydantic import BaseModel, ValidationError

from bailiwick.kernel.concerns import Concern, Guard, unguarded
from bailiwick.kernel.documents import MAX_RESULT_BYTES, encode
from bailiwick.kernel.errors import BailiwickError, DatabaseUnavailableError, InvalidPayloadError
from bailiwick.kernel.labels import declared
from bailiwick.storage.connections import is_being_cancelled
from bailiwick.storage.rows import RowFields, raw
from bailiwick.storage.waking import DUE, EVENTS, TASKS, Wakeups
from bailiwick.tasks.errors import LeaseLostError, RetryTask
from bailiwick.tasks.failures import error_record
from bailiwick.tasks.journal import Journal
from bailiwick.tasks.model import Task, TaskKind
from bailiwick.tasks.registry import KindRegistry
from bailiwick.tasks.run import Run
from bailiwick.telemetry.redacting import redacted_json

log = structlog.get_logger(__name__)

# Told after every attempt: the task, and the error it failed with or None.
Observer = Callable[[Task, Exception | None], None]


class Attempts:
    """Carries out runs: completes, retries or discards their tasks."""

    def __init__(self, journal: Journal, kinds: KindRegistry, wakeups: Wakeups) -> None:
        self.observers: list[Observer] = []
        # Who tells whether a person consents, for kinds that concern one.
        self.guard: Guard = unguarded
        self._journal = journal
        self._kinds = kinds
        self._wakeups = wakeups

    async def make(self, run: Run) -> str:
        """Run the handler and write how it ended: completed, retryable or discarded.

        Raises:
            Suspended: the run let go of its task at a durable wait.
            LeaseLostError: the task was taken away; nothing was written.
        """
        task = run.task
        kind = self._kinds.get(task.kind)
        try:
            if kind.outside is not None:
                # Tasks that the database makes, and those from before it was declared, did not come by the queue.
                run.label(*declared(run.labels, kind.outside))
            result = await _call(kind, run, self.guard)
            row = _end_row(run, "completed")
            row["r"] = raw(redacted_json(encode(result, what="the task's result", limit=MAX_RESULT_BYTES)))
        except LeaseLostError:
            raise
        except DatabaseUnavailableError as error:
            # No failure of the task: it is tried again as soon as there is a database.
            log.warning("run put off", task_id=task.id, kind=task.kind, error=str(error))
            return await self._put_off(run, kind.retry.first_delay_seconds, None)
        except Exception as error:  # noqa: BLE001 - a handler may fail in any way; the policy decides
            return await self._fail(run, kind, error)
        try:
            await self._finish(run, row)
        except psycopg.Error as error:
            return await self._fail(run, kind, error)
        self._observe(task, None)
        return "completed"

    async def give_back(self, run: Run) -> None:
        """Make a task available again whose run was stopped."""
        await self._journal.release({"t": run.task.id, "f": run.task.fence, "st": "available", "c": run.cost})

    def tell_released(self, task: Task) -> None:
        """Announce that a task was let go of until some time."""
        self._wakeups.announce(DUE)
        if task.lane:
            # There is room again in its lane.
            self._wakeups.announce(TASKS)

    async def _fail(self, run: Run, kind: TaskKind, error: Exception) -> str:
        task = run.task
        record = error_record(error, task.attempt)
        self._observe(task, error)
        delay = error.delay_seconds if isinstance(error, RetryTask) else None
        allowed = kind.retry.delay_seconds(task.failures + 1)
        if allowed is None or (isinstance(error, BailiwickError) and not error.retryable):
            row = _end_row(run, "discarded")
            row["why"] = record["message"]
            row["e"] = record
            try:
                await self._finish(run, row)
            except psycopg.Error as refused:
                # Not even this can be written, as where a clock is months off. Left to itself the task would begin
                # anew at once and for ever.
                log.exception("a task cannot be ended; it is put off", task_id=task.id, kind=task.kind)
                return await self._put_off(run, kind.retry.max_delay_seconds, error_record(refused, task.attempt))
            self._wakeups.announce(EVENTS)
            return "discarded"
        return await self._put_off(run, allowed if delay is None else delay, record)

    async def _put_off(self, run: Run, delay: float, record: dict[str, object] | None) -> str:
        row: RowFields = {"t": run.task.id, "f": run.task.fence, "st": "retryable", "delay": delay, "c": run.cost}
        if record is not None:
            row["e"] = record
        await self._journal.release(row)
        self.tell_released(run.task)
        return "retryable"

    async def _finish(self, run: Run, row: RowFields) -> None:
        ended = await self._journal.finish(row)
        if not ended.was_held:
            raise LeaseLostError(f"task {run.task.id} was taken from this worker before it ended")
        if ended.has_lane or ended.woke_parent:
            self._wakeups.announce(TASKS)

    def _observe(self, task: Task, error: Exception | None) -> None:
        for observer in self.observers:
            observer(task, error)


async def _call(kind: TaskKind, run: Run, guard: Guard) -> Any:
    """Return the handler's result; whatever ends it is an Exception, a durable wait, or our own cancellation."""
    timeout = asyncio.timeout(kind.timeout_seconds)
    try:
        async with timeout:
            payload = _payload(kind, run)
            if kind.concern is not None:
                await _ask_first(kind.concern, run, payload, guard)
            return await kind.handler(run, payload)
    except TimeoutError as error:
        if timeout.expired():
            raise TimeoutError(f"timed out after {kind.timeout_seconds:g} s") from error
        raise
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        # Else nobody would write an end of the task: its holder lives and does not execute it.
        raise RuntimeError("the handler awaited something that was cancelled") from error
    except SystemExit as error:
        raise RuntimeError(f"the handler tried to end the process: {error!r}") from error


async def _ask_first(concern: Concern, run: Run, payload: BaseModel, guard: Guard) -> None:
    subject = concern.subject(payload)
    if subject is not None:
        # The same question before every new step: a withdrawal has effect on what runs.
        run.permit = partial(guard, run.task.organization_id, subject, concern.purpose)
        await run.permit()


def _payload(kind: TaskKind, run: Run) -> BaseModel:
    try:
        return kind.payload.model_validate(run.task.payload)
    except ValidationError as error:
        # It was checked when the task was added: the schema has changed since.
        raise InvalidPayloadError(f"the payload does not fit the present schema of {kind.name}: {error}") from error


def _end_row(run: Run, state: str) -> RowFields:
    row: RowFields = {"t": run.task.id, "f": run.task.fence, "st": state}
    if run.cost:
        row["c"] = run.cost
    if run.labels is not run.task.labels:
        row["l"] = sorted(run.labels)
    if run.task.parent_id is not None:
        row["p"] = run.task.parent_id
    return row
