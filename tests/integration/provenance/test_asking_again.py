"""Whoever brings work to run again asks for what comes of it, beside whoever asked first."""

import pytest

from bailiwick.audit import SYSTEM, Actor
from bailiwick.tasks import Run
from bailiwick.tasks.scheduler import Scheduler
from bailiwick.tasks.schedules import NewSchedule, Schedules
from tests.support.engine import AnyPayload, Engine

ANNA = frozenset({"by:user:anna"})
BERT = Actor("user", "bert", "Bert")
# A service account that Clara set up.
BRIDGE = Actor("service", "bridge", "bridge", makers=frozenset({"user:clara"}))


async def _nothing(run: Run, payload: AnyPayload) -> None:
    del run, payload


async def labels_of(engine: Engine, task_id: str) -> set[str]:
    row = await engine.inspector.fetch_one("select labels from tasks where id = %s", (task_id,))
    assert row is not None
    return set(row["labels"] or ())


@pytest.mark.parametrize(
    ("actor", "joined"),
    [(BERT, {"by:user:bert"}), (BRIDGE, {"by:service:bridge", "by:maker:user:clara"}), (SYSTEM, set[str]())],
)
async def test_who_redrives_asks_beside_who_asked(engine: Engine, actor: Actor, joined: set[str]) -> None:
    engine.handles("work", _nothing)
    task_id = await engine.add("work", labels=ANNA)
    await engine.control.cancel(engine.organization_id, [task_id])
    assert await engine.control.redrive(engine.organization_id, [task_id], actor=actor) == [task_id]
    assert await labels_of(engine, task_id) == ANNA | joined


async def test_who_resumes_asks_beside_who_asked(engine: Engine) -> None:
    engine.handles("work", _nothing)
    task_id, other = [await engine.add("work", labels=ANNA) for _ in range(2)]
    await engine.control.pause(engine.organization_id, [task_id], actor=SYSTEM)
    # Only of what was brought to run again: the other was not paused.
    assert await engine.control.resume(engine.organization_id, [task_id, other], actor=BERT) == [task_id]
    assert await labels_of(engine, task_id) == ANNA | {"by:user:bert"}
    assert await labels_of(engine, other) == ANNA


async def test_a_redriven_run_carries_who_redrove_it(engine: Engine) -> None:
    seen: list[frozenset[str]] = []

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        seen.append(run.labels)

    engine.handles("work", handler)
    task_id = await engine.add("work", labels=ANNA)
    await engine.control.cancel(engine.organization_id, [task_id])
    await engine.control.redrive(engine.organization_id, [task_id], actor=BERT)
    await engine.work()
    await engine.ended(task_id)
    assert seen == [ANNA | {"by:user:bert"}]


class Timed:
    """A schedule of Anna's, and what fires it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.schedules = Schedules(engine.database, engine.kinds, engine.wakeups)
        self.scheduler = Scheduler(engine.database, engine.wakeups)
        engine.handles("tick", _nothing)

    async def put(self, name: str = "tick") -> None:
        wanted = NewSchedule(name, "tick", interval_seconds=3600.0, overlap="allow", labels=ANNA)
        await self.schedules.put(self.engine.organization_id, wanted)

    async def fired(self) -> set[str]:
        """Let it be due, and return the labels of the task it makes."""
        await self.engine.inspector.execute("update schedules set next_fire_at = now()", ())
        assert await self.scheduler.fire_due() == 1
        row = await self.engine.inspector.fetch_one("select labels from tasks order by id desc limit 1")
        assert row is not None
        return set(row["labels"])


async def test_who_fires_a_schedule_asks_for_that_firing_alone(engine: Engine) -> None:
    timed = Timed(engine)
    await timed.put()
    await timed.schedules.fire_now(engine.organization_id, "tick", actor=BERT)
    assert await timed.fired() == ANNA | {"by:user:bert"}
    assert await timed.fired() == ANNA


@pytest.mark.parametrize("how", ["resume", "fire_now"])
async def test_who_ends_a_pause_asks_for_all_that_follows(engine: Engine, how: str) -> None:
    timed = Timed(engine)
    await timed.put()
    await timed.schedules.pause(engine.organization_id, "tick", actor=BERT)
    await getattr(timed.schedules, how)(engine.organization_id, "tick", actor=BRIDGE)
    joined = {"by:service:bridge", "by:maker:user:clara"}
    assert await timed.fired() == ANNA | joined
    assert await timed.fired() == ANNA | joined
    # The timetable and the words are renewed; who let it run is not forgotten.
    await timed.put()
    assert await timed.fired() == ANNA | joined
    assert set((await timed.schedules.get(engine.organization_id, "tick")).labels) == ANNA | joined


async def test_to_resume_what_was_not_paused_is_to_ask_for_nothing(engine: Engine) -> None:
    timed = Timed(engine)
    await timed.put()
    await timed.schedules.resume(engine.organization_id, "tick", actor=BERT)
    assert await timed.fired() == ANNA
