"""Feature requests: who wants what and why, and how many have asked for the like."""

import re
from collections.abc import Sequence

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.body import Body, Line, issue_lines, query_text, read_body
from bailiwick.packs.operations.departments.desk import Desk, SimilarIssue
from bailiwick.packs.operations.departments.support_report_parts import Found
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "feature-requests"
SAME_WISH_SCORE = 0.3
"""Similarity from which an earlier wish counts as the same demand."""

_STORY = re.compile(
    r"\bas\s{1,3}(?:an?|the)\s{1,3}(.{2,100}?),?\s{1,3}I\s{1,3}(?:want|need|would\s{1,3}like|wish)\s{1,3}(?:to\s{1,3})?(.{2,300}?)"
    r"(?:,?\s{1,3}(?:so\s{1,3}that|in\s{1,3}order\s{1,3}to|because)\s{1,3}(.{2,300}))?\s{0,4}(?:[.!]|$)",
    re.IGNORECASE,
)
_WANT = re.compile(
    r"\b(?:it\s{1,3}would\s{1,3}be\s{1,3}(?:nice|great|good|useful|helpful)\s{1,3}(?:if|to)|(?:I|we)(?:'d|\s{1,3}would)?\s{1,3}(?:like|love|want|need|wish)(?:\s{1,3}to)?|please\s{1,3}(?:add|support|allow)|add\s{1,3}support\s{1,3}for|feature\s{1,3}request:|can\s{1,3}(?:you|we)\s{1,3}(?:add|support|have))\s{1,3}(.{3,300})",
    re.IGNORECASE,
)
_WHY = re.compile(
    r"\b(?:because|so\s{1,3}that|in\s{1,3}order\s{1,3}to|otherwise|since)\s{1,3}(.{5,300})", re.IGNORECASE
)
_TITLE_WISH = re.compile(
    r"^(?:\W{0,3}(?:feature|enhancement|request|rfe|proposal|wish|idea)\W{1,4}){0,2}(?:add|support|allow|enable|provide|make|introduce|export|import|show|let|option|ability)\b",
    re.IGNORECASE,
)


async def weigh_request(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Extract who wants what and why; demand is the number of requests like it and of people behind them."""
    body = read_body(issue.body)
    who, what, why = read_wish(issue, body)
    similar = await desk.similar(query_text(issue), limit=50, exclude_key=issue.key)
    wishes = [one for one in similar if one.score >= SAME_WISH_SCORE and one.issue.operation in (None, OPERATION)]
    people = {one.issue.author for one in wishes if one.issue.author} | ({issue.author} if issue.author else set())
    done = [one for one in wishes if one.issue.state == "closed" and one.issue.status == "done"]
    data: JsonObject = {
        "who": who.value if who else None,
        "what": what.value if what else None,
        "why": why.value if why else None,
        "demand": _demand(issue, wishes, len(people)),
        "like_it": [
            {"key": one.issue.key, "score": round(one.score, 3), "state": one.issue.state} for one in wishes[:10]
        ],
    }
    found = (("who", who), ("what", what), ("why", why))
    evidence = [Evidence(one.source, f"{name}: {one.value}") for name, one in found if one]
    evidence += [
        Evidence(f"issue {one.issue.key}", f"similarity {one.score:.2f}: {one.issue.title}") for one in wishes[:5]
    ]
    missing = _missing(what, why, who)
    if what is None:
        return cannot_determine(OPERATION, missing, data=data, evidence=evidence)
    parts = (("Wanted", what), ("By", who), ("Because", why))
    said = [f"{name}: {quoted(one.value, 300)}" for name, one in parts if one]
    like_it = ", ".join(f"#{one.issue.number}" for one in wishes[:5])
    demand = f"{1 + len(wishes)} request(s) by {len(people)} known people"
    said.append(f"Demand: {demand}" + (f" (like it: {like_it})" if like_it else ""))
    said += [f"Something like it was done in #{one.issue.number}; does that serve?" for one in done[:2]]
    said += [f"Please add {text}" for text in missing]
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=f"wish understood ({', '.join(name for name, one in found if one)}); demand {demand}",
        data=data,
        evidence=tuple(evidence),
        missing=tuple(missing),
        proposed_comment=bullets(said),
        proposed_labels=("needs-info",) if why is None else (),
    )


def _demand(issue: IssueRecord, wishes: Sequence[SimilarIssue], people: int) -> JsonObject:
    return {
        "requests": 1 + len(wishes),
        "people": people,
        "first_asked_at": min([issue.created_at, *(one.issue.created_at for one in wishes)]).isoformat(),
        "open": sum(one.issue.state == "open" for one in wishes) + (issue.state == "open"),
        "already_done": [one.issue.key for one in wishes if one.issue.state == "closed" and one.issue.status == "done"],
    }


def read_wish(issue: IssueRecord, body: Body) -> tuple[Found | None, Found | None, Found | None]:
    """Return who wants what and why, each with its place: from a user story, sections, or plain sentences."""
    lines = [line for line in issue_lines(issue) if not line.source.startswith("comment")]
    # A story may run over lines, so it is searched in the joined prose.
    story = _STORY.search(" ".join(body.prose_text.split())[:8_000]) or _STORY.search(issue.title)
    if story is not None:
        place = next(
            (line.source for line in lines if re.search(r"\bas\s{1,3}(?:an?|the)\b", line.text, re.IGNORECASE)),
            "issue body",
        )
        who, what, why = (Found(text.strip(" ."), place) if text else None for text in story.groups())
        return (
            who,
            what,
            why or _section(body, "motivation", "why", "problem", "use case", "reason") or _search(_WHY, lines),
        )
    who = _section(body, "requester", "requested by", "audience", "user", "who")
    what = _section(
        body, "feature", "solution", "proposed solution", "proposal", "describe the solution", "what", "wanted"
    ) or _search(_WANT, lines)
    if what is None and _TITLE_WISH.match(issue.title):
        what = Found(issue.title, "issue title")
    why = _section(
        body, "motivation", "problem", "is your feature request related", "use case", "why", "reason", "benefit"
    ) or _search(_WHY, lines)
    return who or (Found(issue.author, "issue author") if issue.author else None), what, why


def _missing(what: Found | None, why: Found | None, who: Found | None) -> list[str]:
    needs = (
        (what, "what is wanted: a sentence such as `I want ... so that ...` or a section `Proposed solution`"),
        (why, "why it is wanted: a section `Motivation` or a sentence with `because` or `so that`"),
        (who, "who wants it: `As a <role>, I want ...`"),
    )
    return [text for value, text in needs if value is None]


def _section(body: Body, *names: str) -> Found | None:
    section = body.find_section(*names)
    return None if section is None else Found(" ".join(section.text.split())[:400], section.source)


def _search(pattern: re.Pattern[str], lines: list[Line]) -> Found | None:
    for line in lines:
        match = pattern.search(line.text[:2_000])
        if match is not None:
            return Found(match.group(1).strip(" ."), line.source)
    return None
