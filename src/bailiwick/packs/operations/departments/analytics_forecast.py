"""Forecasting: the method that forecast the past best, its measured error and an interval from its own misses."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.analytics_tables import Table, read_tables
from bailiwick.packs.operations.departments.body import issue_lines, read_discussion
from bailiwick.packs.operations.departments.desk import Desk, IssueFilter
from bailiwick.packs.operations.departments.figures import FloatArray, rounded
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "forecasting"
MIN_ORIGINS = 6
"""Rolling origins that a backtest needs; an 80% interval cannot be read off fewer than 4 misses."""
MAX_ORIGINS = 60
MIN_TRAIN = 5
MAX_POINTS = 2_000
MAX_HORIZON = 90
DEFAULT_HORIZON = 7
HISTORY_DAYS = 180
SEASON = 7
COVERAGE = 0.80

_ALPHAS = np.linspace(0.05, 0.95, 10)
_BETAS = np.array([0.05, 0.1, 0.2, 0.4])
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10, "twelve": 12}
_HORIZON = re.compile(
    rf"\bnext\s{{1,4}}(?:(\d{{1,3}}|{'|'.join(_COUNTS)})\s{{1,4}})?(hour|day|week|month|quarter|year|step|period|point)s?\b",
    re.IGNORECASE,
)
_INLINE = re.compile(r"(?<![\d.,])\d{1,9}(?:\.\d{1,6})?(?:\s{0,3}[,;]\s{1,3}\d{1,9}(?:\.\d{1,6})?){5,2000}")
_PER = re.compile(r"\b(?:per|each|every|a)\s{1,3}(hour|day|week|month|quarter|year)\b", re.IGNORECASE)
_ADVERBS = {
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
}
_EVERY = re.compile(rf"\b(?:{'|'.join(_ADVERBS)})\b", re.IGNORECASE)
_UNITS = {
    1: "day",
    7: "week",
    28: "month",
    29: "month",
    30: "month",
    31: "month",
    91: "quarter",
    92: "quarter",
    365: "year",
}
_NEED_STEP = "how far apart the values are: write for example 'per day' before them, or add a column with dates"
_OWN_WORK = re.compile(r"\b(?:issues?|tickets?|requests?|reports?|arrivals?|workload|inflow)\b", re.IGNORECASE)
_WEEKLY = re.compile(r"\b(?:weekly|per\s{1,3}week|each\s{1,3}week|weeks)\b", re.IGNORECASE)

IntArray = NDArray[np.int64]
Method = Callable[[FloatArray, IntArray, int, int], FloatArray]
"""Forecasts of a series from each origin (what came before it), for a horizon and a season: one row per origin."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Points with their interval, the method chosen, and every method's mean absolute error in the backtest."""

    method: str
    points: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    errors: dict[str, float]
    origins: int


def forecast(values: Sequence[float], horizon: int, season: int = SEASON) -> Forecast | None:
    """Forecast ``horizon`` steps by the method with the least rolling-origin error, or None when too short.

    Every origin sees only what came before it. The interval of a step reaches as far as the split-conformal
    80% quantile of that method's own misses at that step (the ceil(0.8 (n + 1))-th smallest of n), so it
    widens only if the misses did. ``season`` 0 leaves the seasonal method out.
    """
    series = np.asarray(values[-MAX_POINTS:], dtype=np.float64)
    if series.size < needed_length(horizon) or not np.isfinite(series).all():
        return None
    # With room for it, every origin has seen two seasons; else the seasonal method stands back.
    seasonal_train = max(MIN_TRAIN, 2 * season)
    has_room = series.size - horizon - seasonal_train + 1 >= MIN_ORIGINS
    first = max(seasonal_train if has_room else MIN_TRAIN, series.size - horizon - MAX_ORIGINS + 1)
    origins = np.arange(first, series.size - horizon + 1)
    actual = series[origins[:, None] + np.arange(horizon)]
    misses: dict[str, FloatArray] = {}
    for name, method in METHODS.items():
        if name == "seasonal naive" and (season <= 1 or first < 2 * season):
            continue
        misses[name] = actual - method(series, origins, horizon, season)
    errors = {name: float(np.abs(miss).mean()) for name, miss in misses.items()}
    best = min(errors, key=lambda name: (errors[name], list(METHODS).index(name)))
    points = METHODS[best](series, np.array([series.size]), horizon, season)[0]
    rank = min(len(origins), math.ceil(COVERAGE * (len(origins) + 1)))
    reach = np.sort(np.abs(misses[best]), axis=0)[rank - 1]
    low, high = points - reach, points + reach
    return Forecast(best, tuple(points.tolist()), tuple(low.tolist()), tuple(high.tolist()), errors, len(origins))


