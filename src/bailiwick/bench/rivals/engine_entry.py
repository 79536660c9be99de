"""Our own engine, measured the way its rivals are: enqueue, claim, journaled steps, complete.

With tenancy, priorities, fairness, fencing and leases on, as in production.
Usage: python -m bailiwick.bench.rivals.engine_entry --url URL --seconds N [--json]
"""

import asyncio
import sys
from typing import Final

from pydantic import SecretStr

from bailiwick.bench.rivals.entry import Findings, Measure, run_entry
from bailiwick.bench.rivals.measuring import Budget, Round, closed_loop, latencies_ms, measure, percentile
from bailiwick.bench.rivals.result import Measurement
from bailiwick.bench.steps import STEPS, BenchExtension, StepsPayload
from bailiwick.installation import Installation, Settings
from bailiwick.tasks import NewTask, Task

IN_FLIGHT: Final = (32, 1000)
STEP_COUNTS: Final = {"one_step": 1, "five_step": 5}
_IDLE_SHARE: Final = 0.2
_TRIAL_TASKS: Final = 3000
# Room for a thousand in flight of one organization, which may hold four fifths of the slots.
_CONCURRENCY: Final = 1300


class _Bench:
    """Hands tasks to an installation and hears when they are done."""

    def __init__(self, installation: Installation, organization_id: str) -> None:
        self._installation = installation
        self._organization_id = organization_id
        self._done: dict[int, asyncio.Future[None]] = {}
        self._next = 0

    def observe(self, task: Task, error: Exception | None) -> None:
        """Hear of a finished task; a failed one fails the measurement."""
        future = self._done.pop(task.payload["number"], None)
        if future is not None and not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    async def one(self, steps: int) -> None:
        """Bring one task from nothing to durably done."""
        number = self._next
        self._next += 1
        done = self._done[number] = asyncio.get_running_loop().create_future()
        await self._installation.queue.enqueue(
            self._organization_id, NewTask(STEPS, StepsPayload(number=number, steps=steps))
        )
        await done

    def round_of(self, steps: int, in_flight: int) -> Round:
        """Return a counted round."""

        async def run(tasks: int) -> float:
            return await closed_loop(lambda _: self.one(steps), tasks, in_flight=in_flight)

        return run


async def run(url: str, seconds: float) -> Findings:
    """Measure latency at low load, then one and five steps with few and many in flight."""
    settings = Settings(database_url=SecretStr(url), warm_start=False)
    async with Installation.open(settings, extra=[BenchExtension()]) as installation:
        home = await installation.organizations.ensure("bench")
        bench = _Bench(installation, home.id)
        async with installation.run_worker(concurrency=_CONCURRENCY) as worker:
            worker.observers.append(bench.observe)
            idle = await latencies_ms(lambda _: bench.one(1), seconds=seconds * _IDLE_SHARE)
            measured: list[Measurement] = []
            share = seconds * (1 - _IDLE_SHARE) / (len(STEP_COUNTS) * len(IN_FLIGHT))
            for name, steps in STEP_COUNTS.items():
                for in_flight in IN_FLIGHT:
                    modes = {
                        "warm-up": bench.round_of(steps, in_flight),
                        "in one process": bench.round_of(steps, in_flight),
                    }
                    measured.append(
                        await measure(
                            f"{name}_{in_flight}_in_flight", modes, in_flight=in_flight,
                            trial_tasks=_TRIAL_TASKS, budget=Budget(share),
                        )
                    )  # fmt: skip
    figures = {f"{item.workload}_per_second": item.median_per_second for item in measured}
    figures |= {f"{name}_per_second": figures[f"{name}_1000_in_flight_per_second"] for name in STEP_COUNTS}
    figures |= {"idle_p50_ms": percentile(idle, 0.5), "idle_p95_ms": percentile(idle, 0.95)}
    return Findings(figures, tuple(measured), {"worker_concurrency": str(_CONCURRENCY), "processes": "1"})


def _load() -> Measure:
    return run


if __name__ == "__main__":
    sys.exit(run_entry("bailiwick", _load))
