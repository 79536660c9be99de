"""Reads measured speeds and what they are held against: a stated budget, or an earlier run of the same benchmark."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bailiwick.kernel.documents import JsonObject, decode
from bailiwick.kernel.errors import InvalidPayloadError
from bailiwick.packs.operations.departments.analytics_tables import Table
from bailiwick.packs.operations.departments.body import Block, Line

TOLERANCE = 0.10
"""How much slower than an earlier run counts as noise; a stated budget has no tolerance."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A measurement in seconds and the limit it is held against, if any."""

    name: str
    seconds: float
    limit_seconds: float | None
    against: str | None
    source: str

    @property
    def points(self) -> float | None:
        """100 within the limit, in proportion beyond it, None without a limit."""
        if self.limit_seconds is None:
            return None
        return 100.0 if self.seconds <= self.limit_seconds else 100.0 * self.limit_seconds / self.seconds


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0, "min": 60.0}
_TIME = r"(\d{1,9}(?:\.\d{1,9})?)\s{0,3}(ns|us|µs|μs|ms|seconds|sec|s|min)\b"
_MAX_LINE = 1_000
_COLUMN_UNIT = re.compile(r"(?:^|[\s_(\[])(ns|us|µs|ms|s|sec|seconds)[)\]]?$", re.IGNORECASE)
_PERCENTILE_BUDGET = re.compile(
    r"(?:\bp(\d{2})\b|\b(\d{2})\s{0,3}(?:%|percent\b|th percentile\b))[^\n]{0,40}?"
    rf"(?:below|under|within|at most|<=?|≤)\s{{0,3}}{_TIME}",
    re.IGNORECASE,
)
_MEASURED = re.compile(
    rf"([A-Za-z][\w ./-]{{0,60}}?)\s{{0,4}}(?:[:=|]|\bis\b|\btook\b)\s{{0,4}}{_TIME}[^\n]{{0,40}}?"
    rf"(?:budget|target|limit|max(?:imum)?|slo|<=?|≤|\|)[\s:|<=≤]{{0,6}}{_TIME}",
    re.IGNORECASE,
)


def read_benchmarks(blocks: Sequence[Block], lines: Sequence[Line], tables: Sequence[Table] = ()) -> list[Benchmark]:
    """Return the measurements of an issue.

    Read are pytest-benchmark JSON blocks (the last is the run, the one before it the baseline), lines or table
    rows such as ``search: 180 ms (budget 200 ms)``, and tables whose columns name a unit (``p95_ms``): the last
    row is the run, an earlier row its baseline, and a line such as ``95 percent below 400 ms`` its budget.
    """
    runs = [run for run in map(_pytest_run, blocks) if run]
    found: list[Benchmark] = []
    if runs:
        source, newest = runs[-1]
        earlier_source, earlier = runs[-2] if len(runs) > 1 else ("", {})
        for name, seconds in newest.items():
            before = earlier.get(name)
            limit = None if before is None else before * (1 + TOLERANCE)
            against = None if before is None else f"the run at {earlier_source} plus {TOLERANCE:.0%}"
            found.append(Benchmark(name, seconds, limit, against, source))
    found += [one for table in tables for one in _in_table(table, lines)]
    return _with_budgets(found, [one for line in lines for one in _in_line(line)])


def performance_points(benchmarks: Sequence[Benchmark]) -> float | None:
    """Return the mean points 0..100 of the measurements that have a limit, or None when none has."""
    known = [one.points for one in benchmarks if one.points is not None]
    return sum(known) / len(known) if known else None


def _pytest_run(block: Block) -> tuple[str, dict[str, float]] | None:
    text = block.text.strip()
    if not text.startswith("{") or '"benchmarks"' not in text:
        return None
    try:
        document: JsonObject = decode(text)
    except InvalidPayloadError:
        return None
    rows = document.get("benchmarks")
    medians = dict(filter(None, map(_median, rows))) if isinstance(rows, list) else {}
    return (block.source, medians) if medians else None


def _median(row: object) -> tuple[str, float] | None:
    if not isinstance(row, dict):
        return None
    stats = row.get("stats")
    if not isinstance(stats, dict):
        return None
    value = stats.get("median", stats.get("mean"))
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        return None
    return str(row.get("name", "(unnamed)"))[:200], float(value)


def _in_table(table: Table, lines: Sequence[Line]) -> list[Benchmark]:
    found: list[Benchmark] = []
    for column in table.columns:
        unit = _COLUMN_UNIT.search(column.name)
        if unit is None or len(column.known) != len(column.values) or min(column.known) <= 0:
            continue
        scale = _UNITS[unit.group(1).lower()]
        newest = column.known[-1] * scale
        budget = _percentile_budget(column.name, lines)
        if budget is not None:
            found.append(Benchmark(column.name, newest, budget[0], f"the target ({budget[1]})", table.source))
        elif len(column.known) > 1:
            limit = column.known[-2] * scale * (1 + TOLERANCE)
            found.append(Benchmark(column.name, newest, limit, f"the row before plus {TOLERANCE:.0%}", table.source))
        else:
            found.append(Benchmark(column.name, newest, None, None, table.source))
    return found


def _percentile_budget(name: str, lines: Sequence[Line]) -> tuple[float, str] | None:
    for line in lines:
        stated = _PERCENTILE_BUDGET.search(line.text[:_MAX_LINE])
        if stated is not None and (stated.group(1) or stated.group(2)) in re.findall(r"\d{1,3}", name):
            return float(stated.group(3)) * _UNITS[stated.group(4).lower()], line.source
    return None


def _in_line(line: Line) -> list[Benchmark]:
    found = _MEASURED.search(line.text[:_MAX_LINE])
    if found is None:
        return []
    name, value, unit, limit, limit_unit = found.groups()
    seconds, limit_seconds = float(value) * _UNITS[unit.lower()], float(limit) * _UNITS[limit_unit.lower()]
    if seconds <= 0 or limit_seconds <= 0:
        return []
    return [Benchmark(name.strip(" |-"), seconds, limit_seconds, "the stated budget", line.source)]


def _with_budgets(measured: list[Benchmark], stated: list[Benchmark]) -> list[Benchmark]:
    # A benchmark run and a budget line may speak of the same name; the run's figure then counts.
    budgets = {one.name.lower(): one for one in stated}
    joined: list[Benchmark] = []
    for one in measured:
        budget = budgets.pop(one.name.lower(), None)
        joined.append(
            one if budget is None else replace(one, limit_seconds=budget.limit_seconds, against=budget.against)
        )
    return [*joined, *budgets.values()]
