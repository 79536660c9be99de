"""The checker is silent on a sound engine and reports every planted bug."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bailiwick.tasks import KindRegistry, Worker
from tests.support.engine import Engine, kind_of, until
from tests.support.history import Note, Recorder, State, read, state_of, violations
from tests.support.recorded_work import BEFORE_THE_END, RecordedWork

pytestmark = [pytest.mark.durability, pytest.mark.timeout(180)]


def plant(url: str, function: str, *changes: tuple[str, str]) -> None:
    """Replace a database function by one with a bug in it."""
    folder = files("bailiwick.storage") / "migrations" / "sql"
    text = "\n\n".join(path.read_text() for path in folder.iterdir() if path.name.endswith(".sql"))
    found = re.search(rf"create function {function}\(.*?\n(?:end )?\$\$;", text, re.DOTALL)
    assert found
    body = found.group().replace("create function", "create or replace function", 1)
    for right, wrong in changes:
        assert right in body, f"{function} has changed; plant the bug anew"
        body = body.replace(right, wrong)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(body)  # type: ignore[arg-type]
        connection.execute("select engine_function(oid::regprocedure) from pg_proc where proname = %s", (function,))


async def freeze(engine: Engine, worker: Worker) -> None:
    """Let a worker's lease lapse as if its process stood still, and its tasks go to others."""
    for loop in worker._loops:
        loop.cancel()
    await engine.inspector.execute("update workers set lease_until = heartbeat_at where id = %s", (worker.id,))
    await engine.inspector.fetch_all("select * from worker_reap(gen_random_uuid(), 5)")


