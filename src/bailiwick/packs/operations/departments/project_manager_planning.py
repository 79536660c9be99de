"""Strategic planning: objectives, milestones, resources, timeline, risks and measures, all from the actual backlog."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.desk import AgentRow, Attempt, Desk, IssueFilter, IssueRow
from bailiwick.packs.operations.departments.figures import quantile, rounded
from bailiwick.packs.operations.departments.project_manager_delivery import MIN_WEEKS, WeeklyCounts, count_weeks, expect
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "strategic-planning"
MILESTONE_DAYS = (30, 60, 90)
OBJECTIVES = 3
MIN_ATTEMPTS = 5
_MAX_ISSUES = 100_000


@dataclass(frozen=True, slots=True)
class Group:
    """The open issues of one department, or of one label where no department is known."""

    name: str
    rows: tuple[IssueRow, ...]
    late: int
    median_age_days: float


async def plan_strategy(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Plan from the backlog: where it is late or old, what the measured velocity clears, and what stands in the way."""
    now = desk.now()
    rows = [row for row in await desk.issues(IssueFilter(limit=_MAX_ISSUES)) if row.key != issue.key]
    backlog = [row for row in rows if row.state == "open"]
    weeks = count_weeks(rows, now)
    if not backlog:
        return cannot_determine(OPERATION, ["a backlog: no other issue is open, so there is nothing to plan"])
    groups = group_backlog(backlog, now)
    agents, attempts = await desk.agents(), await desk.attempts()
    resources, lacking = plan_resources(groups, agents, attempts, weeks)
    milestones = [_milestone(days, len(backlog), weeks) for days in MILESTONE_DAYS] if weeks.weeks >= MIN_WEEKS else []
    missing = list(lacking)
    if not milestones:
        missing.insert(
            0,
            f"{MIN_WEEKS} whole weeks of history for velocity and milestones (there are {weeks.weeks}): import closed"
            " issues",
        )
    objectives = [_objective(group, len(backlog), now) for group in groups[:OBJECTIVES]]
    timeline = _timeline(len(backlog), weeks)
    risks = find_risks(backlog, groups, weeks, resources, now)
    measures = _measures(rows, backlog, weeks, now)
    data: JsonObject = {
        "objectives": objectives,
        "milestones": milestones,
        "resources": resources,
        "timeline": timeline,
        "risks": risks,
        "success_measures": measures,
        "backlog": len(backlog),
        "weeks_measured": weeks.weeks,
    }
    evidence = [Evidence("issues on record", f"{len(rows)} issues, {len(backlog)} open, {weeks.weeks} whole weeks")]
    evidence += [
        Evidence(f"issue {row.key}", "late" if row.is_late(now) else "oldest of its group")
        for group in groups[:OBJECTIVES]
        for row in _worst(group, now)[:1]
    ]
    if not milestones:
        return cannot_determine(OPERATION, missing, data=data, evidence=evidence)
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=f"{len(backlog)} open issues; first objective: {objectives[0]['objective']}; {timeline['statement']}",
        data=data,
        evidence=tuple(evidence),
        missing=tuple(missing),
        proposed_comment=_comment(data),
    )


def group_backlog(backlog: Sequence[IssueRow], now: datetime) -> list[Group]:
    """Group open issues by department (else first label) and rank by late issues, then by total age."""
    found: dict[str, list[IssueRow]] = defaultdict(list)
    for row in backlog:
        found[row.department or (f"label {row.labels[0]}" if row.labels else "unassigned")].append(row)
    groups = [
        Group(
            name,
            tuple(rows),
            sum(row.is_late(now) for row in rows),
            quantile([_age_days(row, now) for row in rows], 0.5) or 0.0,
        )
        for name, rows in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.late, -group.median_age_days * len(group.rows), group.name))


