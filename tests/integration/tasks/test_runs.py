"""One run: steps, failures, retries, timeouts, changes of code, and what people do to it."""

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bailiwick.kernel.errors import (
    InvalidInputError,
    InvalidPayloadError,
    NotFoundError,
    PayloadTooLargeError,
    UnknownKindError,
)
from bailiwick.kernel.ids import id_at, new_id
from bailiwick.storage.rows import RowFields, batch
from bailiwick.tasks import DiscardTask, NewTask, RetryPolicy, RetryTask, Run
from tests.support.engine import AnyPayload, Engine, until


async def test_a_plain_function_runs_in_a_thread_and_results_look_the_same_ever_after(engine: Engine) -> None:
    seen: list[Any] = []

    def compute() -> tuple[int, str]:
        return (1, threading.current_thread().name)

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        seen.append(await run.step("compute", compute))
        await run.sleep(0.001)

    engine.handles("work", handler)
    await engine.work()
    await engine.ended(await engine.add("work"))
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert isinstance(seen[0], list)
    assert seen[0][1] != threading.main_thread().name


async def test_a_failure_is_retried_with_its_finished_steps_and_then_dead_lettered(engine: Engine) -> None:
    calls: Counter[str] = Counter()

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        await run.step("once", calls.update, ["once"])
        calls["attempt"] += 1
        assert run.task.attempt == calls["attempt"]
        raise ValueError(f"attempt {run.task.attempt}")

    engine.handles("work", handler, retry=RetryPolicy(max_attempts=3, first_delay_seconds=0.001, factor=1))
    await engine.work()
    ended = await engine.ended(await engine.add("work"))
    assert (ended["state"], ended["failures"], ended["reason"]) == ("discarded", 3, "attempt 3")
    assert [error["message"] for error in ended["errors"]] == ["attempt 1", "attempt 2", "attempt 3"]
    assert calls == {"once": 1, "attempt": 3}


async def test_a_handler_may_give_up_at_once_or_name_its_own_delay(engine: Engine) -> None:
    async def give_up(run: Run, payload: AnyPayload) -> None:
        del run, payload
        raise DiscardTask("the ledger is closed")

    async def later(run: Run, payload: AnyPayload) -> int:
        del payload
        if run.task.failures == 0:
            raise RetryTask("busy", delay_seconds=0.01)
        return run.task.failures

    engine.handles("give up", give_up)
    engine.handles("later", later, retry=RetryPolicy(first_delay_seconds=3600))
    await engine.work()
    discarded = await engine.ended(await engine.add("give up"))
    assert (discarded["state"], discarded["reason"], discarded["failures"]) == ("discarded", "the ledger is closed", 1)
    assert (await engine.ended(await engine.add("later")))["result"] == 1


async def test_a_run_that_takes_too_long_is_stopped_and_counted_as_a_failure(engine: Engine) -> None:
    async def slow(run: Run, payload: AnyPayload) -> str:
        del payload
        if run.task.failures == 0:
            await asyncio.Event().wait()
        return "quick this time"

    engine.handles("slow", slow, timeout_seconds=0.1)
    await engine.work()
    ended = await engine.ended(await engine.add("slow"))
    assert ended["result"] == "quick this time"
    assert ended["errors"][0]["message"] == "timed out after 0.1 s"


async def test_a_result_that_cannot_be_kept_is_a_failure_not_a_stuck_task(engine: Engine) -> None:
    async def nul(run: Run, payload: AnyPayload) -> str:
        del run, payload
        return "a\0b"

    async def surrogate(run: Run, payload: AnyPayload) -> None:
        del run, payload
        raise ValueError("\ud800 \0")

    async def odd_name(run: Run, payload: AnyPayload) -> None:
        del payload
        await run.step("a\0b", str)

    once = RetryPolicy(max_attempts=1)
    for kind, handler in (("nul", nul), ("surrogate", surrogate), ("odd name", odd_name)):
        engine.handles(kind, handler, retry=once)
    await engine.work()
    for kind in ("nul", "surrogate", "odd name"):
        assert (await engine.ended(await engine.add(kind), seconds=5))["state"] == "discarded"


