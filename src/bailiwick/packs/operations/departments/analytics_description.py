"""Data analysis: what a table or a meter's readings show, each figure with how many values it rests on."""

import re
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from scipy import stats

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.analytics_tables import Column, Table, read_tables
from bailiwick.packs.operations.departments.body import issue_lines, read_discussion
from bailiwick.packs.operations.departments.desk import Desk
from bailiwick.packs.operations.departments.figures import find_trend, robust_deviations, rounded
from bailiwick.packs.operations.departments.period import read_period
from bailiwick.packs.operations.departments.work import (
    MAX_LISTED,
    Evidence,
    WorkResult,
    bullets,
    cannot_determine,
    quoted,
)

OPERATION = "data-analysis"
OUTLIER_Z = 3.5
"""Robust z beyond which a value is an outlier (Iglewicz and Hoaglin 1993)."""
MIN_PAIRS = 8
MAX_CORRELATED = 12
SIGNIFICANT = 0.05

_METER = re.compile(r"\bmeter[\s:]{1,4}(?:id[\s:]{1,4})?`?([\w.-]{1,60}\d[\w.-]{0,40})`?", re.IGNORECASE)


async def analyse_data(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Describe every numeric column of the issue's tables, or the readings of the meter it names."""
    tables = read_tables(read_discussion(issue))
    meter = (
        None
        if tables
        else next((found.group(1) for line in issue_lines(issue) if (found := _METER.search(line.text))), None)
    )
    if meter is not None:
        tables = await _meter_table(meter, issue, desk)
    if not tables:
        wanted = (
            f"readings of meter {meter} in the period named"
            if meter
            else "data: paste a CSV, Markdown or JSON table with a numeric column, or name a meter"
        )
        return cannot_determine(OPERATION, [wanted])
    described = [_describe_table(table) for table in tables[:5]]
    said = [line for table, data in zip(tables, described, strict=False) for line in _said(table, data)]
    values = sum(len(column.known) for table in tables for column in table.columns)
    missing = [
        f"{column.missing} value(s) of {quoted(column.name, 60)} ({table.source})"
        for table in tables
        for column in table.columns
        if column.missing
    ]
    missing += [f"rows beyond the first {table.rows:,} ({table.source})" for table in tables if table.truncated]
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=f"{values:,} values in {sum(len(table.columns) for table in tables)} column(s); " + "; ".join(said[:3]),
        data={"tables": described},
        evidence=tuple(
            Evidence(
                table.source, f"{table.rows} rows, numeric: {', '.join(column.name for column in table.columns)}"[:300]
            )
            for table in tables[:MAX_LISTED]
        ),
        missing=tuple(missing[:MAX_LISTED]),
        proposed_comment=bullets(said[:MAX_LISTED]),
    )


def describe(column: Column) -> JsonObject:
    """Return n, missing, mean, median, MAD, quartiles, outliers by robust z and the Theil-Sen trend of a column."""
    values = np.asarray(column.known, dtype=np.float64)
    quartiles = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])
    deviations = robust_deviations(values)
    beyond = np.flatnonzero(np.abs(deviations) > OUTLIER_Z)
    rows = [index for index, value in enumerate(column.values, start=1) if value is not None]
    trend = find_trend(column.known)
    return {
        "name": column.name,
        "n": len(values),
        "missing": column.missing,
        "mean": rounded(float(values.mean())),
        "standard_deviation": rounded(float(values.std(ddof=1))) if len(values) > 1 else None,
        "min": rounded(float(quartiles[0])),
        "q1": rounded(float(quartiles[1])),
        "median": rounded(float(quartiles[2])),
        "q3": rounded(float(quartiles[3])),
        "max": rounded(float(quartiles[4])),
        "mad": rounded(float(np.median(np.abs(values - quartiles[2])))),
        "outliers_count": len(beyond),
        "outliers": [
            {"row": rows[index], "value": float(values[index]), "robust_z": rounded(float(deviations[index]), 2)}
            for index in beyond[:MAX_LISTED].tolist()
        ],
        "trend": (
            None
            if trend is None
            else {
                "slope_per_row": rounded(trend.slope),
                "low": rounded(trend.low),
                "high": rounded(trend.high),
                "direction": trend.direction,
                "points": trend.points,
            }
        ),
    }


def correlate(columns: Sequence[Column]) -> list[JsonObject]:
    """Return Spearman's rank correlation of every pair with at least 8 common rows; p-values are Holm-adjusted."""
    found: list[JsonObject] = []
    usable = columns[:MAX_CORRELATED]
    for position, first in enumerate(usable):
        for second in usable[position + 1 :]:
            pairs = [
                (a, b) for a, b in zip(first.values, second.values, strict=True) if a is not None and b is not None
            ]
            if len(pairs) < MIN_PAIRS or len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
                continue
            rho, p = map(float, stats.spearmanr([a for a, _ in pairs], [b for _, b in pairs]))
            found.append({"columns": [first.name, second.name], "n": len(pairs), "rho": rho, "p": p})
    return _holm(found)


def _holm(found: list[JsonObject]) -> list[JsonObject]:
    ranked = sorted(found, key=lambda one: one["p"])
    highest = 0.0
    for position, one in enumerate(ranked):
        highest = max(highest, min(1.0, one["p"] * (len(ranked) - position)))
        one["p"] = rounded(highest)
        one["rho"] = round(one["rho"], 4)
        one["significant"] = highest < SIGNIFICANT
    return sorted(ranked, key=lambda one: -abs(one["rho"]))


def _describe_table(table: Table) -> JsonObject:
    return {
        "source": table.source,
        "rows": table.rows,
        "columns": [describe(column) for column in table.columns if column.known],
        "correlations": correlate(table.columns)[:MAX_LISTED],
    }


def _said(table: Table, data: JsonObject) -> list[str]:
    said: list[str] = []
    for one in data["columns"]:
        trend = one["trend"]
        moving = (
            ""
            if trend is None
            else (
                f", {trend['direction']} ({trend['slope_per_row']:+g} per row, 95% {trend['low']:g}..{trend['high']:g})"
            )
        )
        odd = f", {one['outliers_count']} outlier(s)" if one["outliers_count"] else ""
        said.append(
            f"{quoted(one['name'], 60)}: median {one['median']:g}, middle half {one['q1']:g}..{one['q3']:g}, n"
            f" {one['n']}{odd}{moving}"
        )
    for one in data["correlations"]:
        if one["significant"]:
            first, second = one["columns"]
            said.append(
                f"{quoted(first, 40)} and {quoted(second, 40)} move together: rho {one['rho']:+.2f}, n {one['n']},"
                f" adjusted p {one['p']:.2g}"
            )
    return said


async def _meter_table(meter: str, issue: IssueRecord, desk: Desk) -> list[Table]:
    period = read_period(issue_lines(issue), desk.now(), default_days=7)
    readings = await desk.readings(meter, since=period.since, until=period.until + timedelta(seconds=1))
    if not readings:
        return []
    column = Column(f"{meter} [{readings[0].unit}]", tuple(reading.value for reading in readings))
    times = tuple(reading.read_at.isoformat() for reading in readings)
    return [
        Table(
            f"meter {meter}, {period.since:%Y-%m-%d} to {period.until:%Y-%m-%d}",
            (column,),
            {"read_at": times},
            len(readings),
        )
    ]
