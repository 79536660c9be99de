"""Procrastinate jobs and the ways to run them; imported only when it is installed."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

import procrastinate
from procrastinate import App, PsycopgConnector
from procrastinate.tasks import Task
from procrastinate.types import JSONDict

from bailiwick.bench.rivals.entry import Findings
from bailiwick.bench.rivals.finishing import Finishing
from bailiwick.bench.rivals.measuring import Budget, Round, closed_loop, latencies_ms, measure, percentile

WORKERS: Final = ((1, 1), (1, 4), (1, 16), (4, 4))
"""Workers in the process and jobs at a time in each."""

IN_FLIGHT: Final = 1000
_TRIAL_TASKS: Final = 400
POOL_CONNECTIONS: Final = 20
POLL_SECONDS: Final = 0.5
"""Its fallback when a notification is lost, 5 s by default; shorter favours it."""

_FINISHED_WITHIN_SECONDS: Final = 120
_LATENCY_SHARE: Final = 0.2
_finishing = Finishing()
_Job = Task[..., Any, ...]
_Working = Callable[[], AbstractAsyncContextManager[None]]


async def run(url: str, seconds: float) -> Findings:
    """Measure the rate of every way, and the latency of one job at a time."""
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    app = App(connector=PsycopgConnector(conninfo=url, min_size=POOL_CONNECTIONS, max_size=POOL_CONNECTIONS))
    job = app.task(name="note")(_note)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        async with _working(app, 1, 1):
            alone = await latencies_ms(partial(_pass_through, job), seconds=seconds * _LATENCY_SHARE)
            await _all_committed(app)
        rate = await measure(
            f"defer, run, done, {IN_FLIGHT} in flight",
            _modes(app, job),
            in_flight=IN_FLIGHT,
            trial_tasks=_TRIAL_TASKS,
            budget=Budget(seconds * (1 - _LATENCY_SHARE)),
        )
    return Findings(
        figures={
            "tasks_per_second": rate.median_per_second,
            "serial_p50_ms": percentile(alone, 0.5),
            "serial_p95_ms": percentile(alone, 0.95),
        },
        measurements=(rate,),
        settings={
            "pool_connections": str(POOL_CONNECTIONS),
            "fetch_job_polling_interval_seconds": str(POLL_SECONDS),
            "listen_notify": "yes",
            "serial_done_when": "the job function returns, a little before its completion is committed",
            "procrastinate": procrastinate.__version__,
        },
    )


async def _note(number: int) -> None:
    _finishing.done(number)


@asynccontextmanager
async def _working(app: App, workers: int, concurrency: int) -> AsyncGenerator[None]:
    running = [
        asyncio.create_task(
            app.run_worker_async(
                name=f"worker-{number}",
                concurrency=concurrency,
                fetch_job_polling_interval=POLL_SECONDS,
                install_signal_handlers=False,
                shutdown_graceful_timeout=_FINISHED_WITHIN_SECONDS,
            )
        )
        for number in range(workers)
    ]
    try:
        yield
    finally:
        for worker in running:
            worker.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _modes(app: App, job: _Job) -> dict[str, Round]:
    modes: dict[str, Round] = {}
    for workers, concurrency in WORKERS:
        working = partial(_working, app, workers, concurrency)
        manner = f"{workers} workers, {concurrency} at a time"
        modes[f"deferred one by one, {manner}"] = partial(_one_by_one, app, job, working)
        modes[f"deferred in batches, {manner}"] = partial(_in_batches, app, job, working)
    return modes


async def _pass_through(job: _Job, number: int) -> None:
    finished = _finishing.expect(number)
    await job.defer_async(number=number)
    await finished


async def _one_by_one(app: App, job: _Job, working: _Working, tasks: int) -> float:
    async with working():
        began = time.perf_counter()
        await closed_loop(partial(_pass_through, job), tasks, in_flight=IN_FLIGHT)
        await _all_committed(app)
        return time.perf_counter() - began


async def _in_batches(app: App, job: _Job, working: _Working, tasks: int) -> float:
    async with working():
        began = time.perf_counter()
        for start in range(0, tasks, IN_FLIGHT):
            numbers = range(start, min(start + IN_FLIGHT, tasks))
            finished = [_finishing.expect(number) for number in numbers]
            arguments: list[JSONDict] = [{"number": number} for number in numbers]
            await job.batch_defer_async(*arguments)
            await asyncio.gather(*finished)
        await _all_committed(app)
        return time.perf_counter() - began


async def _all_committed(app: App) -> None:
    statement = "select count(*) as left_over from procrastinate_jobs where status <> 'succeeded'"
    async with asyncio.timeout(_FINISHED_WITHIN_SECONDS):
        # It tells nobody when a completion is committed, so the table is asked.
        while (await app.connector.execute_query_one_async(statement))["left_over"] > 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
