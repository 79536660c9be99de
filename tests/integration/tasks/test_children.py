"""Spawn and gather: every child once, every outcome in order, whenever the children end."""

import asyncio
from typing import Any

import pytest

from bailiwick.kernel.ids import new_id
from bailiwick.storage.rows import RowFields, batch
from bailiwick.tasks import DiscardTask, Run
from tests.support.engine import AnyPayload, Engine, until


async def child(run: Run, payload: AnyPayload) -> Any:
    del run
    if payload.model_dump().get("fails"):
        raise DiscardTask("told to fail")
    return payload.n * 10


async def parent(run: Run, payload: AnyPayload) -> list[Any]:
    children = [await run.spawn("child", {"n": n, "fails": n in payload.failing}) for n in range(payload.count)]
    outcomes = await run.gather(children)
    assert [outcome.task_id for outcome in outcomes] == children
    return [[outcome.state, outcome.result, outcome.reason] for outcome in outcomes]


async def completed(engine: Engine, task: str) -> list[Any]:
    row = await engine.ended(task, seconds=30)
    assert row["state"] == "completed", row["errors"]
    return row["result"]


@pytest.mark.parametrize("concurrency", [1, 20])
async def test_outcomes_come_in_order_with_results_and_reasons(engine: Engine, concurrency: int) -> None:
    engine.handles("child", child)
    engine.handles("parent", parent)
    await engine.work(concurrency=concurrency)
    task = await engine.add("parent", {"count": 4, "failing": [2]})
    assert await completed(engine, task) == [
        ["completed", 0, None],
        ["completed", 10, None],
        ["discarded", None, "told to fail"],
        ["completed", 30, None],
    ]


async def test_two_hundred_children_are_all_gathered(engine: Engine) -> None:
    engine.handles("child", child)
    engine.handles("parent", parent)
    await engine.work(concurrency=50)
    await engine.work(concurrency=50)
    task = await engine.add("parent", {"count": 200, "failing": []})
    assert await completed(engine, task) == [["completed", n * 10, None] for n in range(200)]


async def test_children_that_ended_before_the_parent_waits_are_gathered_at_once(engine: Engine) -> None:
    async def patient(run: Run, payload: AnyPayload) -> list[Any]:
        children = [await run.spawn("child", {"n": n}) for n in range(3)]

        async def all_children_ended() -> None:
            await engine.all_ended(children)

        await run.step("wait outside", all_children_ended)
        return [outcome.result for outcome in await run.gather(children)] + [payload.n]

    engine.handles("child", child)
    engine.handles("parent", patient)
    await engine.work()
    assert await completed(engine, await engine.add("parent", {"n": 7})) == [0, 10, 20, 7]


async def test_a_cancelled_child_is_an_outcome_too(engine: Engine) -> None:
    async def never(run: Run, payload: AnyPayload) -> None:
        del payload
        await run.sleep(3600)

    engine.handles("child", never)
    engine.handles("parent", parent)
    await engine.work()
    task = await engine.add("parent", {"count": 2, "failing": []})
    await engine.reaches(task, "waiting")
    children = [step["result"] for step in await engine.steps(task) if step["kind"] == "spawn"]
    await engine.control.cancel(engine.organization_id, children, reason="no longer needed")
    assert await completed(engine, task) == [["cancelled", None, "no longer needed"]] * 2


async def test_cancelling_a_parent_ends_its_descendants(engine: Engine) -> None:
    async def never(run: Run, payload: AnyPayload) -> None:
        if payload.depth:
            await run.gather([await run.spawn("never", {"depth": payload.depth - 1})])
        await run.sleep(3600)

    engine.handles("never", never)
    await engine.work()
    task = await engine.add("never", {"depth": 3})

    async def four_wait() -> bool:
        row = await engine.inspector.fetch_one("select count(*) as n from tasks where state = 'waiting'")
        return row is not None and row["n"] == 4

    await until(four_wait, "the whole family waits")
    assert len(await engine.control.cancel(engine.organization_id, [task])) == 4
    rows = await engine.inspector.fetch_all("select state::text from finished_tasks")
    assert [row["state"] for row in rows] == ["cancelled"] * 4


async def test_grandchildren_are_gathered_by_their_own_parents(engine: Engine) -> None:
    async def tree(run: Run, payload: AnyPayload) -> int:
        if payload.depth == 0:
            return 1
        children = [await run.spawn("tree", {"depth": payload.depth - 1}) for _ in range(3)]
        return 1 + sum(outcome.result for outcome in await run.gather(children))

    engine.handles("tree", tree)
    await engine.work(concurrency=5)
    await engine.work(concurrency=5)
    assert await completed(engine, await engine.add("tree", {"depth": 3})) == 1 + 3 + 9 + 27


async def test_gathering_twice_and_in_parts_works(engine: Engine) -> None:
    async def twice(run: Run, payload: AnyPayload) -> list[Any]:
        children = [await run.spawn("child", {"n": n}) for n in range(payload.n)]
        first = await run.gather(children[:2])
        rest = await run.gather(children[2:])
        again = await run.gather(children)
        assert [*first, *rest] == again
        return [outcome.result for outcome in again]

    engine.handles("child", child)
    engine.handles("parent", twice)
    await engine.work()
    assert await completed(engine, await engine.add("parent", {"n": 5})) == [0, 10, 20, 30, 40]