def plan_resources(
    groups: Sequence[Group], agents: Sequence[AgentRow], attempts: Sequence[Attempt], weeks: WeeklyCounts
) -> tuple[list[JsonObject], list[str]]:
    """Return the demand of each group in hours against its agents' weekly hours, and what keeps it from being known."""
    rows: list[JsonObject] = []
    missing: list[str] = []
    for group in groups:
        seconds = [one.seconds for one in attempts if one.agent_kind == group.name]
        staff = [one for one in agents if one.kind == group.name]
        hours = sum(one.capacity * one.hours_per_week for one in staff)
        demand = None
        if len(seconds) >= MIN_ATTEMPTS:
            demand = len(group.rows) * sum(seconds) / len(seconds) / 3600
        else:
            missing.append(
                f"effort of {quoted(group.name, 60)}: {len(seconds)} finished attempts, {MIN_ATTEMPTS} needed"
            )
        if not staff:
            missing.append(f"capacity of {quoted(group.name, 60)}: no active agent of that kind")
        rows.append(
            {
                "group": group.name,
                "open": len(group.rows),
                "demand_hours": rounded(demand, 2),
                "attempts_measured": len(seconds),
                "agents": len(staff),
                "capacity_hours_per_week": rounded(hours, 1),
                "weeks_of_capacity": rounded(demand / hours, 3) if demand is not None and hours > 0 else None,
            }
        )
    return rows, missing


def find_risks(
    backlog: Sequence[IssueRow],
    groups: Sequence[Group],
    weeks: WeeklyCounts,
    resources: Sequence[JsonObject],
    now: datetime,
) -> list[JsonObject]:
    """Return the risks that the figures show, each with its figures; none is listed that they do not."""
    risks: list[JsonObject] = []
    late = sum(group.late for group in groups)
    if late:
        risks.append(
            {
                "risk": "deadlines are missed already",
                "figures": f"{late} of {len(backlog)} open issues are past their SLA",
            }
        )
    blocked = [row for row in backlog if row.status == "blocked"]
    if blocked:
        risks.append(
            {
                "risk": "work is blocked",
                "figures": f"{len(blocked)} blocked: {', '.join(f'#{row.number}' for row in blocked[:5])}",
            }
        )
    if weeks.weeks >= MIN_WEEKS and sum(weeks.opened) > sum(weeks.closed):
        risks.append(
            {
                "risk": "the backlog grows",
                "figures": f"{sum(weeks.opened)} opened and {sum(weeks.closed)} closed in {weeks.weeks} weeks",
            }
        )
    risks += [
        {"risk": f"nobody can work on {row['group']}", "figures": f"{row['open']} open issues, {row['agents']} agents"}
        for row in resources
        if not row["agents"]
    ]
    ownerless = sum(row.agent_id is None and (now - row.created_at) > timedelta(days=7) for row in backlog)
    if ownerless:
        risks.append(
            {"risk": "work lies without an owner", "figures": f"{ownerless} issues older than a week have no agent"}
        )
    holder, held = _largest_holder(backlog)
    if holder is not None and held >= 3 and held > len(backlog) / 2:
        risks.append({"risk": "one agent holds most of the work", "figures": f"{held} of {len(backlog)} open issues"})
    return risks


def _objective(group: Group, total: int, now: datetime) -> JsonObject:
    worst = _worst(group, now)
    if group.late:
        aim = (
            f"bring the {group.late} late of {len(group.rows)} open issues in {quoted(group.name, 60)} within their SLA"
        )
    else:
        aim = (
            f"reduce the {len(group.rows)} open issues in {quoted(group.name, 60)}, half of them older than"
            f" {group.median_age_days:.1f} days"
        )
    return {
        "objective": aim,
        "group": group.name,
        "open": len(group.rows),
        "share_of_backlog": round(len(group.rows) / total, 4),
        "late": group.late,
        "median_age_days": round(group.median_age_days, 2),
        "begin_with": [row.key for row in worst[:5]],
    }


def _milestone(days: int, backlog: int, weeks: WeeklyCounts) -> JsonObject:
    closed, opened = expect(weeks.closed, days / 7), expect(weeks.opened, days / 7)
    if closed is None or opened is None:
        return {"day": days}
    return {
        "day": days,
        "closed_expected": round(closed.mean, 1),
        "closed_80_percent": [round(closed.low, 1), round(closed.high, 1)],
        "opened_expected": round(opened.mean, 1),
        "open_then": round(max(0.0, backlog + opened.mean - closed.mean), 1),
    }


