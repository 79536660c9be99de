"""Customer escalations: why, what came before, and how strained the case is by cues that can be counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.body import Line, issue_lines
from bailiwick.packs.operations.departments.desk import Desk, IssueFilter, IssueRow
from bailiwick.packs.operations.departments.figures import say_duration
from bailiwick.packs.operations.departments.phrases import any_phrase
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "escalations"

_REASONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "no answer",
        any_phrase(
            "no (?:reply|response|answer|one (?:replied|answered))",
            "still waiting",
            "nobody (?:answered|replied|responded)",
            "ignored",
            "any update",
        ),
    ),
    (
        "not solved",
        any_phrase(
            "still (?:not )?(?:broken|fails?|failing|happens|happening|working|fixed|solved)",
            "again",
            "same (?:problem|issue|error)",
            "not (?:fixed|solved|resolved)",
            "in a row",
            "repeatedly",
            "(?:second|third|fourth|fifth) time",
        ),
    ),
    (
        "business is stopped",
        any_phrase(
            "production (?:is )?down",
            "(?:cannot|can't) (?:work|operate|ship|invoice)",
            "losing (?:money|customers|revenue)",
            "business (?:is )?(?:stopped|blocked)",
            "outage",
        ),
    ),
    (
        "may leave",
        any_phrase(
            "cancel(?:l?ing)? (?:our|my|the) (?:contract|subscription|account|plan)",
            "switch(?:ing)? to (?:another|a different|your competitor)",
            "(?:will|would|may|might|going to|want to) (?:leave|quit|terminate)",
            "leave you",
            "terminate",
            "refund",
        ),
    ),
    (
        "legal or contractual",
        any_phrase(
            "lawyer",
            "legal action",
            "attorney",
            "SLA",
            r"contract\w{0,8} (?:breach|penalty|obligation)",
            "breach of contract",
        ),
    ),
    (
        "asks for a person in charge",
        any_phrase(
            "(?:speak|talk) (?:to|with) (?:a|your|the|someone)",
            "(?:somebody|someone|a person) (?:who (?:may|can) decide|in charge)",
            "manager",
            "supervisor",
            "escalate",
        ),
    ),
)
_DISPLEASED = any_phrase(
    "unacceptable", r"frustrat\w{2,6}", "angry", r"disappoint\w{2,6}", "terrible", "ridiculous", "awful", "worst",
    r"outrage\w{0,4}", "fed up", "useless", "joke",
)  # fmt: skip

LEVEL_RULES = (
    "2 points each: business is stopped, may leave, legal or contractual, SLA missed",
    (
        "1 point each: any other reason, every reopening, 2 or more messages without an answer, waiting over 24 hours,"
        " 3 or more earlier issues in 90 days, words of displeasure, a third of the words in capitals"
    ),
    "level 3 from 5 points, level 2 from 3, level 1 from 1, else 0",
)
_DEPARTMENTS = ("support",)
"""Earlier cases are those that support had; staff open issues of other departments under the same name."""
_HEAVY = frozenset({"business is stopped", "may leave", "legal or contractual"})
_LEVELS = ((5, 3), (3, 2), (1, 1))


@dataclass(frozen=True, slots=True)
class Strain:
    """What can be counted about a customer's case; times are in hours."""

    reasons: tuple[tuple[str, str], ...]
    displeased: tuple[str, ...]
    capitals_share: float
    unanswered: int
    waiting_hours: float
    age_hours: float
    reopened: int
    earlier: tuple[IssueRow, ...]
    is_late: bool

    @property
    def points(self) -> int:
        """Points by ``LEVEL_RULES``."""
        total = sum(2 if name in _HEAVY else 1 for name, _ in self.reasons)
        total += 2 if self.is_late else 0
        total += self.reopened + (self.unanswered >= 2) + (self.waiting_hours > 24) + (len(self.earlier) >= 3)
        return total + bool(self.displeased) + (self.capitals_share > 1 / 3)

    @property
    def level(self) -> int:
        """Escalation level 0..3."""
        return next((level for points, level in _LEVELS if self.points >= points), 0)


