"""Compliance: policy rules on an issue's own content, and the legal deadlines that its subject starts."""

import calendar
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.body import Line, issue_lines
from bailiwick.packs.operations.departments.desk import Desk
from bailiwick.packs.operations.departments.personal_data import find_personal_data
from bailiwick.packs.operations.departments.phrases import any_phrase
from bailiwick.packs.operations.departments.secrets_in_text import find_secrets
from bailiwick.packs.operations.departments.work import MAX_LISTED, Evidence, WorkResult, bullets, cannot_determine

OPERATION = "compliance"
POINTS_PER_VIOLATION = 20
"""Compliance is 100 less this for every rule broken, never below 0."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A place where a rule is broken; ``detail`` is safe to show."""

    rule: str
    source: str
    detail: str


@dataclass(frozen=True, slots=True)
class LegalDeadline:
    """A duty with a date: ``counted_from`` is what the period was counted from."""

    duty: str
    basis: str
    due_at: datetime
    counted_from: datetime
    source: str


Check = Callable[[Sequence[Line]], list[tuple[str, str]]]

_SSH = re.compile(r"\bssh\b|\b22\b", re.IGNORECASE)
_SSH_DISTANCE_LINES = 6
# A link in prose is a link; a setting is an address that a service will be asked at.
_PLAIN_HTTP = re.compile(
    r"(?:url|uri|endpoint|host|server|api|origin|callback|webhook|proxy)['\"]?\s{0,4}[:=]\s{0,4}['\"]?"
    r"http://(?!localhost|127\.|0\.0\.0\.0|\[::1\]|example\.|[\w.-]{1,80}\.(?:local|internal|test|svc)\b)",
    re.IGNORECASE,
)
_NO_VERIFY = re.compile(
    r"\bverify\s?=\s?False\b|\bInsecureSkipVerify\s?:\s?true\b|\brejectUnauthorized\s?:\s?false\b|\bcurl\b[^\n]{0,100}\s(?:-k|--insecure)\b|NODE_TLS_REJECT_UNAUTHORIZED"
)


def _secrets(lines: Sequence[Line]) -> list[tuple[str, str]]:
    return [(one.source, f"{one.kind}: {one.masked}") for one in find_secrets(lines)]


def _personal(lines: Sequence[Line]) -> list[tuple[str, str]]:
    return [(one.source, f"{one.kind} {one.masked}") for one in find_personal_data(lines)]


def _matching(pattern: re.Pattern[str], detail: str) -> Check:
    def check(lines: Sequence[Line]) -> list[tuple[str, str]]:
        return [(line.source, detail) for line in lines if pattern.search(line.text)]

    return check


def _public_ssh(lines: Sequence[Line]) -> list[tuple[str, str]]:
    # Configuration names the port and the address range on neighbouring lines.
    ports = {position for position, line in enumerate(lines) if _SSH.search(line.text)}
    return [
        (line.source, "0.0.0.0/0 beside port 22 or SSH")
        for position, line in enumerate(lines)
        if "0.0.0.0/0" in line.text
        and any(near in ports for near in range(position - _SSH_DISTANCE_LINES, position + _SSH_DISTANCE_LINES + 1))
    ]


RULES: tuple[tuple[str, str, Check], ...] = (
    ("no-secrets", "Credentials do not stand in issues", _secrets),
    ("no-personal-data", "Personal data does not stand in issues", _personal),
    ("no-public-ssh", "Port 22 is not open to 0.0.0.0/0", _public_ssh),
    ("verified-tls", "Certificates are verified", _matching(_NO_VERIFY, "certificate verification switched off")),
    ("no-plain-http", "Services are addressed with TLS", _matching(_PLAIN_HTTP, "address with http://")),
)
"""The policy: name, what it demands, and the check that finds where it is broken."""

