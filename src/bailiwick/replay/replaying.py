"""Replays: the present code runs over a recorded journal, and the first difference is told.

Nothing is done: steps, events, waits and children answer as they were recorded,
and what was not recorded is not answered at all. A path that asks for it has
diverged from the recording; what would have come then is not guessed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, cast

import orjson
from pydantic import BaseModel, ValidationError

from bailiwick.events import NewEvent
from bailiwick.kernel.documents import MAX_RESULT_BYTES, encode, misfits
from bailiwick.kernel.errors import BailiwickError, DatabaseUnavailableError
from bailiwick.replay.recording import RecordedRun
from bailiwick.storage.rows import RowFields
from bailiwick.tasks import NewTask, Run, Task, TaskOutcome
from bailiwick.tasks.acting import Acting, Effect, Expectation, Expecting, NoActing
from bailiwick.tasks.failures import error_record
from bailiwick.tasks.journal import Journal, JournalEntry
from bailiwick.tasks.model import Handler

Outcome = Literal["same", "diverged", "undetermined"]

# By ("task", kind) and ("event", type): what is filled in before it is recorded.
Schemas = Mapping[tuple[Literal["task", "event"], str], type[BaseModel]]

TIMEOUT_SECONDS = 60.0
"""How long a replay may take: nothing is waited for in one."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found.

    ``same``: the present code took the recorded path and came to the recorded
    end; with ``is_cut`` only as far as was recorded, because the run itself did
    not complete. ``diverged``: at step ``seq`` (None: at the end), where
    ``recorded`` and ``now`` are the two sides. ``undetermined``: it could not be
    tried; ``detail`` says what is missing. ``agreed`` counts the steps before.
    """

    outcome: Outcome
    agreed: int
    detail: str
    seq: int | None = None
    recorded: Any = None
    now: Any = None
    is_cut: bool = False

    @property
    def is_same(self) -> bool:
        """Tell whether no difference was found; False also where none could be looked for."""
        return self.outcome == "same"


class Stopped(BaseException):
    """The replay goes no further. Not an ``Exception``, so that a handler's own ``except`` lets it pass."""

    def __init__(self, replayed: Replayed) -> None:
        super().__init__(replayed.detail)
        self.replayed = replayed