class Stage:
    """Two workers, each with handlers that note what they do."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.door = Recorder(folder, "door")
        self.works = [RecordedWork(Recorder(folder, f"worker-{n}")) for n in range(2)]
        # The door needs to know the kind as well.
        engine.handles("work", self.works[0].handle)

    async def add(self, steps: int) -> str:
        task = await self.engine.add("work", {"steps": steps})
        self.door.note("enqueued", task)
        return task

    async def worker(self, number: int) -> Worker:
        kinds = KindRegistry()
        kinds.register(kind_of("work", self.works[number].handle))
        worker = await self.engine.work(drain_seconds=0.2, kinds=kinds)
        worker.observers.append(self.works[number].observe)
        return worker

    async def violations(self) -> list[str]:
        for work in self.works:
            work.recorder.close()
        self.door.close()
        return violations(read(self.folder), state_of(self.engine.login_url))


@pytest.fixture
def stage(engine: Engine, tmp_path: Path) -> Stage:
    return Stage(engine, tmp_path)


async def crash_in_the_middle(stage: Stage) -> None:
    """A worker dies after two of four steps; another goes on."""
    stage.works[0].gate(2)
    doomed = await stage.worker(0)
    task = await stage.add(4)
    await asyncio.wait_for(stage.works[0].entered[2].wait(), 10)
    await stage.engine.crash(doomed)
    await stage.worker(1)
    await _ends(stage, task)


async def freeze_in(stage: Stage, gate: int, gate_of_other: int | None) -> None:
    """A worker stands still; another goes on, to the end or to a gate of its own; then the first goes on."""
    stage.works[0].gate(gate)
    frozen = await stage.worker(0)
    task = await stage.add(3)
    await asyncio.wait_for(stage.works[0].entered[gate].wait(), 10)
    await freeze(stage.engine, frozen)
    if gate_of_other is not None:
        stage.works[1].gate(gate_of_other)
    await stage.worker(1)
    if gate_of_other is None:
        await _ends(stage, task)
    else:
        await asyncio.wait_for(stage.works[1].entered[gate_of_other].wait(), 10)
    stage.works[0].gates[gate].set()

    async def is_done() -> bool:
        return frozen.executing == 0

    await until(is_done, "the frozen run ends")
    if gate_of_other is not None:
        stage.works[1].gates[gate_of_other].set()
        await _ends(stage, task)


async def _ends(stage: Stage, task: str) -> None:
    with suppress(AssertionError):
        # A planted bug may keep it from ending; that shows in the history.
        await stage.engine.ended(task, seconds=3)


SCENARIOS = {
    "crash": crash_in_the_middle,
    "freeze": partial(freeze_in, gate=2, gate_of_other=None),
    "overlap": partial(freeze_in, gate=1, gate_of_other=2),
    "late end": partial(freeze_in, gate=BEFORE_THE_END, gate_of_other=BEFORE_THE_END),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_sound_engine_breaks_no_promise(stage: Stage, scenario: str) -> None:
    await SCENARIOS[scenario](stage)
    assert await stage.violations() == []


_KEPT = "               g.inserted_at, g.started_at, g.labels, g.learned\n        from gone g"


@pytest.mark.parametrize(
    ("scenario", "function", "changes", "symptom"),
    [
        # Lock without token: whoever holds the row may write.
        ("freeze", "task_claim", [("fence = t.fence + 1, ", "fence = 1, ")], "held by two"),
        ("overlap", "task_claim", [("fence = t.fence + 1, ", "fence = 1, ")], "held by two"),
        ("overlap", "task_journal", [("t.fence = r.f and ", "")], "accepted when stale"),
        (
            "overlap",
            "task_journal",
            [("t.fence = r.f and ", ""), ("do nothing", "do update set result = excluded.result")],
            "changed",
        ),
        ("late end", "task_finish", [("t.fence = r.f and ", "")], "accepted when stale"),
        # The journal says yes and writes nothing.
        ("crash", "task_journal", [("from held h\n        --", "from held h where false\n        --")], "ran again"),
        # The end says yes and keeps nothing.
        ("crash", "task_finish", [(_KEPT, f"{_KEPT} where false")], "lost"),
    ],
)  # fmt: skip
async def test_a_planted_bug_is_reported(
    stage: Stage, scenario: str, function: str, changes: Sequence[tuple[str, str]], symptom: str
) -> None:
    plant(stage.engine.login_url, function, *changes)
    with suppress(AssertionError):
        await SCENARIOS[scenario](stage)
    found = await stage.violations()
    assert any(line.startswith(symptom) for line in found), found


async def test_an_acknowledgement_before_the_commit_is_reported(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = stage.engine.queue._channel
    call = channel.call

    async def hasty(sql: Any, params: Any) -> Any:
        with psycopg.connect(stage.engine.url) as connection:
            connection.execute(sql, params)
            connection.rollback()
        return []

    monkeypatch.setattr(channel, "call", hasty)
    await stage.add(1)
    monkeypatch.setattr(channel, "call", call)
    [found] = await stage.violations()
    assert found.startswith("lost: ")


def test_each_rule_reports_what_it_is_for() -> None:
    """By hand, so that no rule depends on what the engine can be made to do."""

    def history(*notes: tuple[str, int, str, int, str, Any]) -> list[Note]:
        return [Note(n, *note[:1], *note[2:3], "t", note[3], note[4], note[5]) for n, note in enumerate(notes)]

    def row(fence: int = 1) -> dict[str, Any]:
        return {"id": "t", "state": "completed", "fence": fence}

    ended = State({}, {"t": [row()]}, {})
    cases = [
        ([("a", 0, "ended", 1, "", None), ("b", 0, "ended", 2, "", None)], ended, "ended twice"),
        ([("a", 0, "began", 1, "", None)], State({"t": row()}, {"t": [row()]}, {}), "ended twice"),
        ([("a", 0, "ended", 1, "", None)], State({"t": row()}, {}, {}), "lost end"),
        ([("a", 0, "step_acknowledged", 1, "s", 5)], ended, "lost step"),
        ([("a", 0, "step_acknowledged", 1, "s", 5)], State({}, {}, {("t", "s"): {"result": 6}}), "changed"),
        (
            [("a", 0, "step_acknowledged", 1, "s", 5), ("b", 0, "step_began", 2, "s", None)],
            State({}, {}, {("t", "s"): {"result": 5}}),
            "ran again",
        ),
        ([("a", 0, "began", 1, "", None), ("b", 0, "began", 1, "", None)], ended, "held by two"),
        (
            [("a", 0, "began", 2, "", None), ("b", 0, "ending", 1, "", None), ("b", 0, "ended", 1, "", None)],
            ended,
            "accepted when stale",
        ),
        ([("a", 0, "enqueued", 0, "", None)], State({}, {}, {}), "lost"),
    ]
    for notes, state, symptom in cases:
        found = violations(history(*notes), state)
        assert [line.split(":")[0] for line in found] == [symptom], (notes, found)