async def test_an_end_that_the_database_refuses_puts_the_task_off_instead_of_running_it_for_ever(
    engine: Engine,
) -> None:
    """As where the clock of who added it is months off: there is no partition for what ended."""
    attempts = 0

    async def handler(run: Run, payload: AnyPayload) -> int:
        nonlocal attempts
        del run, payload
        attempts += 1
        return attempts

    engine.handles("work", handler, retry=RetryPolicy(max_attempts=2, first_delay_seconds=0.001, factor=1))
    await engine.work()
    task = id_at(datetime.now(UTC) + timedelta(days=400))
    row: RowFields = {"id": task, "org": engine.organization_id, "kind": "work"}
    await engine.inspector.fetch_all("select * from task_enqueue(%s::jsonb)", (batch([row]),))

    async def is_put_off() -> bool:
        found = await engine.live(task)
        return found is not None and found["state"] == "retryable" and found["failures"] == 2

    await until(is_put_off, "the task is put off")
    found = await engine.live(task)
    assert found is not None
    assert found["run_at"] > datetime.now(UTC) + timedelta(minutes=30)
    assert "no partition" in found["errors"][-1]["message"]
    assert attempts == 2


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 1e300, -1.0])
async def test_times_and_charges_that_are_none_are_refused_to_the_handler(engine: Engine, odd: float) -> None:
    refused: list[str] = []

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        for name, call in (
            ("charge", lambda: run.charge(odd)),
            ("retry", lambda: RetryTask("later", delay_seconds=odd)),
        ):
            with pytest.raises(ValueError, match=r"charge|delay_seconds"):
                call()
            refused.append(name)
        with pytest.raises(ValueError, match="sleep"):
            await run.sleep(odd)
        with pytest.raises(ValueError, match="timeout_seconds"):
            await run.wait_for("go", key="x", timeout_seconds=odd)

    engine.handles("work", handler, retry=RetryPolicy(max_attempts=1))
    await engine.work()
    ended = await engine.ended(await engine.add("work"))
    assert (ended["state"], refused) == ("completed", ["charge", "retry"]), ended["reason"]


async def test_cost_adds_up_over_waits_and_attempts(engine: Engine) -> None:
    async def handler(run: Run, payload: AnyPayload) -> None:
        run.charge(payload.price)
        await run.sleep(0.001)
        if run.task.failures == 0:
            raise ValueError("once")

    engine.handles("work", handler)
    await engine.work()
    ended = await engine.ended(await engine.add("work", {"price": 0.25}))
    # Before the wait, after it (fails), and once more.
    assert float(ended["cost"]) == 0.75


async def test_a_changed_handler_takes_the_old_path_for_old_runs_and_the_new_one_for_new_runs(engine: Engine) -> None:
    is_new_code = False

    async def handler(run: Run, payload: AnyPayload) -> list[str]:
        path = [await run.step("first", lambda: "first")]
        if payload.waits:
            await run.sleep(0.05)
        if is_new_code and await run.patched("check twice"):
            path.append(await run.step("check", lambda: "checked"))
        path.append(await run.step("last", lambda: "last"))
        await run.sleep(0.001)
        return path

    engine.handles("work", handler)
    await engine.work()
    before = await engine.ended(await engine.add("work", {"waits": False}))
    waiting = await engine.add("work", {"waits": True})
    await engine.reaches(waiting, "waiting")
    is_new_code = True
    # It had not come to the change yet, so it takes the new path, and stays on it after its last wait.
    assert (await engine.ended(waiting))["result"] == ["first", "checked", "last"]
    assert (await engine.ended(await engine.add("work", {"waits": False})))["result"] == ["first", "checked", "last"]
    assert before["result"] == ["first", "last"]
    # A copy that keeps the whole old journal is past the line: it keeps the old path.
    forked = await engine.control.fork(engine.organization_id, before["id"], from_step=3)
    assert (await engine.ended(forked))["result"] == ["first", "last"]


async def test_an_unguarded_change_is_refused_by_name(engine: Engine) -> None:
    names = ["first", "second"]

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        for name in names:
            await run.step(name, str)
        await run.sleep(0.05)

    engine.handles("work", handler, retry=RetryPolicy(max_attempts=1))
    await engine.work()
    task = await engine.add("work")
    await engine.reaches(task, "waiting")
    names.reverse()
    ended = await engine.ended(task)
    assert ended["state"] == "discarded"
    assert "step 0 of task" in ended["reason"]
    assert "journaled as step 'first', but the handler now calls step 'second'" in ended["reason"]


async def test_a_fork_keeps_the_steps_before_it_and_does_the_rest_anew(engine: Engine) -> None:
    calls: Counter[str] = Counter()

    def work(name: str) -> str:
        calls[name] += 1
        return f"{name} {calls[name]}"

    async def handler(run: Run, payload: AnyPayload) -> list[str]:
        del payload
        return [await run.step(name, work, name) for name in ("a", "b", "c")]

    engine.handles("work", handler)
    await engine.work()
    original = await engine.ended(await engine.add("work"))
    assert original["result"] == ["a 1", "b 1", "c 1"]
    forked = await engine.ended(await engine.control.fork(engine.organization_id, original["id"], from_step=1))
    assert forked["result"] == ["a 1", "b 2", "c 2"]
    assert forked["forked_from"] == original["id"]
    with pytest.raises(NotFoundError):
        await engine.control.fork(new_id(), original["id"], from_step=1)