class ReplayedRun(Run):
    """A run whose every call is answered from a recording, and compared with it as far as it was recorded."""

    __slots__ = ("_schemas", "recording")

    def __init__(self, recording: RecordedRun, acting: Acting, schemas: Schemas | None = None) -> None:
        super().__init__(recording.task, cast("Journal", _NoJournal()), _NoServices(acting), recording.journal)
        self.recording = recording
        self._schemas = schemas or {}

    @property
    def place(self) -> int:
        """The number of the next step."""
        return self._seq

    async def spawn(self, kind: str, payload: Any, **given: Any) -> str:
        """Return the recorded child's id; a child given something else is a difference."""
        entry = self._entry("spawn", kind)
        child = None if entry is None else self.recording.children.get(entry.result)
        if child is not None:
            self._compare(f"spawns {kind} with", child.payload, payload, self._schemas.get(("task", kind)))
        return await super().spawn(kind, payload, **given)

    async def publish(self, event: NewEvent) -> str:
        """Return the recorded event's id; another content is a difference."""
        entry = self._entry("publish", event.type)
        published = None if entry is None else self.recording.events.get(entry.result)
        if published is not None and published.is_own:
            schema = self._schemas.get(("event", event.type))
            if event.key is not None:
                self._compare(f"publishes {event.type} about", published.key, event.key)
            self._compare(f"publishes {event.type} saying", published.payload, event.payload, schema)
        return await super().publish(event)

    async def wait_for(
        self, event_type: str, *, key: str, timeout_seconds: float | None = None
    ) -> dict[str, Any] | None:
        """Return the recorded answer; waiting for another key is a difference."""
        entry = self._entry("wait", event_type)
        if entry is not None and entry.result:
            self._compare(f"waits for {event_type} of", entry.result["key"], key)
        return await super().wait_for(event_type, key=key, timeout_seconds=timeout_seconds)

    async def patched(self, name: str) -> bool:
        """Answer as recorded; behind the end of a completed run's journal it keeps the old path, which ended there."""
        if self.recording.is_complete and self._seq not in self._recorded:
            return False
        return await super().patched(name)

    def compare_expectation(self, expectation: Expectation) -> None:
        """Stop the replay where something else is expected of the result than was recorded."""
        entry = self._entry("step", f"expect {expectation.check}")
        stated = None if entry is None else self.recording.outcomes.get(entry.result)
        if stated is not None:
            now = {"claim": expectation.claim, "arguments": dict(expectation.arguments)}
            self._compare("expects", stated, now)

    def compare_effect(self, effect: Effect, schema: type[BaseModel] | None) -> None:
        """Stop the replay where another effect is proposed than was recorded in this place."""
        entry = self._entry("step", f"propose {effect.tool}")
        was = next((one for one in self.recording.effects if one["seq"] == self._seq), None)
        if entry is not None and was is not None:
            self._compare(f"proposes {effect.tool} with", was["arguments"], effect.arguments, schema)
            self._compare(f"proposes {effect.tool} because of", was["reason"], effect.reason)

    def diverge(self, recorded: Any, now: Any, detail: str) -> NoReturn:
        """Stop the replay at this step, with both sides."""
        raise Stopped(Replayed("diverged", self._seq, detail, self._seq, recorded, now))

    def _entry(self, kind: str, name: str) -> JournalEntry | None:
        """Return what is recorded in this place, if it is that call."""
        entry = self._recorded.get(self._seq)
        return entry if entry is not None and (entry.kind, entry.name) == (kind, name) else None

    def _compare(self, what: str, recorded: Any, given: Any, schema: type[BaseModel] | None = None) -> None:
        now, is_whole = _plain(given, schema)
        if now != recorded and (is_whole or not _is_within(now, recorded)):
            self.diverge(recorded, now, f"step {self._seq}: the handler {what} something else")

    def _next(self, kind: str, name: str) -> tuple[int, JournalEntry | None]:
        seq = self._seq
        entry = self._recorded.get(seq)
        asked = f"{kind} {name!r}"
        if entry is None and not self.recording.is_complete:
            raise Stopped(_cut(self.recording, seq))
        if entry is None:
            self.diverge(None, asked, f"step {seq}: the recorded run had ended, and the handler asks for {asked}")
        if (entry.kind, entry.name) != (kind, name):
            was = f"{entry.kind} {entry.name!r}"
            self.diverge(was, asked, f"step {seq}: {was} is recorded, and the handler asks for {asked}")
        if entry.is_open:
            raise Stopped(_cut(self.recording, seq))
        return super()._next(kind, name)


async def replay(
    recording: RecordedRun,
    handler: Handler,
    payload: type[BaseModel],
    *,
    acting: Acting | None = None,
    schemas: Schemas | None = None,
) -> Replayed:
    """Run the present code over a recording and return the first difference; nothing is done outside.

    ``payload`` is the handler's schema, ``acting`` answers ``run.act`` from the
    recording, and ``schemas`` are those of what the run may spawn and publish.
    """
    run = ReplayedRun(recording, acting or NoActing(), schemas)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            result = await handler(run, payload.model_validate(recording.task.payload))
    except Stopped as stopped:
        return stopped.replayed
    except DatabaseUnavailableError:
        return Replayed(
            "undetermined", run.place,
            f"cannot determine: behind step {run.place - 1} the handler reads the database outside of a step, "
            "and a replay has none",
        )  # fmt: skip
    except ValidationError as error:
        return Replayed(
            "diverged",
            0,
            "the recorded payload does not fit the present schema",
            0,
            None,
            _misfits(error),
        )
    except Exception as error:  # noqa: BLE001 - a handler may fail in any way; the recording says which was its own
        return _failed(recording, run, error)
    return _ended(recording, run, result)


