"""KPI tracking: a named figure, week by week, against its target and with its trend."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise, permutations

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.analytics_tables import Column, Table, read_tables
from bailiwick.packs.operations.departments.body import issue_lines, read_discussion
from bailiwick.packs.operations.departments.desk import Desk, IssueFilter, IssueRow
from bailiwick.packs.operations.departments.figures import find_trend, quantile, rounded
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "kpi-tracking"
WEEKS = 12
_MAX_ISSUES = 100_000
_WHOLE = 100.0

Weekly = Callable[[Sequence[IssueRow], datetime, datetime], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: ``sign`` is ``>=`` or ``<=``."""

    sign: str
    value: float
    is_share: bool = False

    def is_met(self, value: float) -> bool:
        """Say whether a value meets it."""
        return value >= self.value if self.sign == ">=" else value <= self.value


@dataclass(frozen=True, slots=True)
class Tracked:
    """One KPI: its values oldest first, None for weeks that say nothing, and its target if one is stated."""

    name: str
    unit: str
    values: tuple[float | None, ...]
    target: Target | None
    source: str

    @property
    def known(self) -> list[float]:
        """The values that are there."""
        return [value for value in self.values if value is not None]


def _closed(rows: Sequence[IssueRow], since: datetime, until: datetime) -> list[IssueRow]:
    return [row for row in rows if row.closed_at is not None and since <= row.closed_at < until]


def _velocity(rows: Sequence[IssueRow], since: datetime, until: datetime) -> float | None:
    return float(len(_closed(rows, since, until)))


def _resolution(rows: Sequence[IssueRow], since: datetime, until: datetime) -> float | None:
    seconds = [row.resolution_seconds or 0.0 for row in _closed(rows, since, until)]
    median = quantile(seconds, 0.5)
    return None if median is None else median / 3600


def _sla(rows: Sequence[IssueRow], since: datetime, until: datetime) -> float | None:
    due = [row for row in _closed(rows, since, until) if row.deadline_at is not None]
    return 100 * sum(not row.is_late(until) for row in due) / len(due) if due else None


def _backlog(rows: Sequence[IssueRow], since: datetime, until: datetime) -> float | None:
    return float(sum(row.created_at < until and (row.closed_at is None or row.closed_at >= until) for row in rows))


def _arrivals(rows: Sequence[IssueRow], since: datetime, until: datetime) -> float | None:
    return float(sum(since <= row.created_at < until for row in rows))


def _reopened(rows: Sequence[IssueRow], since: datetime, until: datetime) -> float | None:
    closed = _closed(rows, since, until)
    return 100 * sum(row.reopened_count > 0 for row in closed) / len(closed) if closed else None


KPIS: dict[str, tuple[str, re.Pattern[str], Weekly]] = {
    "velocity": (
        "issues closed per week",
        re.compile(r"\b(?:velocity|throughput|closed\s{1,3}(?:issues\s{1,3})?per\s{1,3}week)\b", re.IGNORECASE),
        _velocity,
    ),
    "resolution time": (
        "hours, median",
        re.compile(
            r"\b(?:resolution(?:\s{1,3}time)?|time\s{1,3}to\s{1,3}(?:resolve|close)|mttr|cycle\s{1,3}time)\b",
            re.IGNORECASE,
        ),
        _resolution,
    ),
    "SLA compliance": ("% of closed issues", re.compile(r"\bSLA\b", re.IGNORECASE), _sla),
    "backlog": ("open issues", re.compile(r"\b(?:backlog|open\s{1,3}issues)\b", re.IGNORECASE), _backlog),
    "arrivals": (
        "issues opened per week",
        re.compile(r"\b(?:arrivals?|inflow|new\s{1,3}issues|incoming)\b", re.IGNORECASE),
        _arrivals,
    ),
    "reopen rate": (
        "% of closed issues",
        re.compile(r"\breopen(?:ed|ing)?(?:\s{1,3}rate)?\b", re.IGNORECASE),
        _reopened,
    ),
}
"""The figures that the record itself yields: unit, the words that name them, and their value of a week."""