def needed_length(horizon: int) -> int:
    """Return how many values a forecast of that horizon needs."""
    return MIN_TRAIN + horizon + MIN_ORIGINS - 1


def _naive(series: FloatArray, origins: IntArray, horizon: int, season: int) -> FloatArray:
    return np.repeat(series[origins - 1][:, None], horizon, axis=1)


def _average(series: FloatArray, origins: IntArray, horizon: int, season: int) -> FloatArray:
    means = np.cumsum(series)[origins - 1] / origins
    return np.repeat(means[:, None], horizon, axis=1)


def _seasonal(series: FloatArray, origins: IntArray, horizon: int, season: int) -> FloatArray:
    steps = np.arange(horizon) % season
    return series[origins[:, None] - season + steps[None, :]]


def _drift(series: FloatArray, origins: IntArray, horizon: int, season: int) -> FloatArray:
    slopes = (series[origins - 1] - series[0]) / (origins - 1)
    return series[origins - 1][:, None] + slopes[:, None] * np.arange(1, horizon + 1)


def _smooth(series: FloatArray, origins: IntArray, horizon: int, season: int) -> FloatArray:
    level, _ = _smoothed(series, origins, _ALPHAS, np.zeros_like(_ALPHAS), trended=False)
    return np.repeat(level[:, None], horizon, axis=1)


def _holt(series: FloatArray, origins: IntArray, horizon: int, season: int) -> FloatArray:
    alpha, beta = (grid.ravel() for grid in np.meshgrid(_ALPHAS, _BETAS))
    level, slope = _smoothed(series, origins, alpha, beta, trended=True)
    return level[:, None] + slope[:, None] * np.arange(1, horizon + 1)


def _smoothed(
    series: FloatArray, origins: IntArray, alpha: FloatArray, beta: FloatArray, *, trended: bool
) -> tuple[FloatArray, FloatArray]:
    # All weights of the grid advance together in one pass; at each origin the one with the least squared
    # one-step error until then is read off, so no origin sees what comes after it.
    level = np.full(alpha.shape, series[0])
    slope = np.full(alpha.shape, series[1] - series[0] if trended else 0.0)
    error = np.zeros_like(level)
    wanted = {int(origin): position for position, origin in enumerate(origins)}
    levels, slopes = np.zeros(len(origins)), np.zeros(len(origins))
    for seen, value in enumerate(series[1:], start=2):
        miss = value - level - slope
        error += miss * miss
        level = level + slope + alpha * miss
        slope = slope + alpha * beta * miss
        if seen in wanted:
            best = int(error.argmin())
            levels[wanted[seen]], slopes[wanted[seen]] = level[best], slope[best]
    return levels, slopes


METHODS: dict[str, Method] = {
    "naive": _naive,
    "mean": _average,
    "seasonal naive": _seasonal,
    "drift": _drift,
    "exponential smoothing": _smooth,
    "Holt": _holt,
}
"""The methods that compete, simplest first: of equal errors the simpler wins."""


@dataclass(frozen=True, slots=True)
class _Series:
    name: str
    source: str
    values: list[float]
    step: str
    season: int
    is_count: bool


async def forecast_series(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Forecast the series given in the issue, or the organization's own issue arrivals when those are asked for."""
    weekly = any(_WEEKLY.search(line.text) for line in issue_lines(issue))
    series = _given(issue) or _inline(issue)
    if series is None and not any(_OWN_WORK.search(line.text) for line in issue_lines(issue)):
        need = "the series to forecast: paste its past values, oldest first, as a table or as numbers on one line"
        return cannot_determine(OPERATION, [need])
    series = series or await _arrivals(desk, weekly=weekly)
    horizon = _horizon(issue, series.step)
    if horizon is None:
        return cannot_determine(OPERATION, [_NEED_STEP])
    data = {"series": series.name, "points": len(series.values), "horizon": horizon, "step": series.step}
    found = forecast(series.values, horizon, series.season)
    if found is None:
        need = (
            f"{needed_length(horizon)} values of {quoted(series.name, 60)} (there are {len(series.values)}) to forecast"
            f" {horizon} {series.step}(s): add a longer table, or ask for fewer steps"
        )
        return cannot_determine(OPERATION, [need], data=data)
    floor = 0.0 if series.is_count else -math.inf
    points, low, high = ([max(floor, value) for value in part] for part in (found.points, found.low, found.high))
    said = [
        f"{series.step} {step}: {point:.6g} (80% {bottom:.6g} to {top:.6g})"
        for step, (point, bottom, top) in enumerate(zip(points, low, high, strict=True), start=1)
    ]
    errors = ", ".join(f"{name} {error:.4g}" for name, error in sorted(found.errors.items(), key=lambda one: one[1]))
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=(
            f"{quoted(series.name, 60)}, next {horizon} {series.step}(s): {sum(points):.6g} in all by {found.method}"
            f" (mean absolute error {found.errors[found.method]:.4g} over {found.origins} backtests)"
        ),
        data={
            **data,
            "method": found.method,
            "forecast": [rounded(value) for value in points],
            "low": [rounded(value) for value in low],
            "high": [rounded(value) for value in high],
            "interval": COVERAGE,
            "mean_absolute_errors": {name: rounded(error) for name, error in found.errors.items()},
            "backtest_origins": found.origins,
        },
        evidence=(Evidence(series.source, f"{len(series.values)} values, last {series.values[-1]:g}"),),
        proposed_comment=f"{bullets(said)}\n\nBacktest errors: {errors} ({found.origins} origins).",
    )


