"""``bailiwick bench``: figures beside rivals and limits, measured here and now."""

import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from bailiwick.bench.agents import measure_agents
from bailiwick.bench.audit import measure_audit
from bailiwick.bench.effects import measure_effects
from bailiwick.bench.engine import measure_engine
from bailiwick.bench.fairness import measure_fairness
from bailiwick.bench.logins import measure_logins
from bailiwick.bench.policy import measure_policy
from bailiwick.bench.report import Report
from bailiwick.bench.requests import measure_requests
from bailiwick.bench.start import measure_start
from bailiwick.kernel import loops

RESULTS = Path("benchmarks/results")

app = typer.Typer()

Say = Callable[[str], None]


class Benchmark(StrEnum):
    """What can be measured."""

    ENGINE = "engine"
    AGENTS = "agents"
    FAIRNESS = "fairness"
    START = "start"
    LOGINS = "logins"
    AUDIT = "audit"
    REQUESTS = "requests"
    POLICY = "policy"
    EFFECTS = "effects"


@app.command()
def bench(
    benchmarks: Annotated[
        list[Benchmark] | None, typer.Argument(help="Which benchmarks to run; all of them if none is named.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long each engine is measured in all, about.")] = 30.0,
    store: Annotated[
        Path | None, typer.Option(help="Folder for the results; in a clone, benchmarks/results if nothing is said.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Measure the engine beside its rivals, ten thousand agents, fairness, cold start, logins, the audit log."""
    console = Console(stderr=True)
    folder = store or (RESULTS if RESULTS.is_dir() else None)
    reports: list[Report] = []
    for benchmark in benchmarks or list(Benchmark):
        report = loops.run(_measure(benchmark, seconds, lambda sentence: console.print(sentence, style="dim")))
        reports.append(report)
        if folder is not None:
            console.print(f"stored {report.store(folder)}", style="dim")
        if not as_json:
            _show(report)
    if as_json:
        documents = [report.to_json() for report in reports]
        sys.stdout.write(orjson.dumps(documents[0] if len(documents) == 1 else documents).decode() + "\n")


def _measure(benchmark: Benchmark, seconds: float, say: Say) -> Coroutine[Any, Any, Report]:
    measures: dict[Benchmark, Callable[[], Coroutine[Any, Any, Report]]] = {
        Benchmark.ENGINE: lambda: measure_engine(seconds=seconds, say=say),
        Benchmark.AGENTS: lambda: measure_agents(say=say),
        Benchmark.FAIRNESS: lambda: measure_fairness(say=say),
        Benchmark.AUDIT: lambda: measure_audit(say=say),
        Benchmark.REQUESTS: lambda: measure_requests(say=say),
        Benchmark.POLICY: lambda: measure_policy(say=say),
        Benchmark.EFFECTS: lambda: measure_effects(say=say),
        Benchmark.START: lambda: measure_start(say=say),
        Benchmark.LOGINS: lambda: measure_logins(say=say),
    }
    return measures[benchmark]()


def _show(report: Report) -> None:
    console = Console()
    figures = Table(title=f"bailiwick bench {report.benchmark}", show_header=False)
    for name, figure in report.figures.items():
        figures.add_row(name, "absent" if figure is None else f"{figure:,.3f}".rstrip("0").rstrip("."))
    console.print(figures)
    bounds = Table(title="promises")
    for heading in ("promise", "measured", "limit", "kept"):
        bounds.add_column(heading)
    for bound in report.bounds:
        kept = {True: "[green]yes", False: "[red]no", None: "[yellow]not measured"}[bound.is_kept]
        sign = "≥" if bound.at_least else "≤"
        bounds.add_row(bound.name, str(bound.measured), f"{sign} {bound.limit:g}", kept)
    console.print(bounds)