async def test_gathering_what_is_no_child_and_has_not_ended_is_refused(engine: Engine) -> None:
    async def thief(run: Run, payload: AnyPayload) -> None:
        await run.gather([payload.task])

    async def never(run: Run, payload: AnyPayload) -> None:
        del payload
        await run.sleep(3600)

    engine.handles("thief", thief)
    engine.handles("never", never)
    await engine.work()
    other = await engine.add("never")
    ended = await engine.ended(await engine.add("thief", {"task": other}))
    assert ended["state"] == "discarded"
    assert "is no child of" in ended["reason"]


async def test_a_child_that_ends_exactly_while_its_parent_begins_to_wait_is_never_missed(engine: Engine) -> None:
    """Many small families at once on two workers: any lost wake-up would leave a parent waiting."""
    engine.handles("child", child)
    engine.handles("parent", parent)
    for _ in range(2):
        await engine.work(concurrency=30)
    tasks = await asyncio.gather(*[engine.add("parent", {"count": 1 + n % 3, "failing": []}) for n in range(150)])
    for n, row in enumerate(await engine.all_ended(tasks, seconds=30)):
        assert [outcome[1] for outcome in row["result"]] == [i * 10 for i in range(1 + n % 3)]


async def test_children_inherit_urgency_cause_and_organization(engine: Engine) -> None:
    engine.handles("child", child)
    engine.handles("parent", parent)
    await engine.work()
    task = await engine.add("parent", {"count": 1, "failing": []}, priority=0)
    await completed(engine, task)
    row = await engine.inspector.fetch_one(
        "select priority, organization_id, parent_id from finished_tasks where parent_id is not null"
    )
    assert row == {"priority": 0, "organization_id": engine.organization_id, "parent_id": task}


async def test_a_child_redriven_while_its_siblings_are_awaited_is_awaited_again(engine: Engine) -> None:
    is_mended = False

    async def child(run: Run, payload: AnyPayload) -> str:
        if payload.name == "broken" and not is_mended:
            raise DiscardTask("not yet")
        await run.wait_for("go", key=payload.name)
        return payload.name

    async def parent(run: Run, payload: AnyPayload) -> list[Any]:
        del payload
        outcomes = await run.gather([await run.spawn("child", {"name": name}) for name in ("broken", "slow")])
        return [outcome.result for outcome in outcomes]

    engine.knows("go")
    engine.handles("child", child)
    engine.handles("parent", parent)
    await engine.work()
    task = await engine.add("parent")
    await engine.reaches(task, "waiting")
    broken, slow = [step["result"] for step in await engine.steps(task) if step["kind"] == "spawn"]
    await engine.ended(broken)
    is_mended = True
    assert await engine.control.redrive(engine.organization_id, [broken]) == [broken]
    await engine.reaches_wait(broken, "go")
    await engine.publish("go", "slow")
    await engine.ended(slow)

    async def looked_again() -> bool:
        row = await engine.live(task)
        return row is None or (row["state"] == "waiting" and row["fence"] > 1)

    await until(looked_again, "the parent looked at its children")
    await engine.publish("go", "broken")
    assert await completed(engine, task) == ["broken", "slow"]


async def test_a_child_that_is_being_added_is_cancelled_with_its_parent(engine: Engine) -> None:
    started, stop = asyncio.Event(), asyncio.Event()

    async def parent(run: Run, payload: AnyPayload) -> None:
        del run, payload
        started.set()
        await stop.wait()

    async def waits_for_a_lock() -> bool:
        return cancelling.done() or await engine.inspector.fetch_one(
            "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ) is not None  # fmt: skip

    engine.handles("parent", parent)
    await engine.work()
    task = await engine.add("parent")
    await started.wait()
    child = new_id()
    row: RowFields = {"id": child, "org": engine.organization_id, "kind": "child", "parent": task, "pf": 1}
    async with engine.inspector.transaction() as connection:
        await connection.execute("select task_enqueue(%s::jsonb)", (batch([row]),))
        cancelling = asyncio.create_task(engine.control.cancel(engine.organization_id, [task]))
        await until(waits_for_a_lock, "the cancellation comes upon the child")
    assert sorted(await cancelling) == sorted([task, child])
    assert await engine.live(child) is None


async def test_a_parent_that_is_being_cancelled_is_given_no_more_children(engine: Engine) -> None:
    started, stop = asyncio.Event(), asyncio.Event()

    async def parent(run: Run, payload: AnyPayload) -> None:
        started.set()
        await stop.wait()
        await run.spawn("child", {})

    async def waits_for_a_lock() -> bool:
        return await engine.inspector.fetch_one(
            "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ) is not None  # fmt: skip

    engine.handles("parent", parent)
    engine.handles("child", child)
    await engine.work()
    task = await engine.add("parent")
    await started.wait()
    async with engine.inspector.transaction() as connection:
        await connection.execute(
            "select task_cancel(%s, array[%s::uuid], 'no longer needed')", (engine.organization_id, task)
        )
        stop.set()
        await until(waits_for_a_lock, "the child waits for the end of its parent")
    await until(lambda: _idle(engine), "the run is over")
    assert await engine.inspector.fetch_all("select id from tasks") == []


async def _idle(engine: Engine) -> bool:
    return engine.workers[0].executing == 0
