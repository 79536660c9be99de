"""How every rival is measured: a closed loop, a trial round per mode, then rounds of the fastest mode."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bailiwick.bench.rivals.result import Measurement

ROUNDS = 3
_TRIAL_SHARE = 0.25

Round = Callable[[int], Awaitable[float]]
"""Brings that many tasks from nothing to durably done; returns the seconds it took."""


@dataclass(frozen=True)
class Budget:
    """The time for one workload, shared by its trial and counted rounds."""

    seconds: float

    def round_tasks(self, per_second: float, in_flight: int) -> int:
        """Return how many tasks fill a counted round; never fewer than are in flight."""
        seconds = self.seconds * (1 - _TRIAL_SHARE) / ROUNDS
        return max(in_flight, int(per_second * seconds), 1)


async def measure(
    workload: str, modes: Mapping[str, Round], *, in_flight: int, trial_tasks: int, budget: Budget
) -> Measurement:
    """Try every mode once, then run the fastest ``ROUNDS`` times; a single mode needs no trial.

    A counted round has at least ``in_flight`` tasks, so a slow rival takes longer than the budget.
    """
    tried = {name: await _rate(run, trial_tasks) for name, run in modes.items()} if len(modes) > 1 else {}
    best = max(modes, key=lambda name: tried.get(name, 0.0))
    counted = budget.round_tasks(tried.get(best, 0.0), in_flight)
    rounds = tuple([await _rate(modes[best], counted) for _ in range(ROUNDS)])
    return Measurement(workload, best, rounds, tried)


async def _rate(run: Round, tasks: int) -> float:
    return round(tasks / await run(tasks), 1)


async def closed_loop(one: Callable[[int], Awaitable[object]], tasks: int, *, in_flight: int) -> float:
    """Run ``one`` for each of ``tasks`` numbers, ``in_flight`` at a time; return the seconds."""
    numbers = iter(range(tasks))

    async def lane() -> None:
        for number in numbers:
            await one(number)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(in_flight, tasks)):
            group.create_task(lane())
    return time.perf_counter() - began


async def latencies_ms(one: Callable[[int], Awaitable[object]], *, seconds: float, fewest: int = 50) -> list[float]:
    """Return the milliseconds of calls made one after another for about ``seconds``."""
    for number in range(5):
        await one(-1 - number)
    taken: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(taken) < fewest or time.perf_counter() < deadline:
        began = time.perf_counter()
        await one(len(taken))
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of the values lie, nearest rank, to the microsecond."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)
