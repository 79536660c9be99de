"""Access control: what a request for access says, what it lacks, and how it fits the people and keys on record.

Nothing is granted here; the answer prepares a person's decision.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.body import Body, issue_lines, read_body
from bailiwick.packs.operations.departments.desk import Desk, Member
from bailiwick.packs.operations.departments.phrases import any_phrase
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "access-control"
MAX_DAYS = 90
"""The longest access that raises no concern of its own."""

_NAME = r"@?([A-Za-z0-9][\w.-]{0,60}(?:@[\w.-]{1,100})?)"
_FOR_WHOM = re.compile(rf"\bfor\s{{1,4}}(?:user\s{{1,4}})?(?=@|\w{{1,60}}@){_NAME}", re.IGNORECASE)
_ACCESS_TO = re.compile(
    r"\b(?:access|permissions?|rights?|role|membership)\s{1,4}(?:to|for|on|in)\s{1,4}(?:the\s{1,4})?(\S{2,80}(?:\s\S{1,30}){0,3}?)"
    r"(?=\s{1,3}(?:for|until|because|so|to|as|with|from)\b|[.,;\n]|$)",
    re.IGNORECASE,
)
_LEVELS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "admin",
        re.compile(r"\b(?:admin(?:istrator)?|owner|root|superuser|full access|all permissions)\b", re.IGNORECASE),
    ),
    ("write", re.compile(r"\b(?:write|edit|upload|push|deploy|maintain|modify|read[ /-]?write)\b", re.IGNORECASE)),
    ("read", re.compile(r"\b(?:read(?:[ -]only)?|view(?:er)?|pull)\b", re.IGNORECASE)),
)
_UNTIL = re.compile(r"\b(?:until|till|by|expires?(?:\s{1,3}on)?:?|through)\s{1,4}(\d{4}-\d{2}-\d{2})", re.IGNORECASE)
_DURATION = re.compile(r"\b(?:for\s{1,4})?(\d{1,3})\s{1,4}(hour|day|week|month)s?\b", re.IGNORECASE)
_DURATION_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30}
_RESOURCE_NEED = "what to: add a line `Resource: <system>`"
_REVOKE = any_phrase(
    "(?:revoke|withdraw|disable|deactivate|remove|close|switch off) (?:(?:the|his|her|their) )?"
    "(?:access|account|permissions?|rights|login)",
    "left us", "left the (?:company|team)", "leaver", "former", "ex-employee", "not work here any ?more",
    "can still (?:log(?: )?in|sign(?: )?in|access)",
    "no longer (?:works|needs|employed)",
)  # fmt: skip
_LEAVER = re.compile(r"\b([A-Z][\w.]{0,20}\s[A-Z]\w{1,30})\s{1,3}(?:has\s{1,3}|have\s{1,3})?left\b")
_UNLIMITED = any_phrase("no end(?: date)?", "permanent(?:ly)?", "indefinite(?:ly)?", "unlimited")
_OLD_ACCOUNT = re.compile(
    r"\b(?:account|login|access|log\s{0,3}in|sign\s{0,3}in)\s{1,3}(?:in|on|to)\s{1,3}(?:the\s{1,3})?"
    r"(\S{2,40}(?:[ \t](?!(?:is|still|was|and)\b)\S{1,30}){0,2})",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|in order to|so that|needed (?:to|for)|to be able to)\s{1,4}(\S[^\n]{3,300})", re.IGNORECASE
)
_APPROVER = re.compile(rf"\bapprove(?:d\s{{1,4}}by|r)\s{{0,4}}:?\s{{0,4}}{_NAME}", re.IGNORECASE)
_APPROVAL = re.compile(r"^\W{0,8}(?:i\s{1,4})?approved?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What a request says; None where it says nothing."""

    requester: str | None
    subject: str | None
    resource: str | None
    level: str | None
    days: float | None
    reason: str | None
    approver: str | None
    approved_by: tuple[str, ...]
    is_revocation: bool = False
    is_unlimited: bool = False


