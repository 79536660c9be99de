"""``bailiwick bench engine``: our engine beside DBOS, Procrastinate and the bare loop, in one run."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from bailiwick.bench.report import Bound, Report, ratio
from bailiwick.bench.rivals import RIVALS, RivalResult, run_rival
from bailiwick.bench.rivals.fsync_control import flush_median_us
from bailiwick.bench.server import bench_server

Say = Callable[[str], None]

ROUNDS = 3


async def measure_engine(*, seconds: float, say: Say) -> Report:
    """Measure all in turn, three times over, on one server; each gets about ``seconds`` in all.

    In turn, so that what else the machine does falls on everybody; figures are
    the medians of the rounds.
    """
    rounds: dict[str, list[RivalResult]] = {name: [] for name in RIVALS}
    flushes: list[float] = []
    async with bench_server() as server:
        for number in range(1, ROUNDS + 1):
            for name in RIVALS:
                say(f"round {number} of {ROUNDS}: {name}")
                flushes.append(flush_median_us(server.data_dir or Path(tempfile.gettempdir())))
                result = await run_rival(name, server.url, seconds=seconds / ROUNDS)
                if not result.available:
                    say(f"{name} is absent: {result.reason}")
                rounds[name].append(result)
    figures = _figures(rounds) | {"fdatasync_us": median(flushes), "fdatasync_slowest_us": max(flushes)}
    return Report("engine", figures, bounds(figures), dict(rounds))


def _figures(rounds: Mapping[str, Sequence[RivalResult]]) -> dict[str, float | None]:
    def figure(rival: str, name: str) -> float | None:
        found = [value for result in rounds[rival] if (value := result.figure(name)) is not None]
        return round(median(found), 3) if found else None

    return {
        "one_step_per_second": figure("bailiwick", "one_step_per_second"),
        "five_step_per_second": figure("bailiwick", "five_step_per_second"),
        "one_step_32_in_flight_per_second": figure("bailiwick", "one_step_32_in_flight_per_second"),
        "five_step_32_in_flight_per_second": figure("bailiwick", "five_step_32_in_flight_per_second"),
        "idle_p50_ms": figure("bailiwick", "idle_p50_ms"),
        "idle_p95_ms": figure("bailiwick", "idle_p95_ms"),
        "bare_serial_p50_ms": figure("bare_loop", "serial_p50_ms"),
        "bare_serial_p95_ms": figure("bare_loop", "serial_p95_ms"),
        "bare_loop_per_second": figure("bare_loop", "tasks_per_second"),
        "dbos_per_second": figure("dbos", "one_step_per_second"),
        "dbos_five_step_per_second": figure("dbos", "five_step_per_second"),
        "procrastinate_per_second": figure("procrastinate", "tasks_per_second"),
    }


def bounds(figures: dict[str, float | None]) -> list[Bound]:
    """Return what the engine promises beside its rivals, with what this run measured."""
    one_step, serial = figures["one_step_per_second"], figures["bare_serial_p50_ms"]
    return [
        Bound("times DBOS, one step", ratio(one_step, figures["dbos_per_second"]), 20, at_least=True),
        Bound("times Procrastinate", ratio(one_step, figures["procrastinate_per_second"]), 10, at_least=True),
        Bound("share of the bare loop", ratio(one_step, figures["bare_loop_per_second"]), 0.25, at_least=True),
        Bound("idle p50 over bare serial p50", ratio(figures["idle_p50_ms"], serial), 3, at_least=False),
        Bound("idle p95 over bare serial p50", ratio(figures["idle_p95_ms"], serial), 5, at_least=False),
    ]
