"""Workers, publishers and people all at the same tasks at once: no deadlock, no crash, nothing stuck, no slot lost."""

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from bailiwick.tasks import Run
from tests.support.engine import AnyPayload, Engine, until

pytestmark = [pytest.mark.durability, pytest.mark.timeout(180)]

_TASKS = 240
_MOVES = 250
_KEYS = 7


async def family(run: Run, payload: AnyPayload) -> int:
    children = [await run.spawn("child", {"n": n}) for n in range(3)]
    for _ in range(2):
        await run.wait_for("bell", key=str(payload.n % _KEYS), timeout_seconds=0.3)
        await run.sleep(0.01)
    return len(await run.gather(children))


async def child(run: Run, payload: AnyPayload) -> None:
    await run.sleep(0.01 * payload.n)
    await run.step("work", int)


async def disturb(engine: Engine, seed: int) -> None:
    """Pause, resume, cancel and ring bells, in an order that the seed decides."""
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    control, organization = engine.control, engine.organization_id
    for _ in range(_MOVES):
        rows = await engine.inspector.fetch_all("select id from tasks")
        some = [row["id"] for row in chance.sample(rows, min(20, len(rows)))]
        match chance.randrange(5):
            case 0:
                await control.pause(organization, some)
            case 1 | 2:
                await control.resume(organization, some)
            case 3:
                await control.cancel(organization, some[:1])
            case _:
                await engine.publish("bell", str(chance.randrange(_KEYS)))


async def test_everything_at_once_ends_well(login_url: str) -> None:
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(Engine(login_url)) for _ in range(3)]
        workers = []
        for engine in engines:
            engine.organization_id = engines[0].organization_id
            engine.knows("bell")
            engine.handles("family", family)
            engine.handles("child", child)
            workers.append(await engine.work(concurrency=30))
            engine.queue.hand_to(workers[-1])
        disturbances = [asyncio.create_task(disturb(engine, seed)) for seed, engine in enumerate(engines)]
        for number in range(_TASKS):
            await engines[number % 3].add("family", {"n": number})
        await asyncio.gather(*disturbances)
        first = engines[0]

        async def all_ended() -> bool:
            rows = await first.inspector.fetch_all("select id, is_paused from tasks")
            paused = [row["id"] for row in rows if row["is_paused"]]
            await first.control.resume(first.organization_id, paused)
            return not rows

        await until(all_ended, "every task ends", seconds=60, every_seconds=0.1)

        async def all_idle() -> bool:
            return sum(worker.executing for worker in workers) == 0

        await until(all_idle, "every slot is free")
        ended = await first.inspector.fetch_all("select kind, state::text, recoveries, failures from finished_tasks")
        assert {row["state"] for row in ended} <= {"completed", "cancelled"}
        assert sum(row["recoveries"] + row["failures"] for row in ended) == 0
        assert sum(row["kind"] == "family" for row in ended) == _TASKS
        [row] = await first.inspector.fetch_all(
            "select deadlocks from pg_stat_database where datname = current_database()"
        )
        assert row == {"deadlocks": 0}
