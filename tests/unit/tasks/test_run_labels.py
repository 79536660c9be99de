"""Labels of runs: joined by whatever a run learns, never lost, the same however often it begins again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailiwick.events import NewEvent
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import LeaseLostError, NewTask, Run, Task, TaskOutcome, TaskState
from bailiwick.tasks.acting import NoActing, NoExpecting
from bailiwick.tasks.errors import Suspended
from bailiwick.tasks.journal import Journal, JournalEntry
from tests.support.engine import Row
from tests.support.labelled_programs import Program, carried, execute, labels, programs


class _World:
    """Journal and services of one run, in memory; every wait is answered at once."""

    def __init__(self, program: Program, beginning: frozenset[str]) -> None:
        self.program = program
        self.entries: dict[int, JournalEntry] = {}
        self.made: dict[str | None, NewTask] = {}
        self.told: dict[str | None, NewEvent] = {}
        self.acting = NoActing()
        self.expecting = NoExpecting()
        self.writes_left: int | None = None
        self.task = Task(
            new_id(), new_id(), "work", {}, 2, None, None, None, None, 1, 0, 0, "", datetime.now(UTC), False, beginning
        )

    async def live(self) -> tuple[list[frozenset[str]], list[str]]:
        """Begin the run again until it ends; return what its last execution carried after each call."""
        while True:
            seen: list[frozenset[str]] = []
            run = Run(self.task, cast("Journal", self), self, dict(self.entries))
            try:
                return seen, await execute(run, self.program, seen)
            except (Suspended, LeaseLostError):
                self.writes_left = None

    async def record(self, row: Row) -> bool:
        if not self._may_write():
            return False
        self._keep(row["s"], row["k"], row["n"], orjson.loads(orjson.dumps(row["r"])), row.get("l", ()))
        return True

    async def release(self, row: Row) -> bool | None:
        if not self._may_write():
            return None
        result, learned = None, frozenset[str]()
        if row["sk"] == "wait":
            number = int(row["key"].rpartition(":")[2])
            learned = self.program[number].labels
            result = {"id": new_id(), "type": row["ev"], "key": row["key"], "payload": {}, "occurred_at": "now"}
        self._keep(row["ss"], row["sk"], row["sn"], result, learned.union(row.get("l", ())))
        return False

    async def wake_from_history(self, task_id: str) -> None:
        del task_id

    async def enqueue(self, organization_id: str, task: NewTask) -> str:
        del organization_id
        # As the queue does: the first of a key stays.
        self.made.setdefault(task.key, task)
        return f"child of {task.key}"

    async def publish(self, organization_id: str, event: NewEvent) -> str:
        del organization_id
        self.told.setdefault(event.key, event)
        return new_id()

    async def outcomes(self, parent: Task, task_ids: Sequence[str]) -> list[TaskOutcome] | None:
        del parent
        return [
            TaskOutcome(one, TaskState.COMPLETED, None, None, sorted(self._learned(one))) for one in task_ids
        ]  # fmt: skip

    def _learned(self, task_id: str) -> frozenset[str]:
        payload: Any = self.made[task_id.removeprefix("child of ")].payload
        return frozenset(payload["labels"])

    def _may_write(self) -> bool:
        if self.writes_left == 0:
            return False
        self.writes_left = None if self.writes_left is None else self.writes_left - 1
        return True

    def _keep(self, seq: int, kind: str, name: str, result: Any, given: Sequence[str] | frozenset[str]) -> None:
        self.entries[seq] = JournalEntry(seq, kind, name, result, False, frozenset(given))


@settings(max_examples=200, deadline=None)
@given(programs, labels)
async def test_a_run_carries_what_it_began_with_and_all_it_learned_and_nothing_else(
    program: Program, beginning: frozenset[str]
) -> None:
    seen, ended = await _World(program, beginning).live()
    assert seen == list(carried(program, beginning))
    assert ended == sorted([beginning, *seen][-1])
    assert all(before <= after for before, after in zip([beginning, *seen], seen, strict=False))


@settings(max_examples=200, deadline=None)
@given(programs, labels, st.integers(0, 12))
async def test_a_run_that_begins_again_after_a_crash_anywhere_carries_the_same(
    program: Program, beginning: frozenset[str], crash_after: int
) -> None:
    world = _World(program, beginning)
    world.writes_left = crash_after
    first = await world.live()
    assert first == (list(carried(program, beginning)), first[1])
    assert await world.live() == first


@settings(max_examples=200, deadline=None)
@given(programs, labels, st.integers(0, 12))
async def test_what_a_run_makes_carries_all_that_the_run_knew_then(
    program: Program, beginning: frozenset[str], crash_after: int
) -> None:
    world = _World(program, beginning)
    world.writes_left = crash_after
    await world.live()
    before = [beginning, *carried(program, beginning)]
    known_at = {number: before[number] for number in range(len(program))}
    spawned = [number for number, call in enumerate(program) if call.kind in ("spawn", "gather")]
    assert [task.labels for task in world.made.values()] == [known_at[number] for number in spawned]
    published = [number for number, call in enumerate(program) if call.kind == "publish"]
    assert [event.labels for event in world.told.values()] == [
        known_at[number] | program[number].labels for number in published
    ]


@settings(max_examples=50, deadline=None)
@given(programs, labels)
async def test_each_label_is_journaled_once_and_none_that_the_task_had(
    program: Program, beginning: frozenset[str]
) -> None:
    world = _World(program, beginning)
    _, ended = await world.live()
    kept = [label for entry in world.entries.values() for label in entry.labels]
    assert set(kept) | beginning <= set(ended)
    steps = [label for entry in world.entries.values() if entry.kind == "step" for label in entry.labels]
    assert len(steps) == len(set(steps))
    assert not beginning & set(steps)


@pytest.mark.parametrize("label", ["trusted", "untrusted:", "untrusted:Git Hub", "by:user", "by:user:a b", "by::x", ""])
async def test_what_is_no_label_is_refused(label: str) -> None:
    world = _World((), frozenset())
    run = Run(world.task, cast("Journal", world), world)
    with pytest.raises(InvalidInputError, match="no label"):
        run.label(label)
    assert run.labels == frozenset()


def test_nothing_of_a_run_takes_a_label_away() -> None:
    names = {name for name in vars(Run) if "label" in name and not name.startswith("_")}
    assert names == {"label", "labels"}
    assert isinstance(vars(Run)["labels"], property)
    assert vars(Run)["labels"].fset is None
