"""``bailiwick bench fairness``: one organization floods, another's single task must start all the same."""

import asyncio
import time
from collections.abc import Callable

from pydantic import SecretStr

from bailiwick.bench.report import Bound, Report, ratio
from bailiwick.bench.rivals.measuring import percentile
from bailiwick.bench.rivals.scratch import scratch_database
from bailiwick.bench.server import bench_server
from bailiwick.bench.steps import STEPS, BenchExtension, StepsPayload
from bailiwick.installation import Installation, Settings
from bailiwick.tasks import NewTask

FLOOD = 100_000
_PROBES = 60
_PAUSE_SECONDS = 0.05
_LIMIT = 2.0


class _Starts:
    """Hears when probes start."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[float]] = {}

    def expect(self, number: int) -> asyncio.Future[float]:
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        return future

    def started(self, number: int) -> None:
        future = self._waiting.pop(number, None)
        if future is not None:
            future.set_result(time.perf_counter())


async def measure_fairness(*, say: Callable[[str], None], flood: int = FLOOD) -> Report:
    """Measure the start of single tasks without load, then behind a flood of another organization."""
    starts = _Starts()
    async with bench_server() as server, scratch_database(server.url, "fairness") as url:
        settings = Settings(database_url=SecretStr(url), warm_start=False)
        async with Installation.open(settings, extra=[BenchExtension(started=starts.started)]) as installation:
            loud = await installation.organizations.ensure("loud")
            quiet = await installation.organizations.ensure("quiet")
            async with installation.run_worker():
                say("measuring starts without load")
                unloaded = await _probe(installation, quiet.id, starts, first=1)
                say(f"flooding with {flood:,} tasks of another organization")
                tasks = [NewTask(STEPS, StepsPayload(number=0)) for _ in range(flood)]
                await installation.queue.enqueue_many(loud.id, tasks)
                loaded = await _probe(installation, quiet.id, starts, first=1 + 2 * _PROBES)
                left = (await installation.tasks.counts(loud.id))["available"]
    figures: dict[str, float | None] = {
        "fairness_ratio": ratio(percentile(loaded, 0.5), percentile(unloaded, 0.5)),
        "unloaded_start_p50_ms": percentile(unloaded, 0.5),
        "unloaded_start_p95_ms": percentile(unloaded, 0.95),
        "loaded_start_p50_ms": percentile(loaded, 0.5),
        "loaded_start_p95_ms": percentile(loaded, 0.95),
        "flood_left_after_probes": float(left),
    }
    bound = Bound("loaded over unloaded start, p50", figures["fairness_ratio"], _LIMIT, at_least=False)
    return Report("fairness", figures, [bound], {"flood": flood, "probes": _PROBES})


async def _probe(installation: Installation, organization_id: str, starts: _Starts, *, first: int) -> list[float]:
    taken: list[float] = []
    for number in range(first, first + _PROBES):
        # The pause lets the installation come to rest, or go on with the flood.
        await asyncio.sleep(_PAUSE_SECONDS)
        started = starts.expect(number)
        began = time.perf_counter()
        await installation.queue.enqueue(organization_id, NewTask(STEPS, StepsPayload(number=number)))
        taken.append((await started - began) * 1000)
    return taken