def _ended(recording: RecordedRun, run: ReplayedRun, result: object) -> Replayed:
    try:
        now = orjson.loads(encode(result, what="the task's result", limit=MAX_RESULT_BYTES))
    except BailiwickError as error:
        return Replayed("diverged", run.place, f"at the end: {error}", None, recording.result, str(error))
    following = recording.journal.get(run.place)
    if following is not None:
        was = f"{following.kind} {following.name!r}"
        detail = f"step {run.place}: {was} is recorded, and the handler has ended"
        return Replayed("diverged", run.place, detail, run.place, was, now)
    if not recording.is_complete and recording.error is None:
        return _cut(recording, run.place)
    if not recording.is_complete:
        was = f"{recording.state}: {recording.reason or 'no reason given'}"
        return Replayed("diverged", run.place, "at the end: the recorded run did not complete", None, was, now)
    if now != recording.result:
        return Replayed("diverged", run.place, "at the end: the result is another one", None, recording.result, now)
    return Replayed("same", run.place, f"{run.place} steps and the result are as recorded")


def _failed(recording: RecordedRun, run: ReplayedRun, error: Exception) -> Replayed:
    record = error_record(error, recording.task.attempt)
    now = f"{record['error']}: {record['message']}"
    if recording.is_complete or recording.error is None:
        return Replayed(
            "diverged", run.place, f"behind step {run.place - 1}: the handler fails", None,
            recording.state if recording.result is None else recording.result, now,
        )  # fmt: skip
    was = f"{recording.error.get('error')}: {recording.error.get('message')}"
    if recording.error.get("error") != record["error"]:
        return Replayed("diverged", run.place, "at the end: it fails in another way", None, was, now)
    return Replayed("same", run.place, f"{run.place} steps and the failure are as recorded", None, was, now)


def _cut(recording: RecordedRun, seq: int) -> Replayed:
    why = f"the run was {recording.state}" + (f": {recording.reason}" if recording.reason else "")
    return Replayed("same", seq, f"{seq} steps are as recorded; the recording ends there, because {why}", is_cut=True)


def _plain(given: Any, schema: type[BaseModel] | None) -> tuple[Any, bool]:
    """Return what is given as JSON, and whether it is whole: with the defaults of its schema, as it is recorded."""
    if schema is not None and not isinstance(given, schema):
        try:
            given = schema.model_validate(given)
        except ValidationError as error:
            return f"what does not fit the schema: {misfits(error, whole='payload', most=5)}", True
    return orjson.loads(encode(given)), isinstance(given, BaseModel)


def _is_within(now: Any, recorded: Any) -> bool:
    """Tell whether all that is given was recorded; without a schema nobody knows its defaults."""
    if not isinstance(now, dict) or not isinstance(recorded, dict):
        return bool(now == recorded)
    given, was = cast("dict[str, Any]", now), cast("dict[str, Any]", recorded)
    return all(name in was and _is_within(value, was[name]) for name, value in given.items())


def _misfits(error: ValidationError) -> str:
    return misfits(error, whole="payload", most=5)


class _NoServices:
    """The rest of the engine, which a replay never reaches: `ReplayedRun` stops before."""

    def __init__(self, acting: Acting) -> None:
        self.acting = acting

    @property
    def expecting(self) -> Expecting:
        return _RecordedExpecting()

    async def enqueue(self, organization_id: str, task: NewTask) -> str:
        raise AssertionError(f"a replay spawned {task.kind} in {organization_id}")

    async def publish(self, organization_id: str, event: NewEvent) -> str:
        raise AssertionError(f"a replay published {event.type} in {organization_id}")

    async def outcomes(self, parent: Task, task_ids: Sequence[str]) -> list[TaskOutcome] | None:
        raise AssertionError(f"a replay looked at {len(task_ids)} tasks of {parent.id}")


class _RecordedExpecting:
    """Answers expectations of results as they were recorded; another claim is a difference."""

    async def expect(self, run: Run, expectation: Expectation) -> str:
        if isinstance(run, ReplayedRun):
            run.compare_expectation(expectation)
        return await run.step(f"expect {expectation.check}", _never)


async def _never() -> str:
    raise AssertionError("a replay ran a step")


class _NoJournal:
    async def record(self, row: RowFields) -> bool:
        raise AssertionError(f"a replay journaled {row['n']!r}")

    async def release(self, row: RowFields) -> bool | None:
        raise AssertionError(f"a replay let go of its task at {row.get('sn')!r}")
