"""KPI review: delivery figures against their targets, and a health score by a stated formula."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.body import issue_lines
from bailiwick.packs.operations.departments.desk import AgentRow, Desk, EventRow, IssueFilter, IssueRow
from bailiwick.packs.operations.departments.figures import quantile, rounded, say_duration
from bailiwick.packs.operations.departments.period import read_period
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine

OPERATION = "kpi-review"
DEFAULT_DAYS = 28
TARGET_RESOLUTION_HOURS = 24.0
TARGET_VELOCITY = 20.0
TARGET_HEALTH = 85.0
TARGET_UTILISATION = (0.65, 0.85)
TARGET_ESCALATION_HOURS = 4.0
DONE_BONUS_SHARE = 0.80
ESCALATED = "issue.escalated"
HEALTH_FORMULA = (
    "100 - 2 per blocked issue - 10 if the median resolution exceeds 24 h - 10 if velocity is below 20 a week + 5 if"
    " more than 80% are done, within 0 and 100"
)
_MAX_ISSUES = 100_000


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure, its target in words, and whether it is met; None when it cannot be known."""

    name: str
    value: float | None
    unit: str
    target: str
    is_met: bool | None
    n: int


async def review_kpis(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Review resolution, velocity, health, utilisation and critical escalation over the asked period."""
    now = desk.now()
    period = read_period(issue_lines(issue), now, default_days=DEFAULT_DAYS)
    rows = await desk.issues(IssueFilter(created_until=period.until, limit=_MAX_ISSUES))
    if not rows:
        return cannot_determine(OPERATION, ["issues on record: import the history or wait for the first issues"])
    closed = [row for row in rows if row.closed_at is not None and period.since <= row.closed_at < period.until]
    # Velocity over weeks in which the organization existed; before its first issue it could close nothing.
    begin = max(period.since, min(row.created_at for row in rows))
    weeks = (period.until - begin).total_seconds() / 604_800
    events = await desk.events(since=period.since, until=period.until, types=(ESCALATED,))
    resolution, share = _resolution(closed)
    velocity = _velocity(closed, weeks)
    health = _health(rows, resolution, velocity)
    utilisation = _utilisation(await desk.agents())
    kpis = (share, resolution, velocity, health, utilisation, _escalation(rows, events, period.since))
    data: JsonObject = {
        "period": {"since": period.since.isoformat(), "until": period.until.isoformat(), "source": period.source},
        "kpis": [_row(one) for one in kpis],
        "health_formula": HEALTH_FORMULA,
        "blocked": [row.key for row in rows if row.status == "blocked" and row.state == "open"][:20],
    }
    missing = [_MISSING[kpi.name] for kpi in kpis if kpi.value is None]
    said = [_said(kpi) for kpi in kpis if kpi.value is not None]
    if not said:
        return cannot_determine(OPERATION, missing, data=data)
    known = [kpi.is_met for kpi in kpis if kpi.is_met is not None]
    judged = f"{sum(known)} of {len(known)} KPIs with a value meet their target"
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=f"{judged}, {period.since:%Y-%m-%d} to {period.until:%Y-%m-%d}: {'; '.join(said[:3])}",
        data=data,
        evidence=(Evidence("issues on record", f"{len(rows)} issues, {len(closed)} closed in the period"),),
        missing=tuple(missing),
        proposed_comment=bullets(said),
        proposed_labels=() if all(known) else ("kpi-missed",),
    )


def _row(kpi: Kpi) -> JsonObject:
    return {
        "name": kpi.name,
        "value": rounded(kpi.value),
        "unit": kpi.unit,
        "target": kpi.target,
        "met": kpi.is_met,
        "n": kpi.n,
    }


_MISSING = {
    "resolution within 24 h": "closed issues in the period: close some or name an earlier period",
    "median resolution": "resolution times: nothing was closed in the period",
    "velocity": "at least one whole week of history",
    "health": "velocity and resolution times, which health is made of",
    "utilisation": "active agents with a capacity",
    "critical escalation": "P0 issues of the period and their escalations on the event log",
}


def health_score(blocked: int, slow: bool, low_velocity: bool, done_share: float) -> float:
    """Return the health of delivery, 0..100, by ``HEALTH_FORMULA``."""
    score = 100.0 - 2.0 * blocked - 10.0 * slow - 10.0 * low_velocity + 5.0 * (done_share > DONE_BONUS_SHARE)
    return min(100.0, max(0.0, score))


def _resolution(closed: Sequence[IssueRow]) -> tuple[Kpi, Kpi]:
    hours = [(row.resolution_seconds or 0.0) / 3600 for row in closed]
    median = quantile(hours, 0.5)
    within = 100 * sum(value <= TARGET_RESOLUTION_HOURS for value in hours) / len(hours) if hours else None
    is_met = None if median is None else median <= TARGET_RESOLUTION_HOURS
    # The target is on the time itself; the share shows how many keep it and has no target of its own.
    share = Kpi("resolution within 24 h", within, "%", "no target of its own", None, len(hours))
    return Kpi("median resolution", median, "h", "<= 24", is_met, len(hours)), share


def _velocity(closed: Sequence[IssueRow], weeks: float) -> Kpi:
    value = len(closed) / weeks if weeks >= 1 else None
    return Kpi(
        "velocity", value, "issues/week", ">= 20", None if value is None else value >= TARGET_VELOCITY, len(closed)
    )


def _health(rows: Sequence[IssueRow], resolution: Kpi, velocity: Kpi) -> Kpi:
    if resolution.value is None or velocity.value is None:
        return Kpi("health", None, "points", ">= 85", None, len(rows))
    blocked = sum(row.status == "blocked" and row.state == "open" for row in rows)
    done_share = sum(row.state == "closed" for row in rows) / len(rows)
    value = health_score(blocked, resolution.is_met is False, velocity.is_met is False, done_share)
    return Kpi("health", value, "points", ">= 85", value >= TARGET_HEALTH, len(rows))


def _utilisation(agents: Sequence[AgentRow]) -> Kpi:
    capacity = sum(agent.capacity for agent in agents)
    if capacity <= 0:
        return Kpi("utilisation", None, "%", "75 +- 10", None, len(agents))
    value = sum(agent.load for agent in agents) / capacity
    low, high = TARGET_UTILISATION
    return Kpi("utilisation", 100 * value, "%", "75 +- 10", low <= value <= high, len(agents))


def _escalation(rows: Sequence[IssueRow], events: Sequence[EventRow], since: datetime) -> Kpi:
    critical = {row.key: row.created_at for row in rows if row.priority == "P0"}
    first: dict[str, timedelta] = {}
    for event in events:
        opened = critical.get(event.key or "")
        if opened is not None and opened >= since:
            first.setdefault(event.key or "", event.occurred_at - opened)
    worst = max(first.values(), default=None)
    hours = None if worst is None else worst.total_seconds() / 3600
    is_met = None if hours is None else hours <= TARGET_ESCALATION_HOURS
    return Kpi("critical escalation", hours, "h, slowest", "<= 4", is_met, len(first))


def _said(kpi: Kpi) -> str:
    value = kpi.value or 0.0
    shown = say_duration(value * 3600) if kpi.unit.startswith("h") else f"{value:.4g} {kpi.unit}"
    verdict = "" if kpi.is_met is None else (", met" if kpi.is_met else ", missed")
    target = "" if kpi.is_met is None else f" (target {kpi.target}{' h' if kpi.unit.startswith('h') else ''}{verdict})"
    return f"{kpi.name} {shown}{target}, n {kpi.n}"
