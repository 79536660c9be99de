"""Escalation: how severe an issue is, what it reaches, who must act and what they should do next."""

import re
from dataclasses import dataclass
from datetime import datetime

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.body import Line, issue_lines, query_text, read_body
from bailiwick.packs.operations.departments.desk import Desk, IssueRow, Priority, SimilarIssue
from bailiwick.packs.operations.departments.figures import say_duration
from bailiwick.packs.operations.departments.support_report_parts import ReportParts, read_report
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, cannot_determine, quoted

OPERATION = "escalation"
SAME_SCORE = 0.6
SEVERITIES: dict[Priority, str] = {"P0": "critical", "P1": "high", "P2": "medium", "P3": "low"}

_REACH = re.compile(
    r"\b(\d{1,3}(?:[,.]\d{3}){1,3}|\d{1,9})\s{0,3}(?:\+\s{0,3})?(?:of\s{1,3}(?:our|the)\s{1,3})?(users?|customers?|clients?|accounts?|tenants?|orders?|requests?|employees?|sites?|hosts?|servers?|meters?)\b",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"\b(\d{1,3}(?:\.\d{1,2})?)\s{0,2}%\s{1,3}of\s{1,3}(?:(?:our|the|all)\s{1,3})?(users|customers|clients|requests|orders|traffic|accounts)\b",
    re.IGNORECASE,
)
_ALL = re.compile(
    r"\b(?:all|every|everyone|everybody)\b[^\n.]{0,30}\b(?:users?|customers?|clients?|affected|down)\b", re.IGNORECASE
)
_LINK = re.compile(r"(?<![\w/&#])#(\d{1,7})\b")


@dataclass(frozen=True, slots=True)
class Impact:
    """What an issue reaches: figures stated in it, other open issues like it, issues it links to."""

    stated: tuple[tuple[str, str], ...]
    alike: tuple[SimilarIssue, ...]
    linked: tuple[IssueRow, ...]


async def escalate_issue(issue: IssueRecord, desk: Desk) -> WorkResult:
    """State severity, deadline, impact, six steps for this issue and who has to act."""
    row = await desk.find_issue(issue.key)
    now = desk.now()
    if row is None or row.priority is None:
        need = "the priority: this issue is not tracked yet; add a label P0, P1, P2 or P3"
        return cannot_determine(OPERATION, [need])
    impact = await measure_impact(issue, row, desk)
    parts = read_report(issue)
    assignees = find_assignees(row)
    steps = plan_steps(issue, row, impact, parts, now)
    missing = []
    if row.deadline_at is None:
        missing.append("the deadline: the issue has no SLA on record")
    if not impact.stated:
        missing.append("how many are affected: state for example `120 users` or `15% of requests`")
    late = row.deadline_at is not None and row.deadline_at < now
    left = None if row.deadline_at is None else (row.deadline_at - now).total_seconds()
    due = (
        "no deadline on record"
        if left is None
        else (f"deadline missed by {say_duration(-left)}" if late else f"{say_duration(left)} left")
    )
    reach = [quoted(said) for said, _ in impact.stated] or ["reach not stated"]
    summary = (
        f"{SEVERITIES[row.priority]} ({row.priority}), {due}; {', '.join(reach[:3])}; {len(impact.alike)} open issue(s)"
        f" alike, {len(impact.linked)} linked"
    )
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=summary,
        data={
            "severity": SEVERITIES[row.priority],
            "priority": row.priority,
            "deadline_at": row.deadline_at.isoformat() if row.deadline_at else None,
            "seconds_left": left,
            "impact": _impact_data(impact),
            "steps": steps,
            "assignees": assignees,
        },
        evidence=_evidence(impact, parts),
        missing=tuple(missing),
        proposed_comment=f"{summary}\n\n"
        + "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1)),
        proposed_labels=("escalated",),
    )


async def measure_impact(issue: IssueRecord, row: IssueRow, desk: Desk) -> Impact:
    """Measure what the issue reaches from its own words and from the issues on record."""
    similar = await desk.similar(query_text(issue), limit=20, exclude_key=issue.key)
    alike = tuple(one for one in similar if one.issue.state == "open" and one.score >= SAME_SCORE)
    numbers = dict.fromkeys(int(found) for line in issue_lines(issue) for found in _LINK.findall(line.text))
    linked: list[IssueRow] = []
    for number in list(numbers)[:20]:
        other = await desk.find_issue(f"{issue.repository}#{number}")
        if other is not None and other.key != row.key:
            linked.append(other)
    return Impact(tuple(_stated(line) for line in issue_lines(issue) if _says_reach(line)), alike, tuple(linked))