_TARGET = re.compile(
    r"(>=|=>|≥|<=|=<|≤|>|<|at\s{1,3}least|at\s{1,3}most|under|below|above|over|no\s{1,3}more\s{1,3}than|target(?:\s{1,3}(?:is|of))?:?)"
    r"\s{0,4}(\d{1,9}(?:\.\d{1,6})?)\s{0,3}(%|percent|hours?|h|days?|d|minutes?|min)?(?!\w)",
    re.IGNORECASE,
)
_AT_LEAST = frozenset({">=", "=>", "≥", ">", "at least", "above", "over"})
_AT_MOST = frozenset({"<=", "=<", "≤", "<", "at most", "under", "below", "no more than"})
_LOWER_IS_BETTER = frozenset({"resolution time", "backlog", "reopen rate", "arrivals"})
_HOURS = {"d": 24.0, "day": 24.0, "days": 24.0, "min": 1 / 60, "minute": 1 / 60, "minutes": 1 / 60}


async def track_kpis(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Follow the KPIs that the issue names (or gives as a table) against their targets, with a Theil-Sen trend."""
    tracked = [*_given(issue), *await _named(issue, desk)]
    names = ", ".join(KPIS)
    if not tracked:
        return cannot_determine(OPERATION, [f"a KPI: name one of {names}, or paste a table with a column per KPI"])
    known = [one for one in tracked if one.known]
    missing = [f"values of {quoted(one.name, 60)}: no week on record has one" for one in tracked if not one.known]
    missing += [
        f"a target for {quoted(one.name, 60)}: write for example {quoted(one.name + ' >= 20', 70)}"
        for one in known
        if one.target is None
    ]
    rows = [_row(one) for one in known]
    if not known:
        return cannot_determine(OPERATION, missing, data={"kpis": rows})
    said = [_said(one) for one in known]
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary="; ".join(said[:4]),
        data={"kpis": rows, "weeks": WEEKS},
        evidence=tuple(
            Evidence(one.source, f"{one.name}: {len(one.known)} values, last {one.known[-1]:g}") for one in known
        ),
        missing=tuple(missing),
        proposed_comment=bullets(said),
        proposed_labels=(
            ("kpi-missed",) if any(one.target and not one.target.is_met(one.known[-1]) for one in known) else ()
        ),
    )


def read_target(text: str, kpi: str) -> Target | None:
    """Return the target that a line states for a KPI; a bare ``target: 20`` takes the KPI's better direction."""
    found = _TARGET.search(text)
    if found is None:
        return None
    word = " ".join(found.group(1).lower().split())
    value = float(found.group(2))
    unit = (found.group(3) or "").lower()
    if kpi == "resolution time":
        value *= _HOURS.get(unit, 1.0)
    is_lower = word in _AT_MOST or (word not in _AT_LEAST and kpi in _LOWER_IS_BETTER)
    return Target("<=" if is_lower else ">=", value, is_share=unit in ("%", "percent"))


async def _named(issue: IssueRecord, desk: Desk) -> list[Tracked]:
    lines = [line for line in issue_lines(issue) if not line.source.startswith("comment")]
    wanted: dict[str, tuple[str, Target | None]] = {}
    for name, (_, words, _) in KPIS.items():
        for line in lines:
            match = words.search(line.text)
            if match is None:
                continue
            target = read_target(line.text[match.end() : match.end() + 120], name)
            if name not in wanted or (wanted[name][1] is None and target is not None):
                wanted[name] = (line.source, target)
    if not wanted:
        return []
    now = desk.now()
    rows = await desk.issues(IssueFilter(limit=_MAX_ISSUES))
    if not rows:
        return [Tracked(name, KPIS[name][0], (), target, source) for name, (source, target) in wanted.items()]
    # Weeks before the first issue on record are unknown, not zero.
    age = (now - min(row.created_at for row in rows)).days // 7
    ends = [now - timedelta(weeks=back) for back in range(min(WEEKS, age) - 1, -1, -1)]
    return [
        Tracked(
            name,
            KPIS[name][0],
            tuple(KPIS[name][2](rows, end - timedelta(weeks=1), end) for end in ends),
            target,
            source,
        )
        for name, (source, target) in wanted.items()
    ]


def _given(issue: IssueRecord) -> list[Tracked]:
    lines = [line.text for line in issue_lines(issue) if "|" not in line.text and _TARGET.search(line.text)]
    found: list[Tracked] = []
    for table in read_tables(read_discussion(issue)):
        shares = _shares(table, lines)
        found.extend(shares or (_column(column, table, lines) for column in table.columns if _is_figure(column)))
    return found


def _is_figure(column: Column) -> bool:
    # 1, 2, 3, ... numbers the rows and measures nothing.
    values = column.known
    counts_rows = len(values) > 1 and all(after - before == 1 for before, after in pairwise(values))
    return len(values) > 1 and not (counts_rows and values[0] in (0, 1))


def _column(column: Column, table: Table, lines: Sequence[str]) -> Tracked:
    stated = next((line for line in lines if column.name.lower() in line.lower()), None)
    target = None
    if stated is not None:
        after = stated.lower().index(column.name.lower()) + len(column.name)
        target = read_target(stated[after:], column.name.lower())
    # A target in percent says nothing about a column of counts.
    if target is not None and target.is_share and max(column.known) > _WHOLE:
        target = None
    return Tracked(column.name, "as given", column.values, target, table.source)


def _shares(table: Table, lines: Sequence[str]) -> list[Tracked]:
    """Return part of whole over all rows for two columns that a line with a target in percent names."""
    for line in lines:
        target = read_target(line, "")
        named = [column for column in table.columns if column.name.lower() in line.lower() and not column.missing]
        if target is None or not target.is_share:
            continue
        for part, whole in permutations(named, 2):
            if sum(whole.known) > 0 and all(0 <= a <= b for a, b in zip(part.known, whole.known, strict=True)):
                share = _WHOLE * sum(part.known) / sum(whole.known)
                return [Tracked(f"{part.name} / {whole.name}", "% over all rows", (share,), target, table.source)]
    return []


def _row(one: Tracked) -> dict[str, object]:
    trend = find_trend(one.known)
    return {
        "name": one.name,
        "unit": one.unit,
        "values": [rounded(value) for value in one.values[-60:]],
        "latest": rounded(one.known[-1]),
        "target": f"{one.target.sign} {one.target.value:g}" if one.target else None,
        "met": one.target.is_met(one.known[-1]) if one.target else None,
        "weeks_met": sum(one.target.is_met(value) for value in one.known) if one.target else None,
        "trend": (
            None
            if trend is None
            else {
                "slope": rounded(trend.slope),
                "low": rounded(trend.low),
                "high": rounded(trend.high),
                "direction": trend.direction,
            }
        ),
    }


def _said(one: Tracked) -> str:
    trend = find_trend(one.known)
    moving = (
        f", {trend.direction} ({trend.slope:+.3g} per step, 95% {trend.low:.3g}..{trend.high:.3g})"
        if trend
        else f", no trend from {len(one.known)} value(s)"
    )
    if one.target is None:
        return f"{quoted(one.name, 60)} {one.known[-1]:.4g} {one.unit}, no target stated{moving}"
    verdict = "met" if one.target.is_met(one.known[-1]) else "missed"
    kept = sum(one.target.is_met(value) for value in one.known)
    return (
        f"{quoted(one.name, 60)} {one.known[-1]:.4g} {one.unit}, target"
        f" {one.target.sign} {one.target.value:g} {verdict} (met {kept} of {len(one.known)} times){moving}"
    )