async def weigh_escalation(issue: IssueRecord, desk: Desk) -> WorkResult:
    """State the reason, the customer's history and an escalation level from counted cues."""
    row = await desk.find_issue(issue.key)
    now = desk.now()
    earlier = await _earlier(issue, desk, now)
    strain = measure_strain(issue, row, earlier, now)
    missing = [] if row is not None else ["deadline and reopen count: this issue is not tracked by the lifecycle yet"]
    if issue.author is None:
        missing.append("who the customer is: the issue has no author, so earlier contacts cannot be counted")
    data = {
        "level": strain.level,
        "points": strain.points,
        "rules": list(LEVEL_RULES),
        "reasons": [name for name, _ in strain.reasons],
        "displeased_words": len(strain.displeased),
        "capitals_share": round(strain.capitals_share, 3),
        "unanswered_messages": strain.unanswered,
        "waiting_hours": round(strain.waiting_hours, 1),
        "age_hours": round(strain.age_hours, 1),
        "reopened": strain.reopened if row is not None else None,
        "sla_missed": strain.is_late if row is not None and row.deadline_at is not None else None,
        "earlier_issues": [{"key": one.key, "state": one.state, "title": one.title} for one in strain.earlier[:10]],
        "earlier_open": sum(one.state == "open" for one in strain.earlier),
    }
    evidence = [Evidence(source, f"reason: {name}") for name, source in strain.reasons]
    evidence += [Evidence(source, "word of displeasure") for source in strain.displeased[:3]]
    evidence += [Evidence(f"issue {one.key}", f"earlier, {one.state}: {one.title}") for one in strain.earlier[:5]]
    if not strain.reasons and not strain.points:
        missing.insert(0, "the reason for the escalation: say what was promised, what happened and since when")
        return cannot_determine(OPERATION, missing, data=data, evidence=evidence)
    said = _said(strain)
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=f"escalation level {strain.level} ({strain.points} points): {'; '.join(said)}",
        data=data,
        evidence=tuple(evidence),
        missing=tuple(missing),
        proposed_comment=f"Escalation level {strain.level} of 3:\n\n{bullets(said)}",
        proposed_labels=(f"escalation:{strain.level}",) if strain.level else (),
    )


def measure_strain(issue: IssueRecord, row: IssueRow | None, earlier: Sequence[IssueRow], now: datetime) -> Strain:
    """Count the cues of a case. The customer is the issue's author; comments by others are answers."""
    own = {"issue title", "issue body"}
    mine = {
        f"comment {position}"
        for position, one in enumerate(issue.comments, start=1)
        if issue.author and one.author == issue.author
    }
    lines = [line for line in issue_lines(issue) if line.source.partition(",")[0] in own | mine]
    reasons = [(name, place) for name, pattern in _REASONS if (place := _place(lines, pattern)) is not None]
    words = [word for line in lines for word in line.text.split() if len(word) > 3 and word.isalpha()]
    since, unanswered = _waiting(issue)
    until = issue.closed_at or now
    return Strain(
        reasons=tuple(reasons),
        displeased=tuple(line.source for line in lines if _DISPLEASED.search(line.text)),
        capitals_share=sum(word.isupper() for word in words) / len(words) if len(words) >= 5 else 0.0,
        unanswered=unanswered,
        waiting_hours=max(0.0, (until - since).total_seconds() / 3600) if unanswered else 0.0,
        age_hours=max(0.0, (until - issue.created_at).total_seconds() / 3600),
        reopened=row.reopened_count if row else 0,
        earlier=tuple(earlier),
        is_late=row is not None and row.is_late(now),
    )


def _said(strain: Strain) -> list[str]:
    said = [f"{name} ({source})" for name, source in strain.reasons]
    if strain.unanswered:
        said.append(f"{strain.unanswered} message(s) without an answer for {say_duration(strain.waiting_hours * 3600)}")
    if strain.is_late:
        said.append("the SLA was missed")
    if strain.reopened:
        said.append(f"reopened {strain.reopened} time(s)")
    if strain.earlier:
        shown = ", ".join(f"#{one.number} {quoted(one.title, 60)}" for one in strain.earlier[:3])
        said.append(f"{len(strain.earlier)} earlier issue(s) in 90 days: {shown}")
    if strain.displeased:
        said.append(f"words of displeasure in {len(strain.displeased)} line(s)")
    return said


async def _earlier(issue: IssueRecord, desk: Desk, now: datetime) -> list[IssueRow]:
    if issue.author is None:
        return []
    wanted = IssueFilter(author=issue.author, departments=_DEPARTMENTS, created_until=issue.created_at, limit=200)
    return [row for row in await desk.issues(wanted) if row.key != issue.key and (now - row.created_at).days < 90]


def _waiting(issue: IssueRecord) -> tuple[datetime, int]:
    # Since when, and with how many messages, the author has had no answer; without an author nobody can tell.
    if issue.author is None:
        return issue.created_at, 0
    since, unanswered = issue.created_at, 1
    for comment in issue.comments:
        if comment.author != issue.author:
            unanswered = 0
        else:
            if unanswered == 0 and comment.created_at is not None:
                since = comment.created_at
            unanswered += 1
    return since, unanswered


def _place(lines: Sequence[Line], pattern: re.Pattern[str]) -> str | None:
    return next((line.source for line in lines if pattern.search(line.text)), None)
