"""Who may run how much: limits, shares of organizations, and nobody is starved."""

import asyncio
from collections import Counter

import psycopg
import pytest

from bailiwick.kernel.ids import new_id
from bailiwick.tasks import NewTask, Run
from bailiwick.tasks.limits import Limits
from tests.support.engine import AnyPayload, Engine, until


class Gauge:
    """A handler that measures how many of it run at once."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, run: Run, payload: AnyPayload) -> None:
        group = run.task.organization_id
        self.order.append(str(payload.model_dump().get("name")))
        self.running[group] += 1
        self.most[group] = max(self.most[group], self.running[group])
        await self.gate.wait()
        await asyncio.sleep(0)
        self.running[group] -= 1


@pytest.fixture
def gauge(engine: Engine) -> Gauge:
    gauge = Gauge()
    engine.handles("work", gauge.handle)
    return gauge


async def add_many(engine: Engine, organization: str, count: int, **fields: object) -> list[str]:
    tasks = [NewTask("work", {"name": str(n)}, **fields) for n in range(count)]  # type: ignore[arg-type]
    return [added.task_id for added in await engine.queue.enqueue_many(organization, tasks)]


async def test_a_concurrency_limit_holds_over_all_workers(engine: Engine, gauge: Gauge) -> None:
    await Limits(engine.database, engine.wakeups).set(engine.organization_id, "kind:work", max_concurrency=3)
    for _ in range(3):
        await engine.work(concurrency=10)
    await engine.all_ended(await add_many(engine, engine.organization_id, 60), seconds=30)
    assert gauge.most[engine.organization_id] <= 3


async def test_a_rate_limit_bounds_the_starts_and_the_rest_follows_in_time(engine: Engine, gauge: Gauge) -> None:
    limits = Limits(engine.database, engine.wakeups)
    await limits.set(engine.organization_id, "organization", rate_per_second=20, burst=5)
    await engine.work(concurrency=10)
    tasks = await add_many(engine, engine.organization_id, 15)
    rows = await engine.all_ended(tasks)
    starts = sorted(row["started_at"] for row in rows)
    # Five at once, the other ten at twenty a second.
    assert (starts[-1] - starts[0]).total_seconds() >= 0.45
    assert len(gauge.order) == 15


async def test_a_paused_subject_starts_nothing_until_it_is_resumed(engine: Engine, gauge: Gauge) -> None:
    limits = Limits(engine.database, engine.wakeups)
    await limits.pause(engine.organization_id, "kind:work", reason="stock-taking")
    await engine.work()
    [task] = await add_many(engine, engine.organization_id, 1)
    [other] = await add_many(engine, new_id(), 1)
    await engine.ended(other)
    assert gauge.most[engine.organization_id] == 0
    await limits.resume(engine.organization_id, "kind:work")
    await engine.ended(task)


async def test_what_is_urgent_runs_first_then_what_is_due_first(engine: Engine, gauge: Gauge) -> None:
    for name, priority in (("late", 3), ("normal", 2), ("soon", 1), ("now", 0)):
        await engine.add("work", {"name": name}, priority=priority)
    await engine.work(concurrency=1)

    async def all_ran() -> bool:
        return len(gauge.order) == 4

    await until(all_ran, "all four run")
    assert gauge.order == ["now", "soon", "normal", "late"]


async def test_one_organization_never_takes_every_slot(engine: Engine, gauge: Gauge) -> None:
    """The flood comes in small waves, so that each claim begins just below the share."""
    gauge.gate.clear()
    worker = await engine.work(concurrency=20)
    share = worker._slots.share
    assert share == 16
    for _ in range(10):
        await add_many(engine, engine.organization_id, 3)
        worker.wake()
        await asyncio.sleep(0)

    async def share_is_used() -> bool:
        return worker.executing == share

    await until(share_is_used, "the flood uses its share")
    other = new_id()
    await add_many(engine, other, 1)

    async def other_runs() -> bool:
        return gauge.running[other] == 1

    await until(other_runs, "the other's task starts at once", seconds=5)
    assert gauge.running[engine.organization_id] == share
    gauge.gate.set()


async def test_the_short_way_keeps_shares_and_limits_too(engine: Engine, gauge: Gauge) -> None:
    gauge.gate.clear()
    worker = await engine.work(concurrency=20)
    engine.queue.hand_to(worker)
    await add_many(engine, engine.organization_id, 50)

    async def share_is_used() -> bool:
        return worker.executing == 16

    await until(share_is_used, "the flood uses its share")
    limited = new_id()
    await Limits(engine.database, engine.wakeups).set(limited, "kind:work", max_concurrency=2)
    await add_many(engine, limited, 5)

    async def limit_is_used() -> bool:
        return gauge.running[limited] == 2

    await until(limit_is_used, "the limited one uses its limit")
    assert gauge.most[engine.organization_id] == 16
    gauge.gate.set()

    async def all_done() -> bool:
        row = await engine.inspector.fetch_one("select count(*) as n from finished_tasks")
        return row is not None and row["n"] == 55

    await until(all_done, "all are done")
    assert gauge.most[limited] == 2


async def test_what_is_handed_over_during_a_claim_counts_against_the_share(
    engine: Engine, gauge: Gauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim was asked for sixteen; before its answer comes, hand-overs take eleven slots."""
    worker = await engine.work(concurrency=20)
    gauge.gate.clear()
    claim = worker._journal.claim
    reserved = 0

    async def slow_claim(*args: object, **fields: object) -> object:
        nonlocal reserved
        tasks, stopped_at = await claim(*args, **fields)  # type: ignore[arg-type]
        while tasks and reserved < 11:
            assert worker.reserve(engine.organization_id)
            reserved += 1
        return tasks, stopped_at

    monkeypatch.setattr(worker._journal, "claim", slow_claim)
    tasks = await add_many(engine, engine.organization_id, 40)

    async def all_slots_of_the_share() -> bool:
        return worker.executing + reserved >= worker._slots.share

    await until(all_slots_of_the_share, "the rest of the share runs")
    assert worker.executing == 5
    gauge.gate.set()
    for _ in range(reserved):
        worker.release(engine.organization_id)
    await engine.all_ended(tasks)
    assert gauge.most[engine.organization_id] <= worker._slots.share
    assert sorted(gauge.order, key=int) == [str(n) for n in range(40)]


