"""The command line that all rivals share: ``--url URL --seconds N --json``."""

import argparse
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bailiwick.bench.rivals.result import Measurement, RivalResult
from bailiwick.bench.rivals.scratch import scratch_database, server_settings
from bailiwick.kernel import loops

URL_VARIABLE = "BAILIWICK_BENCH_URL"
DEFAULT_SECONDS = 20.0


@dataclass(frozen=True)
class Findings:
    """What a rival's own code hands back; the entry adds version, server and time."""

    figures: Mapping[str, float]
    measurements: tuple[Measurement, ...]
    settings: Mapping[str, str]


Measure = Callable[[str, float], Awaitable[Findings]]
"""Measures in an empty database at that URL for about that many seconds."""


def run_entry(rival: str, load: Callable[[], Measure], *, package: str | None = None) -> int:
    """Parse the arguments, measure, print; return the exit status.

    ``load`` is called only when ``package`` is installed.
    """
    arguments = _parse(rival)
    url = arguments.url or os.environ.get(URL_VARIABLE)
    if not url:
        sys.stderr.write(f"no server given; pass --url or set {URL_VARIABLE}\n")
        return 2
    if package is not None and importlib.util.find_spec(package) is None:
        result = RivalResult(rival, available=False, reason=f"the package {package} is not installed")
    else:
        result = loops.run(_measure(rival, load(), url, arguments.seconds, package))
    sys.stdout.write(result.to_json().decode() + "\n" if arguments.json else _as_text(result))
    return 0


async def _measure(rival: str, run: Measure, url: str, seconds: float, package: str | None) -> RivalResult:
    began = time.perf_counter()
    async with scratch_database(url, rival) as scratch_url:
        findings = await run(scratch_url, seconds)
        server = await server_settings(scratch_url)
    return RivalResult(
        rival,
        available=True,
        version=importlib.metadata.version(package) if package else None,
        figures=findings.figures,
        measurements=findings.measurements,
        settings=findings.settings,
        server=server,
        wall_seconds=round(time.perf_counter() - began, 1),
    )


def _parse(rival: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m bailiwick.bench.rivals.{rival}")
    parser.add_argument("--url", help=f"a role that may create databases; else {URL_VARIABLE}, which ps does not show")
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="time to measure, about")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    return parser.parse_args()


def _as_text(result: RivalResult) -> str:
    if not result.available:
        return f"{result.rival}: not available: {result.reason}\n"
    lines: Sequence[str] = [
        f"{result.rival} {result.version or ''}".strip(),
        *(f"  {name:32} {value:>12,.2f}" for name, value in result.figures.items()),
        *(f"  {item.workload}: {item.mode}, rounds {list(item.rounds_per_second)}" for item in result.measurements),
    ]
    return "\n".join(lines) + "\n"
