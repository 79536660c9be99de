"""DBOS workflows and the ways to run them; imported only when DBOS is installed.

Every public way is tried and the fastest counts: asynchronous and threaded
workflows, called directly, started with a handle, or taken from a queue.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import psycopg
from dbos import DBOS, DBOSConfig, WorkflowHandle
from psycopg.rows import TupleRow

from bailiwick.bench.rivals.entry import Findings
from bailiwick.bench.rivals.finishing import Finishing
from bailiwick.bench.rivals.measuring import Budget, Round, closed_loop, latencies_ms, measure, percentile
from bailiwick.bench.rivals.result import Measurement

QUEUE: Final = "bench"
QUEUE_POLL_SECONDS: Final = 0.05
"""DBOS polls its queue once a second unless told otherwise; this favours its latency and its rate."""

MAX_THREADS: Final = 64
"""DBOS sets no limit by default, and a thousand threads make it slower."""

FEW_IN_FLIGHT: Final = 32
MANY_IN_FLIGHT: Final = 1000

_FINISHED_WITHIN_SECONDS: Final = 120
_KEPT_MODES: Final = 2
_WITH_MANY: Final = ("async, started", "async, queued")
_TRIAL_TASKS: Final = 100
_finishing = Finishing()


@DBOS.step()
async def add_async(total: int, item: int) -> int:
    """One step whose result DBOS records."""
    return total + item


@DBOS.workflow()
async def workflow_async(steps: int, number: int) -> int:
    """Run that many recorded steps on the event loop."""
    total = number
    for item in range(steps):
        total = await add_async(total, item)
    _finishing.done(number)
    return total


@DBOS.step()
def add(total: int, item: int) -> int:
    """One step whose result DBOS records."""
    return total + item


@DBOS.workflow()
def workflow(steps: int, number: int) -> int:
    """Run that many recorded steps in a thread."""
    total = number
    for item in range(steps):
        total = add(total, item)
    _finishing.done(number)
    return total


async def run(url: str, seconds: float) -> Findings:
    """Measure one and five steps with few and many in flight, and the latency of one at a time."""
    share = seconds / 6
    async with _launched(url):
        called = await latencies_ms(partial(workflow_async, 1), seconds=share / 2)
        queued = await latencies_ms(_enqueued_async, seconds=share / 2)
        measurements = await _throughput(url, share)
    return Findings(_figures(measurements, called, queued), tuple(measurements), _settings())


async def _throughput(url: str, seconds: float) -> list[Measurement]:
    """Measure one and five steps with few, then with many in flight; ways found slow are not tried again."""

    async def rounds(steps: int, in_flight: int, names: Sequence[str]) -> Measurement:
        ways = _modes(url, steps, in_flight)
        return await measure(
            f"{steps} step{'s'[: steps - 1]}, {in_flight} in flight",
            {name: ways[name] for name in names if name in ways},
            in_flight=in_flight,
            trial_tasks=max(in_flight, _TRIAL_TASKS),
            budget=Budget(seconds),
        )

    one_few = await rounds(1, FEW_IN_FLIGHT, list(_modes(url, 1, FEW_IN_FLIGHT)))
    fastest = sorted(one_few.tried_per_second, key=lambda name: -one_few.tried_per_second[name])
    five_few = await rounds(5, FEW_IN_FLIGHT, fastest[:_KEPT_MODES])
    # One of each family stays whatever it did with few: with many in flight the order changes.
    one_many = await rounds(1, MANY_IN_FLIGHT, list(dict.fromkeys([*fastest[:_KEPT_MODES], *_WITH_MANY])))
    # A round takes ten seconds and more here, hence no trials.
    five_many = await rounds(5, MANY_IN_FLIGHT, [one_many.mode])
    return [one_few, five_few, one_many, five_many]


def _figures(measurements: list[Measurement], called: list[float], queued: list[float]) -> dict[str, float]:
    one_few, five_few, one_many, five_many = (item.median_per_second for item in measurements)
    return {
        "one_step_per_second": max(one_few, one_many),
        "five_step_per_second": max(five_few, five_many),
        f"one_step_{FEW_IN_FLIGHT}_in_flight_per_second": one_few,
        f"five_step_{FEW_IN_FLIGHT}_in_flight_per_second": five_few,
        f"one_step_{MANY_IN_FLIGHT}_in_flight_per_second": one_many,
        f"five_step_{MANY_IN_FLIGHT}_in_flight_per_second": five_many,
        "called_p50_ms": percentile(called, 0.5),
        "called_p95_ms": percentile(called, 0.95),
        "queued_p50_ms": percentile(queued, 0.5),
        "queued_p95_ms": percentile(queued, 0.95),
    }


def _settings() -> dict[str, str]:
    return {
        "queue_poll_seconds": str(QUEUE_POLL_SECONDS),
        "max_executor_threads": str(MAX_THREADS),
        "pool_size": "20 (its default)",
        "queued_done_when": "the last step has returned, a little before its completion is committed",
    }


@asynccontextmanager
async def _launched(url: str) -> AsyncGenerator[None]:
    config = DBOSConfig(
        name="bailiwick-bench", system_database_url=url, max_executor_threads=MAX_THREADS, log_level="ERROR"
    )
    DBOS(config=config)
    await asyncio.to_thread(_launch)
    try:
        yield
    finally:
        await asyncio.to_thread(DBOS.destroy)


def _launch() -> None:
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=QUEUE_POLL_SECONDS)


def _modes(url: str, steps: int, in_flight: int) -> dict[str, Round]:
    modes: dict[str, Round] = {
        "async, called": partial(closed_loop, partial(workflow_async, steps), in_flight=in_flight),
        "async, started": partial(closed_loop, partial(_started_async, steps), in_flight=in_flight),
        "threads, started": partial(_in_thread, partial(_started, steps, in_flight)),
        "async, queued": partial(_queued, url, _enqueue_async, steps, in_flight),
        "threads, queued": partial(_queued, url, _enqueue_threads, steps, in_flight),
    }
    if in_flight <= MAX_THREADS:
        modes["threads, called"] = partial(_in_thread, partial(_called, steps, in_flight))
    return modes


async def _started_async(steps: int, number: int) -> int:
    handle = await DBOS.start_workflow_async(workflow_async, steps, number)
    return await handle.get_result()


async def _in_thread(run_tasks: Callable[[int], float], tasks: int) -> float:
    return await asyncio.to_thread(run_tasks, tasks)


def _called(steps: int, in_flight: int, tasks: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as threads:
        for _ in threads.map(partial(workflow, steps), range(tasks)):
            pass
    return time.perf_counter() - began


def _started(steps: int, in_flight: int, tasks: int) -> float:
    began = time.perf_counter()
    handles: deque[WorkflowHandle[int]] = deque()
    for number in range(tasks):
        if len(handles) >= in_flight:
            handles.popleft().get_result()
        handles.append(DBOS.start_workflow(workflow, steps, number))
    for handle in handles:
        handle.get_result()
    return time.perf_counter() - began


async def _enqueue_async(steps: int, number: int) -> None:
    await DBOS.enqueue_workflow_async(QUEUE, workflow_async, steps, number)


async def _enqueue_threads(steps: int, number: int) -> None:
    await asyncio.to_thread(DBOS.enqueue_workflow, QUEUE, workflow, steps, number)


async def _enqueued_async(number: int) -> None:
    # The handle polls for its result; waiting for the workflow's own word spares DBOS that.
    finished = _finishing.expect(number)
    await _enqueue_async(1, number)
    await finished


async def _queued(
    url: str, enqueue: Callable[[int, int], Awaitable[None]], steps: int, in_flight: int, tasks: int
) -> float:
    async def one(number: int) -> None:
        finished = _finishing.expect(number)
        await enqueue(steps, number)
        await finished

    began = time.perf_counter()
    await closed_loop(one, tasks, in_flight=in_flight)
    await _all_committed(url)
    return time.perf_counter() - began


async def _all_committed(url: str) -> None:
    statement = "select count(*) from dbos.workflow_status where status <> 'SUCCESS'"
    async with (
        asyncio.timeout(_FINISHED_WITHIN_SECONDS),
        await psycopg.AsyncConnection[TupleRow].connect(url, autocommit=True) as connection,
    ):
        # DBOS tells nobody when a completion is committed, so the table is asked.
        while await (await connection.execute(statement)).fetchone() != (0,):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