def find_assignees(row: IssueRow) -> list[str]:
    """Return who acts: the department, with the manager at P1, with manager, operations and security at P0."""
    department = row.department or "operations"
    if row.priority == "P0":
        return list(dict.fromkeys(["manager", "operations", "security", department]))
    return list(dict.fromkeys(["manager", department] if row.priority == "P1" else [department]))


def plan_steps(issue: IssueRecord, row: IssueRow, impact: Impact, parts: ReportParts, now: datetime) -> list[str]:
    """Return six steps (own, contain, diagnose, inform, fix, verify), each on what this issue holds."""
    alike = ", ".join(f"#{one.issue.number}" for one in impact.alike[:5])
    others = f"and those behind {alike}, which look the same" if alike else "; no other open issue looks the same"
    blockers = ", ".join(f"#{one.number}" for one in impact.linked if one.state == "open")
    way = f"first clear {blockers}, linked here and open" if blockers else "no linked issue stands in the way"
    reach = quoted(impact.stated[0][0]) if impact.stated else None
    contain = (
        f"stop it from spreading beyond {reach}" if reach else "find out how many are affected; the issue does not say"
    )
    return [
        f"Own: {_own(row, now)}.",
        f"Contain: {contain}.",
        f"Diagnose: {_diagnose(parts)}.",
        f"Inform: {quoted(issue.author) if issue.author else 'the requester'} {others}.".replace(" ;", ";"),
        f"Fix: {way}; {_versions(parts)}.",
        f"Verify: {_verify(issue, parts)}.",
    ]


def _own(row: IssueRow, now: datetime) -> str:
    until = ""
    if row.deadline_at is not None:
        is_past = row.deadline_at <= now
        until = " now, the deadline has passed" if is_past else f" by {row.deadline_at:%Y-%m-%d %H:%M} UTC"
    held = f"{row.agent_id or 'nobody yet'} holds it with status {row.status or 'unknown'}"
    return f"{', '.join(find_assignees(row))} take it over{until}; at present {held}"


def _diagnose(parts: ReportParts) -> str:
    found: list[str] = []
    if parts.errors:
        found.append(f"search the logs for {quoted(parts.errors[0].value, 160)} ({parts.errors[0].source})")
    if parts.frames:
        found.append(f"start at {quoted(parts.frames[0].value)} ({parts.frames[0].source})")
    return " and ".join(found) or "ask the reporter for the error message and the steps; the issue holds neither"


def _versions(parts: ReportParts) -> str:
    if not parts.versions:
        return "the affected version is not stated"
    return f"seen in {', '.join(quoted(one.value, 60) for one in parts.versions[:3])}"


def _verify(issue: IssueRecord, parts: ReportParts) -> str:
    criteria = read_body(issue.body).find_section(
        "success criteria", "acceptance criteria", "definition of done", "done when", "expected"
    )
    if criteria is not None:
        return f"{quoted(criteria.text, 200)} ({criteria.source})"
    if parts.steps:
        return f"repeat the {len(parts.steps)} reported steps, beginning with {quoted(parts.steps[0].value)}"
    return "agree with the requester on what counts as solved; the issue states no criteria and no steps"


def _says_reach(line: Line) -> bool:
    return any(pattern.search(line.text) for pattern in (_REACH, _SHARE, _ALL))


def _stated(line: Line) -> tuple[str, str]:
    found = _SHARE.search(line.text) or _REACH.search(line.text) or _ALL.search(line.text)
    return (" ".join(found.group().split()) if found else "", line.source)


def _impact_data(impact: Impact) -> JsonObject:
    return {
        "stated": [{"text": said, "source": source} for said, source in impact.stated[:10]],
        "open_alike": [{"key": one.issue.key, "score": round(one.score, 3)} for one in impact.alike],
        "linked": [{"key": one.key, "state": one.state, "priority": one.priority} for one in impact.linked],
    }


def _evidence(impact: Impact, parts: ReportParts) -> tuple[Evidence, ...]:
    found = [Evidence(source, said) for said, source in impact.stated[:5]]
    found += [Evidence(f"issue {one.issue.key}", f"open, similarity {one.score:.2f}") for one in impact.alike[:5]]
    found += [Evidence(f"issue {one.key}", f"linked, {one.state}") for one in impact.linked[:5]]
    found += [Evidence(one.source, one.value) for one in (*parts.errors[:2], *parts.frames[:2])]
    return tuple(found)
