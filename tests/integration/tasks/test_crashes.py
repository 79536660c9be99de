"""A worker may die at any moment: what was journaled is not done again, the rest is."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import psycopg
import pytest

from bailiwick.events import NewEvent
from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.tasks import LeaseLostError, Run, Task, Worker
from tests.support.engine import AnyPayload, Engine, until

_BOUNDARIES = 11


class Journey:
    """A handler with every durable call in it, that stands still once at one of its boundaries."""

    def __init__(self, stop_at: int) -> None:
        self.stop_at = stop_at
        self.has_stopped = asyncio.Event()
        self.calls: Counter[str] = Counter()

    async def boundary(self, number: int) -> None:
        if number == self.stop_at and not self.has_stopped.is_set():
            self.has_stopped.set()
            await asyncio.Event().wait()

    async def call(self, name: str, boundary: int) -> str:
        self.calls[name] += 1
        await self.boundary(boundary)
        return name

    async def child(self, run: Run, payload: AnyPayload) -> int:
        del run
        self.calls["child"] += 1
        return payload.n

    async def handler(self, run: Run, payload: AnyPayload) -> list[Any]:
        await self.boundary(0)
        first = await run.step("first", self.call, "first", 1)
        await self.boundary(2)
        await run.sleep(0.01)
        await self.boundary(3)
        child = await run.spawn("child", {"n": 5})
        await self.boundary(4)
        [outcome] = await run.gather([child])
        await self.boundary(5)
        event = await run.publish(NewEvent("journey.called", {"n": 1}, key=run.task.id))
        await self.boundary(6)
        answer = await run.wait_for("journey.called", key=run.task.id)
        await self.boundary(7)
        is_new = await run.patched("a change")
        await self.boundary(8)
        last = await run.step("last", self.call, "last", 9)
        await self.boundary(10)
        assert answer is not None
        return [first, outcome.result, answer["id"] == event, is_new, last, payload.n]


@pytest.mark.parametrize("stop_at", range(_BOUNDARIES))
async def test_a_task_goes_on_after_a_crash_at_any_boundary(engine: Engine, stop_at: int) -> None:
    journey = Journey(stop_at)
    engine.knows("journey.called")
    engine.handles("journey", journey.handler)
    engine.handles("child", journey.child)
    doomed = await engine.work()
    task = await engine.add("journey", {"n": 9})
    await asyncio.wait_for(journey.has_stopped.wait(), 10)
    await engine.crash(doomed)
    await engine.work()
    ended = await engine.ended(task)
    assert ended["result"] == ["first", 5, True, True, "last", 9]
    assert ended["recoveries"] == 1
    assert ended["failures"] == 0
    # Only what was cut off before it was written down ran again; the child may have been.
    cut_off = {1: "first", 9: "last"}.get(stop_at)
    assert {name: journey.calls[name] for name in ("first", "last")} == {
        name: 2 if name == cut_off else 1 for name in ("first", "last")
    }
    assert journey.calls["child"] == 1 or stop_at == 4
    events = await engine.inspector.fetch_all("select id from events")
    assert len(events) == 1


async def test_a_run_whose_task_was_taken_away_writes_nothing_more(engine: Engine) -> None:
    """Neither steps nor children nor events nor an end: the fence has moved on."""
    refused: list[str] = []
    go_on = asyncio.Event()
    entered = asyncio.Event()

    async def stubborn(run: Run, payload: AnyPayload) -> str:
        if run.task.fence > 1:
            return "by the second"
        entered.set()
        await go_on.wait()
        for name, attempt in (
            ("spawn", lambda: run.spawn("stubborn", {})),
            ("publish", lambda: run.publish(NewEvent("journey.called", {}, key="x"))),
            ("step", lambda: run.step("late", str)),
        ):
            try:
                await attempt()
            except LeaseLostError as error:
                refused.append(f"{name}: {type(error).__name__}")
        del payload
        return "by the first"

    engine.knows("journey.called")
    engine.handles("stubborn", stubborn)
    first = await engine.work(drain_seconds=0.1)
    task = await engine.add("stubborn")
    await asyncio.wait_for(entered.wait(), 10)
    for loop in first._loops:
        # It neither beats nor claims any more, so it does not learn that its lease lapsed.
        loop.cancel()
    await engine.inspector.execute("update workers set lease_until = heartbeat_at where id = %s", (first.id,))
    second = await engine.work()
    await engine.inspector.fetch_all("select * from worker_reap(%s, 5)", (second.id,))
    second.wake()
    assert (await engine.ended(task))["result"] == "by the second"
    go_on.set()
    await until(partial(_is_idle, first), "the first run ends")
    assert refused == ["spawn: LeaseLostError", "publish: LeaseLostError", "step: LeaseLostError"]
    assert await engine.steps(task) == []
    assert await engine.inspector.fetch_all("select id from events") == []
    assert len(await engine.inspector.fetch_all("select id from finished_tasks")) == 1
    assert await engine.inspector.fetch_all("select id from tasks") == []


async def _is_idle(worker: Worker) -> bool:
    return worker.executing == 0


async def test_a_claim_whose_answer_was_lost_is_given_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(run: Run, payload: AnyPayload) -> str:
        del run, payload
        return "done"

    engine.handles("work", handler)
    engine._lease_seconds = 0.9
    worker = await engine.work()
    call = worker._journal._channels["claim"].call
    losses = 0

    async def lossy(sql: Any, params: Any) -> Any:
        nonlocal losses
        rows = await call(sql, params)
        if "task_claim" in sql and rows:
            losses += 1
            if losses <= 2:
                raise psycopg.OperationalError("the connection was lost after the commit")
        return rows

    monkeypatch.setattr(worker._journal._channels["claim"], "call", lossy)
    ended = await engine.ended(await engine.add("work"), seconds=5)
    assert ended["result"] == "done"
    assert losses == 3
    assert ended["recoveries"] == 0


async def test_a_task_whose_end_could_not_be_written_is_given_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(run: Run, payload: AnyPayload) -> int:
        del payload
        return run.task.fence

    engine.handles("work", handler)
    engine._lease_seconds = 0.9
    worker = await engine.work()
    finish = worker._journal.finish
    failures = 0

    async def failing(row: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ValueError("the engine itself is broken")
        return await finish(row)

    monkeypatch.setattr(worker._journal, "finish", failing)
    assert (await engine.ended(await engine.add("work"), seconds=5))["result"] == 3


async def test_a_worker_that_lost_its_lease_drops_its_runs_and_works_on_under_a_new_identity(engine: Engine) -> None:
    entered = asyncio.Event()
    ends: list[str] = []

    async def handler(run: Run, payload: AnyPayload) -> int:
        del payload
        if run.task.fence == 1:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                # Slow to let go: the worker claims the same task again meanwhile.
                await asyncio.sleep(0.2)
                ends.append("first")
        return run.task.fence

    engine.handles("work", handler)
    worker = await engine.work()
    before = worker.id
    task = await engine.add("work")
    await asyncio.wait_for(entered.wait(), 10)
    await engine.inspector.execute("update workers set lease_until = heartbeat_at where id = %s", (before,))
    await engine.inspector.fetch_all("select * from worker_reap(%s, 5)", (task,))
    worker.wake()
    assert (await engine.ended(task))["result"] == 3
    assert worker.id != before
    await until(partial(_is_idle, worker), "the superseded run ends, too")
    assert ends == ["first"]
    rows = await engine.inspector.fetch_all("select state from workers order by id")
    assert [row["state"] for row in rows] == ["dead", "active"]


async def test_draining_gives_back_what_does_not_end_in_time(engine: Engine) -> None:
    entered = asyncio.Event()

    async def handler(run: Run, payload: AnyPayload) -> str:
        del payload
        await run.step("once", str)
        if run.task.fence == 1:
            entered.set()
            await asyncio.Event().wait()
        return "done elsewhere"

    engine.handles("work", handler)
    worker = await engine.work(drain_seconds=0.05)
    task = await engine.add("work")
    await asyncio.wait_for(entered.wait(), 10)
    await worker.stop()
    engine.workers.remove(worker)
    row = await engine.live(task)
    assert row is not None
    assert (row["state"], row["worker_id"], row["recoveries"]) == ("available", None, 0)
    await engine.work()
    assert (await engine.ended(task))["result"] == "done elsewhere"
    rows = await engine.inspector.fetch_all("select state from workers order by id")
    assert [row["state"] for row in rows] == ["stopped", "active"]


@pytest.mark.parametrize("ending", ["cancelled", "exits", "no database"])
async def test_a_handler_that_ends_in_an_odd_way_is_tried_again(engine: Engine, ending: str) -> None:
    async def handler(run: Run, payload: AnyPayload) -> int:
        del payload
        if run.task.fence == 1:
            if ending == "exits":
                raise SystemExit(3)
            if ending == "no database":
                raise DatabaseUnavailableError("gone for a moment")
            inner = asyncio.create_task(asyncio.sleep(60))
            inner.cancel()
            await inner
        return run.task.failures

    engine.handles("odd", handler)
    await engine.work()
    ended = await engine.ended(await engine.add("odd"))
    assert ended["state"] == "completed"
    # An absent database is no failure of the task.
    assert ended["result"] == (0 if ending == "no database" else 1)


async def test_a_run_stopped_before_its_first_turn_leaves_no_trace(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(run: Run, payload: AnyPayload) -> int:
        del payload
        return run.task.fence

    engine.handles("work", handler)
    engine._lease_seconds = 0.9
    worker = await engine.work()
    start = worker._start

    def start_and_stop(task: Task, recorded: Any) -> None:
        start(task, recorded)
        if task.fence == 1:
            # Word that the task was taken away comes at once, and is wrong.
            worker._drop_if_taken(task.id)

    monkeypatch.setattr(worker, "_start", start_and_stop)
    # Given back by the worker itself, under a fence that raises the next claim's to 3.
    assert (await engine.ended(await engine.add("work"), seconds=5))["result"] == 3
    await until(partial(_is_idle, worker), "every slot is free again")
