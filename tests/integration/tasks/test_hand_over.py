"""The short way: a due task goes straight to a worker of the same process, and nothing is lost by it."""

import asyncio
from typing import Any

import pytest

from bailiwick.kernel.ids import new_id
from bailiwick.storage.rows import batch
from bailiwick.tasks import Run, Worker
from bailiwick.tasks.limits import Limits
from tests.support.engine import AnyPayload, Engine, until

FUNCTION = "select * from task_hand_over(%s::jsonb, %s::uuid, 'test', %s)"


async def doubled(run: Run, payload: AnyPayload) -> Any:
    return await run.step("double", lambda: payload.n * 2)


async def handed(engine: Engine, **settings: Any) -> Worker:
    worker = await engine.work(**settings)
    engine.queue.hand_to(worker)
    return worker


def row(engine: Engine, **fields: object) -> dict[str, object]:
    return {"id": new_id(), "org": engine.organization_id, "kind": "double", "payload": {"n": 1}, **fields}


async def hand_over(engine: Engine, rows: list[dict[str, object]], worker_id: str, *, again: bool = False) -> list[str]:
    answers = await engine.inspector.fetch_all(FUNCTION, (batch(rows), worker_id, again))
    return [answer["task_id"] for answer in answers]


@pytest.fixture(autouse=True)
def _kinds(engine: Engine) -> None:
    engine.handles("double", doubled)


async def test_a_task_handed_over_is_done_like_any_other(engine: Engine) -> None:
    await handed(engine)
    task = await engine.ended(await engine.add("double", {"n": 21}, priority=1))
    assert (task["state"], task["result"], task["fence"], task["priority"]) == ("completed", 42, 1, 1)
    assert task["code_version"] == "dev"
    assert [step["name"] for step in await engine.steps(task["id"])] == ["double"]


async def test_many_at_once_are_each_done_once(engine: Engine) -> None:
    await handed(engine, concurrency=8)
    tasks = await asyncio.gather(*[engine.add("double", {"n": n}) for n in range(200)])
    rows = await engine.all_ended(tasks)
    assert [task["result"] for task in rows] == [2 * n for n in range(200)]
    assert {task["failures"] + task["recoveries"] for task in rows} == {0}


async def test_what_waits_before_it_goes_first(engine: Engine) -> None:
    worker = await engine.work()
    # A kind that no worker here knows waits for as long as the test needs.
    await engine.inspector.fetch_all("select * from task_enqueue(%s::jsonb)", (batch([row(engine, kind="unknown")]),))
    rows = [row(engine)]
    assert await hand_over(engine, rows, worker.id) == []
    worker.wake()
    assert (await engine.ended(str(rows[0]["id"])))["state"] == "completed"


async def test_a_limited_task_takes_the_long_way(engine: Engine) -> None:
    await Limits(engine.database, engine.wakeups).set(engine.organization_id, "kind:double", max_concurrency=1)
    worker = await engine.work()
    rows = [row(engine)]
    assert await hand_over(engine, rows, worker.id) == []
    worker.wake()
    assert (await engine.ended(str(rows[0]["id"])))["state"] == "completed"


async def test_a_worker_that_was_declared_dead_is_handed_nothing(engine: Engine) -> None:
    worker = await engine.work()
    await engine.inspector.execute("update workers set state = 'dead' where id = %s", (worker.id,))
    rows = [row(engine)]
    assert await hand_over(engine, rows, worker.id) == []
    assert (await engine.ended(str(rows[0]["id"])))["state"] == "completed"


async def test_the_same_call_again_adds_nothing_and_names_what_it_still_holds(engine: Engine) -> None:
    worker_id = new_id()
    await engine.inspector.execute(
        "insert into workers (id, name, host, pid, state, code_version, concurrency, lease_until) "
        "values (%s, 'double', 'here', 1, 'active', 'test', 1, now() + interval '1 hour')",
        (worker_id,),
    )
    rows = [row(engine), row(engine)]
    ids = {str(one["id"]) for one in rows}
    assert set(await hand_over(engine, rows, worker_id)) == ids
    await engine.inspector.fetch_all(
        "select * from task_finish(%s::jsonb)", (batch([{"t": rows[0]["id"], "f": 1, "st": "completed"}]),)
    )
    assert await hand_over(engine, rows, worker_id, again=True) == [rows[1]["id"]]
    count = await engine.inspector.fetch_one("select count(*) as n from tasks")
    assert count is not None
    assert count["n"] == 1


async def test_a_worker_killed_after_the_commit_loses_nothing(engine: Engine) -> None:
    first = await handed(engine)
    started = asyncio.Event()

    async def stuck(run: Run, payload: AnyPayload) -> Any:
        del payload
        if run.task.recoveries == 0:
            started.set()
            await asyncio.Event().wait()
        return "done"

    engine.handles("stuck", stuck)
    task = await engine.add("stuck")
    await started.wait()
    engine.queue.hand_to(None)
    await engine.crash(first)
    await engine.work()
    ended = await engine.ended(task)
    assert (ended["result"], ended["recoveries"]) == ("done", 1)


async def test_one_organization_never_takes_the_slots_kept_for_others(engine: Engine) -> None:
    worker = await handed(engine, concurrency=5)
    release = asyncio.Event()

    async def hold(run: Run, payload: AnyPayload) -> Any:
        del run, payload
        await release.wait()

    engine.handles("hold", hold)
    tasks = [await engine.add("hold") for _ in range(10)]

    async def full() -> bool:
        return worker.executing == 4

    await until(full, "the share of one organization is used")
    release.set()
    await engine.all_ended(tasks)
