"""Durable waits: a run lets go of its worker and goes on where it was."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from bailiwick.events import NewEvent
from bailiwick.kernel.ids import id_at, time_of
from bailiwick.tasks import NewTask, Run
from bailiwick.tasks.subscriptions import Subscription
from tests.support.engine import AnyPayload, Engine, until


async def test_a_sleep_lets_go_of_the_worker_and_goes_on_after_its_time(engine: Engine) -> None:
    calls: Counter[str] = Counter()

    async def handler(run: Run, payload: AnyPayload) -> str:
        del payload
        await run.step("before", calls.update, ["before"])
        await run.sleep(0.3)
        await run.step("after", calls.update, ["after"])
        return "rested"

    engine.handles("nap", handler)
    await engine.work(concurrency=1)
    task = await engine.add("nap")
    waiting = await engine.reaches(task, "waiting")
    assert waiting["worker_id"] is None
    ended = await engine.ended(task)
    assert ended["result"] == "rested"
    assert calls == {"before": 1, "after": 1}
    [sleep] = [step for step in await engine.steps(task) if step["kind"] == "sleep"]
    assert (sleep["finished_at"] - sleep["started_at"]).total_seconds() >= 0.3


async def waiter(run: Run, payload: AnyPayload) -> Any:
    answer = await run.wait_for("door.opened", key=payload.key, timeout_seconds=payload.model_dump().get("timeout"))
    return None if answer is None else answer["payload"]


async def test_an_event_published_during_the_wait_answers_it(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    await engine.work()
    task = await engine.add("wait", {"key": "a"})
    await engine.reaches(task, "waiting")
    await engine.publish("door.opened", "b", {"by": "nobody"})
    await engine.publish("door.opened", "a", {"by": "wind"})
    assert (await engine.ended(task))["result"] == {"by": "wind"}


async def test_an_event_published_between_creation_and_wait_answers_it_at_once(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    task = await engine.add("wait", {"key": "a"})
    await engine.publish("door.opened", "a", {"by": "guest"})
    await engine.work()
    assert (await engine.ended(task))["result"] == {"by": "guest"}


async def test_an_event_from_before_the_task_does_not_count(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    await engine.publish("door.opened", "a", {"by": "ghost"})
    task = await engine.add("wait", {"key": "a", "timeout": 0.1})
    await engine.work()
    assert (await engine.ended(task))["result"] is None


async def test_an_event_of_another_organization_does_not_count(engine: Engine, login_url: str) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    await engine.work()
    task = await engine.add("wait", {"key": "a", "timeout": 0.3})
    await engine.reaches(task, "waiting")
    async with Engine(login_url) as other:
        other.knows("door.opened")
        await other.publish("door.opened", "a", {"by": "stranger"})
    assert (await engine.ended(task))["result"] is None


async def test_a_wait_ends_empty_after_its_timeout_and_a_late_event_changes_nothing(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    await engine.work()
    task = await engine.add("wait", {"key": "a", "timeout": 0.05})
    assert (await engine.ended(task))["result"] is None
    await engine.publish("door.opened", "a", {"by": "latecomer"})
    assert (await engine.steps(task))[0]["result"] is None


async def collector(run: Run, payload: AnyPayload) -> list[int]:
    answers = [await run.wait_for("door.opened", key="a") for _ in range(payload.count)]
    return [answer["payload"]["n"] for answer in answers if answer]


async def test_two_waits_on_one_key_take_two_events_in_order(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("collect", collector)
    await engine.work()
    task = await engine.add("collect", {"count": 2})
    await engine.reaches(task, "waiting")
    await engine.publish("door.opened", "a", {"n": 1})
    await until(lambda: _is_waiting_again(engine, task), "the second wait begins")
    assert await engine.live(task) is not None
    await engine.publish("door.opened", "a", {"n": 2})
    assert (await engine.ended(task))["result"] == [1, 2]


async def _is_waiting_again(engine: Engine, task: str) -> bool:
    row = await engine.live(task)
    return row is not None and row["state"] == "waiting" and row["wait_seq"] == 1


async def test_every_event_of_concurrent_publishers_is_taken_exactly_once(engine: Engine, login_url: str) -> None:
    engine.knows("door.opened")
    engine.handles("collect", collector)
    await engine.work(concurrency=4)
    tasks = [await engine.add("collect", {"count": 24}) for _ in range(2)]
    async with Engine(login_url) as second, Engine(login_url) as third:
        for publisher in (second, third):
            publisher.knows("door.opened")
            publisher.organization_id = engine.organization_id
        await asyncio.gather(*[(engine, second, third)[n % 3].publish("door.opened", "a", {"n": n}) for n in range(24)])
        for ended in await engine.all_ended(tasks):
            assert sorted(ended["result"]) == list(range(24))


async def test_an_event_that_is_committed_late_still_counts(engine: Engine) -> None:
    """Its id is older than the one that answered the first wait, because its publisher was slow."""
    engine.knows("door.opened")
    engine.handles("collect", collector)
    await engine.work()
    task = await engine.add("collect", {"count": 2})
    early = await engine.publish("door.opened", "other", {"n": 1})
    await engine.publish("door.opened", "a", {"n": 2})
    await until(lambda: _is_waiting_again(engine, task), "the second wait begins")
    await engine.inspector.execute("update events set key = 'a', recorded_at = now() where id = %s", (early,))
    await engine.inspector.fetch_all("select task_wake_by_events(%s::uuid[])", ([early],))
    engine.workers[0].wake()
    assert (await engine.ended(task))["result"] == [2, 1]


async def test_an_event_counts_although_its_publishers_clock_lags(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    await engine.work()
    task = await engine.add("wait", {"key": "a"})
    await engine.reaches(task, "waiting")
    from_the_past = id_at(time_of(task) - timedelta(seconds=3))
    await engine.inspector.fetch_all(
        "select events_append(jsonb_build_array(jsonb_build_object('i', 0, 'id', %s::text, 'org', %s::text, "
        "'type', 'door.opened', 'version', 1, 'key', 'a', 'payload', '{\"by\": \"slow clock\"}'::jsonb, "
        "'occurred', now())), '[]')",
        (from_the_past, engine.organization_id),
    )
    await engine.inspector.fetch_all("select task_wake_by_events(%s::uuid[])", ([from_the_past],))
    engine.workers[0].wake()
    assert (await engine.ended(task))["result"] == {"by": "slow clock"}


async def test_a_wait_whose_event_came_in_a_crash_before_the_wake_up_is_found_by_the_sweep(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    await engine.work()
    task = await engine.add("wait", {"key": "a"})
    await engine.reaches(task, "waiting")
    await engine.publish("door.opened", "elsewhere", {"by": "crash"})
    # As if the publisher had died between the commit and the look for waits.
    await engine.inspector.execute("update events set key = 'a'")
    await engine.inspector.fetch_all("select task_wake_from_history(null)")
    engine.workers[0].wake()
    assert (await engine.ended(task))["result"] == {"by": "crash"}


async def test_a_paused_wait_is_not_ended_until_it_is_resumed(engine: Engine) -> None:
    engine.knows("door.opened")
    engine.handles("wait", waiter)
    engine.handles("nap", _nap)
    await engine.work()
    event_wait, nap = await engine.add("wait", {"key": "a"}), await engine.add("nap")
    for task in (event_wait, nap):
        await engine.reaches(task, "waiting")
    assert sorted(await engine.control.pause(engine.organization_id, [event_wait, nap])) == sorted([event_wait, nap])
    await engine.publish("door.opened", "a", {"by": "guest"})
    await engine.inspector.execute("update tasks set run_at = now() - interval '1 second' where id = %s", (nap,))
    assert (await engine.inspector.fetch_all("select * from task_promote(10)"))[0]["promoted"] == 0
    await engine.inspector.fetch_all("select task_wake_from_history(null)")
    for task in (event_wait, nap):
        row = await engine.live(task)
        assert row is not None
        assert (row["state"], row["is_paused"]) == ("waiting", True)
    await engine.control.resume(engine.organization_id, [event_wait, nap])
    assert (await engine.ended(event_wait))["result"] == {"by": "guest"}
    assert (await engine.ended(nap))["state"] == "completed"


async def _nap(run: Run, payload: AnyPayload) -> None:
    del payload
    await run.sleep(3600)


async def test_tasks_that_follow_from_an_event_wait_for_its_siblings_of_one_commit(engine: Engine) -> None:
    """Two facts published together: the task of the first may wait for the second, not for the first."""

    def build(payload: AnyPayload) -> NewTask | None:
        return NewTask("collect", {"count": 1}) if payload.n == 1 else None

    engine.knows("door.opened")
    engine.handles("collect", collector)
    engine.subscriptions.add(Subscription("door.opened", "collect", build))
    await engine.work()
    await engine.events.publish(engine.organization_id, [NewEvent("door.opened", {"n": n}, key="a") for n in (1, 2)])

    async def result() -> Any:
        return await engine.inspector.fetch_one("select result, cause_id from finished_tasks")

    ended = await until(result, "the task ends")
    assert ended["result"] == [2]
    assert ended["cause_id"] is not None
