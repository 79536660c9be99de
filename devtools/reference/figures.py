"""Figures: what the benchmarks stored, as tables. A figure that nobody measured is not shown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devtools.reference.markdown import table

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

# Figure, what it is, the unit it is shown in.
_ENGINE = (
    ("one_step_per_second", "tasks per second: enqueue, claim, one journaled step, complete; 1,000 in flight"),
    ("five_step_per_second", "the same with five journaled steps"),
    ("one_step_32_in_flight_per_second", "one step, 32 in flight"),
    ("five_step_32_in_flight_per_second", "five steps, 32 in flight"),
    ("idle_p50_ms", "milliseconds from enqueue to done on an idle machine, half are faster"),
    ("idle_p95_ms", "the same, 95 % are faster"),
    ("bare_serial_p50_ms", "three bare commits one after another (the floor for one task), milliseconds"),
    ("bare_loop_per_second", "a bare batched claim-and-complete loop without a journal (the ceiling)"),
    ("dbos_per_second", "DBOS, one step"),
    ("procrastinate_per_second", "Procrastinate, no step"),
)
_OTHERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "agents": (
        ("tick_lag_p99_seconds", "seconds a tick is late at most, 99 % of ticks"),
        ("bytes_per_agent", "bytes of memory per agent in the worker"),
        ("read_p95_ms", "milliseconds for an API read meanwhile, 95 % are faster"),
    ),
    "fairness": (
        ("unloaded_start_p50_ms", "milliseconds until a task starts on an idle worker"),
        ("loaded_start_p50_ms", "the same while another organization has a flood of tasks waiting"),
        ("fairness_ratio", "the second over the first"),
    ),
    "start": (("ready_seconds", "seconds from `bailiwick up` to ready, on an existing data folder"),),
}


def of(benchmark: str) -> str:
    """Return the stored figures of a benchmark, or that there are none."""
    report = _read(benchmark)
    if report is None:
        return f"Not measured yet. `make bench ARGS={benchmark}` measures it."
    known = _ENGINE if benchmark == "engine" else _OTHERS[benchmark]
    rows = [(f"`{name}`", _shown(report[name]), meaning) for name, meaning in known if report.get(name) is not None]
    absent = [f"`{name}`" for name, _ in known if report.get(name) is None]
    parts = [_where(report), table(("Figure", "Measured", "What it is"), rows), _promises(report)]
    if absent:
        parts.insert(2, f"Not measured in this run: {', '.join(absent)}.")
    return "\n\n".join(part for part in parts if part)


def in_short() -> str:
    """Return the few figures that a newcomer asks for, one sentence each."""
    lines: list[str] = []
    if engine := _read("engine"):
        lines.append(
            f"* {_shown(engine['one_step_per_second'])} one-step durable tasks per second with 1,000 in flight; "
            f"{_shown(engine['idle_p50_ms'])} ms from enqueue to done when idle."
        )
    if start := _read("start"):
        lines.append(f"* {_shown(start['ready_seconds'])} s from `bailiwick up` to ready.")
    if not lines:
        return "Not measured yet on this version."
    return "\n".join([*lines, "", _where(_read("engine") or _read("start") or {})])


def _read(benchmark: str) -> dict[str, Any] | None:
    path = RESULTS / f"{benchmark}.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def _where(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return (
        f"Measured {report['measured_at'][:10]} with version {report['version']} on {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; "
        f"load at the end {machine['load_1_minute']}."
    )


def _promises(report: Mapping[str, Any]) -> str:
    rows = [
        (
            bound["name"], "not measured" if bound["measured"] is None else _shown(bound["measured"]),
            f"{'at least' if bound['at_least'] else 'at most'} {bound['limit']:g}",
            {True: "yes", False: "**no**", None: "not measured"}[bound["kept"]],
        )
        for bound in report["bounds"]
    ]  # fmt: skip
    return table(("Promise", "Measured", "Limit", "Kept"), rows) if rows else ""


def _shown(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