def _timeline(backlog: int, weeks: WeeklyCounts) -> JsonObject:
    if weeks.weeks < MIN_WEEKS:
        return {"weeks_to_clear": None, "statement": f"no timeline from {weeks.weeks} weeks of history"}
    net = (sum(weeks.closed) - sum(weeks.opened)) / weeks.weeks
    if net <= 0:
        return {
            "weeks_to_clear": None,
            "net_per_week": round(net, 2),
            "statement": f"at the measured rates the backlog does not clear ({net:+.1f} net closings a week)",
        }
    return {
        "weeks_to_clear": round(backlog / net, 1),
        "net_per_week": round(net, 2),
        "statement": (
            f"at the measured rates the backlog clears in {backlog / net:.1f} weeks ({net:+.1f} net closings a week)"
        ),
    }


def _measures(
    rows: Sequence[IssueRow], backlog: Sequence[IssueRow], weeks: WeeklyCounts, now: datetime
) -> list[JsonObject]:
    recent = [row for row in rows if row.closed_at is not None and row.closed_at >= now - timedelta(days=28)]
    due = [row for row in recent if row.deadline_at is not None]
    median = quantile([row.resolution_seconds or 0.0 for row in recent], 0.5)
    return [
        {"measure": "late open issues", "baseline": sum(row.is_late(now) for row in backlog), "target": 0},
        {
            "measure": "closed per week",
            "baseline": rounded(sum(weeks.closed) / weeks.weeks, 2) if weeks.weeks else None,
            "target": ">= 20",
        },
        {
            "measure": "median resolution in hours, 28 days",
            "baseline": rounded(median / 3600, 2) if median is not None else None,
            "target": "<= 24",
            "n": len(recent),
        },
        {
            "measure": "SLA met in percent, 28 days",
            "baseline": rounded(100 * sum(not row.is_late(now) for row in due) / len(due), 2) if due else None,
            "target": ">= 95",
            "n": len(due),
        },
    ]


def _comment(data: JsonObject) -> str:
    milestones = [
        f"day {one['day']}: {one['closed_expected']:g} closed (80% {one['closed_80_percent'][0]:g} to"
        f" {one['closed_80_percent'][1]:g}), about {one['open_then']:g} open"
        for one in data["milestones"]
    ]
    resources = [
        f"{quoted(one['group'], 60)}: {one['open']} open, {_or_unknown(one['demand_hours'])} h of work,"
        f" {one['agents']} agents with {one['capacity_hours_per_week']:g} h a week"
        for one in data["resources"][:8]
    ]
    measures = [
        f"{one['measure']}: now {_or_unknown(one['baseline'])}, target {one['target']}"
        for one in data["success_measures"]
    ]
    parts = (
        ("Objectives", [one["objective"] for one in data["objectives"]]),
        ("Milestones", milestones),
        ("Resources", resources),
        ("Timeline", [data["timeline"]["statement"]]),
        ("Risks", [f"{one['risk']}: {one['figures']}" for one in data["risks"]] or ["the figures on record show none"]),
        ("Success measures", measures),
    )
    return "\n\n".join(f"### {title}\n\n{bullets(lines)}" for title, lines in parts)


def _or_unknown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _worst(group: Group, now: datetime) -> list[IssueRow]:
    return sorted(group.rows, key=lambda row: (not row.is_late(now), row.created_at))


def _largest_holder(backlog: Sequence[IssueRow]) -> tuple[str | None, int]:
    held: dict[str, int] = defaultdict(int)
    for row in backlog:
        if row.agent_id is not None:
            held[row.agent_id] += 1
    return max(held.items(), key=lambda one: one[1], default=(None, 0))


def _age_days(row: IssueRow, now: datetime) -> float:
    return (now - row.created_at).total_seconds() / 86_400