async def review_access(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Read a request for access or for its end: what it lacks, whether an approval counts, what is already held."""
    request = read_request(issue, desk.now())
    members = {member.name.lower(): member for member in await desk.members()}
    concerns = _concerns(request, members, desk.now())
    approvals = [name for name in request.approved_by if _may_approve(name, request, members)]
    missing = _missing(request)
    # Access is taken away without waiting for an approval; it is only given with one.
    unapproved = [] if request.is_revocation else _approval_missing(approvals)
    data = _data(request, members, concerns, approvals)
    evidence = _evidence(issue, request)
    if missing:
        return cannot_determine(OPERATION, [*missing, *unapproved], data=data, evidence=evidence)
    said = _say(request, members)
    state = "complete, waiting for an approval that counts" if unapproved else "ready for a decision"
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=f"request {state}: {said}; {len(concerns)} concern(s)",
        data={**data, "decision_ready": not unapproved and not concerns},
        evidence=evidence,
        missing=tuple(unapproved),
        proposed_comment=f"{said}\n\n{bullets([*concerns, *unapproved])}".strip(),
        proposed_labels=("needs-approval",) if unapproved else (),
    )


def _say(request: AccessRequest, members: dict[str, Member]) -> str:
    whom, what = quoted(request.subject or "", 60), quoted(request.resource or "", 80)
    if request.is_revocation:
        held = members.get((request.subject or "").lower())
        roles = f"; on record with the roles {quoted(', '.join(held.roles) or 'none')}" if held else ""
        return f"take the access to {what} from {whom}{roles}"
    term = "without end" if request.days is None else f"for {request.days:g} days"
    return f"{request.level} access to {what} for {whom}, {term}"


def _data(
    request: AccessRequest, members: dict[str, Member], concerns: Sequence[str], approvals: Sequence[str]
) -> JsonObject:
    held = members.get((request.subject or "").lower())
    return {
        "requester": request.requester,
        "subject": request.subject,
        "resource": request.resource,
        "level": request.level,
        "days": request.days,
        "reason": request.reason,
        "approver": request.approver,
        "is_revocation": request.is_revocation,
        "approvals_that_count": list(approvals),
        "approvals_given": list(request.approved_by),
        "concerns": list(concerns),
        "subject_known": held is not None,
        "subject_roles": list(held.roles) if held is not None else [],
        "members_on_record": len(members),
    }


def read_request(issue: IssueRecord, now: datetime) -> AccessRequest:
    """Read who wants which access to what, for how long, why and by whose approval."""
    body = read_body(issue.body)
    text = "\n".join(line.text for line in issue_lines(issue) if not line.source.startswith("comment"))
    requester = _section(body, "requester", "requested by", "reporter") or issue.author
    stated = _section(body, "user", "for user", "account", "who", "grantee")
    is_revocation = _REVOKE.search(text) is not None
    other = _match(_LEAVER, text) if is_revocation else _first(requester)
    subject = _first(stated) or _match(_FOR_WHOM, text) or other
    return AccessRequest(
        requester=_first(requester),
        subject=subject,
        resource=_section(body, "resource", "system", "what", "access to", "repository")
        or _match(_ACCESS_TO, text)
        or (_match(_OLD_ACCOUNT, text) if is_revocation else None),
        level=_level(_section(body, "level", "permission", "role", "access level") or text),
        days=_days(_section(body, "duration", "how long", "until", "expires", "period"), text, now),
        reason=_section(body, "reason", "justification", "why", "business need", "purpose") or _match(_REASON, text),
        approver=_first(_section(body, "approver", "approved by", "manager")) or _match(_APPROVER, text),
        approved_by=tuple(
            dict.fromkeys(one.author for one in issue.comments if one.author and _APPROVAL.match(one.body))
        ),
        is_revocation=is_revocation,
        is_unlimited=_UNLIMITED.search(text) is not None,
    )


def _missing(request: AccessRequest) -> list[str]:
    if request.is_revocation:
        # Taking access away needs no term and no reason beyond the one that is given.
        needs = ((request.subject, "whose access: add a line `User: <name>`"), (request.resource, _RESOURCE_NEED))
        return [text for value, text in needs if value is None]
    needs = (
        (request.subject, "who gets access: add a line `User: <name>`"),
        (request.resource, _RESOURCE_NEED),
        (request.level, "which level: add a line `Level: read | write | admin`"),
        (
            request.days if not request.is_unlimited else 0,
            "for how long: add a line `Duration: <n> days` or `Until: YYYY-MM-DD`",
        ),
        (request.reason, "why: add a line `Reason: <what the access is needed for>`"),
    )
    return [text for value, text in needs if value is None]


def _approval_missing(approvals: Sequence[str]) -> list[str]:
    if approvals:
        return []
    return ["an approval: a member entitled to approve, other than requester and user, comments `approved`"]


def _may_approve(name: str, request: AccessRequest, members: dict[str, Member]) -> bool:
    own = {one.lower() for one in (request.requester, request.subject) if one}
    member = members.get(name.lower())
    return member is not None and member.can_approve and name.lower() not in own


def _concerns(request: AccessRequest, members: dict[str, Member], now: datetime) -> list[str]:
    found = _subject_concerns(request, members, now)
    if request.is_revocation:
        return found
    if request.level == "admin":
        holders = sum("admin" in {role.lower() for role in member.roles} for member in members.values())
        found.append(f"admin is the widest level; {holders} of {len(members)} members and keys hold it")
    if request.is_unlimited:
        found.append(f"no end date; the longest access without a concern is {MAX_DAYS} days")
    if request.days is not None and request.days > MAX_DAYS:
        found.append(f"{request.days:g} days is longer than {MAX_DAYS}")
    if request.days is not None and request.days <= 0:
        found.append("the end date has passed")
    return [*found, *_approver_concerns(request, members)]


def _subject_concerns(request: AccessRequest, members: dict[str, Member], now: datetime) -> list[str]:
    found: list[str] = []
    subject = members.get((request.subject or "").lower())
    if request.subject and members and subject is None:
        found.append(f"{quoted(request.subject)} is not among the {len(members)} members and keys on record")
    if subject is not None and subject.expires_at is not None and subject.expires_at < now:
        found.append(f"{quoted(subject.name)} expired on {subject.expires_at:%Y-%m-%d}")
    if subject is not None and request.level is not None and request.level in {role.lower() for role in subject.roles}:
        found.append(f"{quoted(subject.name)} already holds the role {quoted(request.level)}")
    return found


def _approver_concerns(request: AccessRequest, members: dict[str, Member]) -> list[str]:
    if not request.approver:
        return []
    if request.approver.lower() in {one.lower() for one in (request.requester, request.subject) if one}:
        return [f"{quoted(request.approver)} would approve their own request"]
    if members and not _may_approve(request.approver, request, members):
        return [f"{quoted(request.approver)} is named as approver but is not entitled to approve"]
    return []


def _evidence(issue: IssueRecord, request: AccessRequest) -> tuple[Evidence, ...]:
    wanted = {
        "user": request.subject,
        "resource": request.resource,
        "reason": request.reason,
        "approver": request.approver,
    }
    lines = [line for line in issue_lines(issue) if not line.source.startswith("comment")]
    found: list[Evidence] = []
    for name, value in wanted.items():
        first = value.splitlines()[0] if value else None
        place = next((line.source for line in lines if first and first in line.text), None)
        if place is not None and first is not None:
            found.append(Evidence(place, f"{name}: {first[:120]}"))
    return tuple(found)


def _section(body: Body, *names: str) -> str | None:
    section = body.find_section(*names)
    return section.text[:300] if section is not None else None


def _first(text: str | None) -> str | None:
    words = (text or "").split()
    return words[0].lstrip("@").strip(",;()") or None if words else None


def _match(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found.group(1).strip(" .,;") if found is not None else None


def _level(text: str) -> str | None:
    return next((name for name, pattern in _LEVELS if pattern.search(text)), None)


def _days(section: str | None, text: str, now: datetime) -> float | None:
    for candidate in filter(None, (section, text)):
        until = _UNTIL.search(candidate) or (
            re.search(r"(\d{4}-\d{2}-\d{2})", candidate) if candidate is section else None
        )
        if until is not None:
            try:
                end = datetime.strptime(until.group(1), "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
            except ValueError:
                continue
            return round((end - now).total_seconds() / 86_400, 1)
        span = _DURATION.search(candidate)
        if span is not None:
            return round(int(span.group(1)) * _DURATION_DAYS[span.group(2).lower()], 2)
    return None