async def test_a_redriven_task_keeps_its_finished_steps_and_counts_once(engine: Engine) -> None:
    calls: Counter[str] = Counter()
    is_mended = False

    async def handler(run: Run, payload: AnyPayload) -> str:
        del payload
        run.charge(1)
        await run.step("once", calls.update, ["once"])
        if not is_mended:
            raise DiscardTask("broken")
        return "mended"

    engine.handles("work", handler)
    await engine.work()
    task = await engine.add("work")
    await engine.ended(task)
    is_mended = True
    assert await engine.control.redrive(engine.organization_id, [task]) == [task]
    ended = await engine.ended(task)
    assert (ended["result"], ended["failures"]) == ("mended", 0)
    assert calls == {"once": 1}
    totals = await engine.inspector.fetch_all("select state::text, tasks, cost::float as cost from task_totals")
    assert sorted((row["state"], row["tasks"], row["cost"]) for row in totals) == [
        ("completed", 1, 2.0),
        ("discarded", 0, 0.0),
    ]


async def test_a_running_task_can_be_cancelled_and_its_run_is_stopped(engine: Engine) -> None:
    entered, stopped = asyncio.Event(), asyncio.Event()

    async def handler(run: Run, payload: AnyPayload) -> None:
        del run, payload
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    engine.handles("work", handler)
    await engine.work()
    task = await engine.add("work")
    await asyncio.wait_for(entered.wait(), 10)
    assert await engine.control.cancel(engine.organization_id, [task], reason="changed our mind") == [task]
    await asyncio.wait_for(stopped.wait(), 5)
    ended = await engine.ended(task)
    assert (ended["state"], ended["reason"]) == ("cancelled", "changed our mind")
    assert await engine.control.cancel(engine.organization_id, [task]) == []


async def test_a_run_that_ends_while_it_is_cancelled_does_not_count_as_completed(engine: Engine) -> None:
    ended_as: list[Exception | None] = []

    async def handler(run: Run, payload: AnyPayload) -> str:
        del payload
        # As a cancellation whose word has not reached this worker yet.
        await engine.inspector.fetch_all(
            "select * from task_finish(jsonb_build_array(jsonb_build_object('t', %s::text, 'st', 'cancelled')))",
            (run.task.id,),
        )
        return "too late"

    engine.handles("work", handler)
    worker = await engine.work()
    worker.observers.append(lambda _, error: ended_as.append(error))
    task = await engine.add("work")
    assert (await engine.ended(task))["state"] == "cancelled"
    assert ended_as == []


async def test_a_paused_task_stops_and_goes_on_where_it_was(engine: Engine) -> None:
    calls: Counter[str] = Counter()
    entered = asyncio.Event()

    async def handler(run: Run, payload: AnyPayload) -> int:
        del payload
        await run.step("once", calls.update, ["once"])
        if run.task.fence == 1:
            entered.set()
            await asyncio.Event().wait()
        return run.task.failures

    engine.handles("work", handler)
    await engine.work()
    task = await engine.add("work")
    await asyncio.wait_for(entered.wait(), 10)
    await engine.control.pause(engine.organization_id, [task])
    row = await engine.live(task)
    assert row is not None
    assert (row["state"], row["is_paused"]) == ("scheduled", True)
    await engine.control.resume(engine.organization_id, [task])
    assert (await engine.ended(task))["result"] == 0
    assert calls == {"once": 1}


async def test_one_key_is_one_task_also_after_it_has_ended(engine: Engine) -> None:
    async def handler(run: Run, payload: AnyPayload) -> int:
        del run
        return payload.n

    engine.handles("work", handler)
    await engine.work()
    tasks = [NewTask("work", {"n": n}, key="order 7") for n in range(10)]
    answers = await asyncio.gather(*[engine.queue.enqueue(engine.organization_id, task) for task in tasks])
    assert len({answer.task_id for answer in answers}) == 1
    assert [answer.is_new for answer in answers].count(True) == 1
    await engine.ended(answers[0].task_id)
    again = await engine.queue.enqueue(engine.organization_id, tasks[0])
    assert (again.task_id, again.is_new) == (answers[0].task_id, False)
    other = await engine.queue.enqueue(new_id(), tasks[0])
    assert other.is_new


async def test_what_cannot_be_a_task_is_refused_at_the_door(engine: Engine) -> None:
    async def handler(run: Run, payload: AnyPayload) -> None:
        del run, payload

    engine.handles("work", handler)
    for task, error in (
        (NewTask("wrok"), UnknownKindError),
        (NewTask("work", {"text": "a\0b"}), InvalidPayloadError),
        (NewTask("work", {"text": "x" * 300_000}), PayloadTooLargeError),
        # What PostgreSQL keeps and no worker could read back: each of its claims would fail, with all beside it.
        (NewTask("work", deadline_at=datetime.fromisoformat("0001-01-01T00:00+14:00")), InvalidInputError),
        (NewTask("work", run_at=datetime.fromisoformat("9999-12-31T23:00-12:00")), InvalidInputError),
        (NewTask("work", delay_seconds=1e300), InvalidInputError),
        (NewTask("work", delay_seconds=float("nan")), InvalidInputError),
    ):
        with pytest.raises(error):
            await engine.queue.enqueue(engine.organization_id, task)
    assert await engine.inspector.fetch_all("select id from tasks") == []