def _given(issue: IssueRecord) -> _Series | None:
    tables = [table for table in read_tables(read_discussion(issue)) if table.columns]
    if not tables:
        return None
    table = max(tables, key=lambda one: one.rows)
    # The last numeric column is what such tables are about; earlier ones number or date the rows.
    column = table.columns[-1]
    step = _step_of(table)
    return _Series(column.name, table.source, column.known, step, SEASON if step == "day" else 0, is_count=False)


def _step_of(table: Table) -> str:
    """Return the unit that a column is named for, or by which dates mostly follow each other; else "step"."""
    named = [name.strip().lower() for name in table.texts] + [column.name.strip().lower() for column in table.columns]
    if (unit := next((name for name in named if name in _DAYS), None)) and table.dates is None:
        return unit
    days = [date.fromisoformat(cell[:10]) for cell in table.dates or ()]
    gaps = [abs((later - earlier).days) for earlier, later in pairwise(days)]
    return _UNITS.get(int(median(gaps)), "step") if gaps else "step"


def _inline(issue: IssueRecord) -> _Series | None:
    for line in issue_lines(issue):
        found = _INLINE.search(line.text)
        if found is not None:
            values = [float(part) for part in re.split(r"\s{0,3}[,;]\s{1,3}", found.group())]
            per = _PER.search(line.text)
            every = _EVERY.search(line.text)
            step = per.group(1).lower() if per else _ADVERBS[every.group().lower()] if every else "step"
            name = line.text[: found.start()].partition(",")[0].strip(" :.-") or "the values given"
            return _Series(name, line.source, values, step, 0, is_count=False)
    return None


async def _arrivals(desk: Desk, *, weekly: bool) -> _Series:
    now = desk.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await desk.issues(
        IssueFilter(created_since=today - timedelta(days=HISTORY_DAYS), created_until=today, limit=100_000)
    )
    if not rows:
        return _Series("issue arrivals per day", "issues on record", [], "day", SEASON, is_count=True)
    # Days before the first issue on record are unknown, not zero.
    days = (today - min(row.created_at for row in rows)).days + 1
    counts = np.zeros(days)
    for row in rows:
        counts[days - 1 - (today - row.created_at).days] += 1
    if weekly:
        whole = counts[len(counts) % 7 :].reshape(-1, 7).sum(axis=1)
        return _Series("issue arrivals per week", "issues on record", whole.tolist(), "week", 0, is_count=True)
    return _Series("issue arrivals per day", "issues on record", counts.tolist(), "day", SEASON, is_count=True)


def _horizon(issue: IssueRecord, step: str) -> int | None:
    """Return how many steps ahead are asked for; None where a span of time is, and nothing says how long a step is."""
    # Of several spans named, the longest covers them all.
    asked = [_steps(found, step) for line in issue_lines(issue) for found in _HORIZON.finditer(line.text)]
    known = [steps for steps in asked if steps is not None]
    if asked and len(known) < len(asked):
        return None
    return max(known, default=4 if step in ("week", "month") else DEFAULT_HORIZON)


def _steps(found: re.Match[str], step: str) -> int | None:
    number, unit = (found.group(1) or "1").lower(), found.group(2).lower()
    count = _COUNTS.get(number) or int(number)
    if unit not in _DAYS:
        return max(1, min(MAX_HORIZON, count))
    if step not in _DAYS:
        return None
    return max(1, min(MAX_HORIZON, round(count * _DAYS[unit] / _DAYS[step])))


_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