_SUBJECT_REQUEST = any_phrase(
    "right (?:to be forgotten|of access|to erasure)",
    "DSAR",
    "data subject (?:access )?request",
    "(?:delete|erase|remove) (?:all )?(?:my|his|her|their|the customer'?s) (?:personal )?(?:data|account)",
    "(?:copy|export) of (?:all )?(?:(?:my|his|her|their|the) )?(?:personal )?data",
    "(?:which|what) (?:personal )?data (?:do )?(?:we|you) (?:keep|hold|store|have)",
)
_DATA_BREACH = any_phrase(
    "(?:personal )?data (?:breach|leak)",
    "leaked (?:customer|personal|user) data",
    "personal data (?:was|were|has been) (?:exposed|leaked|stolen|lost)",
)


async def check_compliance(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Check the issue's content against the policy, name the places and the legal deadlines that run."""
    lines = list(issue_lines(issue))
    if not any(line.text.strip() for line in lines[1:]):
        return cannot_determine(
            OPERATION, ["the content to check: paste the text, configuration or code into the issue body"]
        )
    breaches = find_breaches(lines)
    broken = Counter(one.rule for one in breaches)
    score = max(0, 100 - POINTS_PER_VIOLATION * len(broken))
    deadlines = _deadlines(lines, issue)
    now = desk.now()
    said = [f"{name} ({demand}): {broken[name]} place(s)" for name, demand, _ in RULES if broken[name]]
    due = [
        f"{one.duty} by {one.due_at:%Y-%m-%d %H:%M} UTC ({one.basis}; counted from the opening of this issue)"
        + (" — this date has passed" if one.due_at < now else "")
        for one in deadlines
    ]
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=(
            f"compliance {score}/100: {len(broken)} of {len(RULES)} rules broken; {len(deadlines)} legal deadline(s)"
        ),
        data={
            "score": score,
            "rules": [{"rule": name, "demand": demand, "places": broken[name]} for name, demand, _ in RULES],
            "breaches": [
                {"rule": one.rule, "source": one.source, "detail": one.detail} for one in breaches[:MAX_LISTED]
            ],
            "deadlines": [
                {
                    "duty": one.duty,
                    "basis": one.basis,
                    "due_at": one.due_at.isoformat(),
                    "hours_left": round((one.due_at - now).total_seconds() / 3600, 1),
                    "source": one.source,
                }
                for one in deadlines
            ],
            "lines_examined": len(lines),
        },
        evidence=tuple(Evidence(one.source, one.detail) for one in breaches[:MAX_LISTED]),
        missing=tuple(
            f"when the organization became aware ({one.source}): the period of 72 hours begins then"
            for one in deadlines
            if "33" in one.basis
        ),
        proposed_comment=bullets([*said, *due]) if said or due else None,
        proposed_labels=tuple(f"policy:{name}" for name in broken),
    )


def find_breaches(lines: Sequence[Line]) -> list[Breach]:
    """Return every place that breaks a rule of the policy, in the policy's order."""
    return [Breach(name, source, detail) for name, _, check in RULES for source, detail in check(lines)]


def _deadlines(lines: Sequence[Line], issue: IssueRecord) -> list[LegalDeadline]:
    found: list[LegalDeadline] = []
    start = issue.created_at
    request = next((line.source for line in lines if _SUBJECT_REQUEST.search(line.text)), None)
    if request is not None:
        due = _one_month_later(start)
        found.append(LegalDeadline("answer the data subject", "GDPR article 12(3)", due, start, request))
    breach = next((line.source for line in lines if _DATA_BREACH.search(line.text)), None)
    if breach is not None:
        due = start + timedelta(hours=72)
        found.append(
            LegalDeadline(
                "notify the supervisory authority if there is a risk", "GDPR article 33(1)", due, start, breach
            )
        )
    return found


def _one_month_later(moment: datetime) -> datetime:
    year, month = (moment.year, moment.month + 1) if moment.month < 12 else (moment.year + 1, 1)
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