async def test_the_short_way_loses_nothing_when_its_answer_is_lost(
    engine: Engine, gauge: Gauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine._lease_seconds = 0.9
    worker = await engine.work()
    engine.queue.hand_to(worker)
    call = engine.queue._channel.call
    losses = 0

    async def lossy(sql: str, params: tuple[object, ...]) -> object:
        nonlocal losses
        rows = await call(sql, params)  # type: ignore[arg-type]
        losses += 1
        if losses == 1:
            raise psycopg.OperationalError("the connection was lost after the commit")
        return rows

    monkeypatch.setattr(engine.queue._channel, "call", lossy)
    await engine.ended(await engine.add("work", {"name": "a"}), seconds=5)
    assert gauge.order == ["a"]


async def test_a_task_behind_hundreds_of_closed_lanes_is_found(engine: Engine, gauge: Gauge) -> None:
    """Each agent of the organization is at its limit of none; one task has no agent."""
    agents = [new_id() for _ in range(1200)]
    await engine.inspector.execute(
        "insert into limits (organization_id, subject, max_concurrency) "
        "select %s, 'agent:' || agent, 0 from unnest(%s::uuid[]) as agent",
        (engine.organization_id, agents),
    )
    tasks = [NewTask("work", {"name": "closed"}, agent_id=agent) for agent in agents]
    await engine.queue.enqueue_many(engine.organization_id, tasks)
    await engine.inspector.execute(
        "insert into limits (organization_id, subject, max_concurrency) values (%s, 'kind:work', 100)",
        (engine.organization_id,),
    )
    # Its lane sorts behind all the agents' lanes.
    open_task = await engine.add("work", {"name": "open"})
    worker = await engine.work()
    worker._position = ("00000000-0000-0000-0000-000000000000", "")
    await engine.ended(open_task)
    assert gauge.order == ["open"]
