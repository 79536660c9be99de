"""Bug reports: what a report says, how complete it is, and which reports it probably repeats."""

from dataclasses import dataclass

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.body import query_text
from bailiwick.packs.operations.departments.desk import Desk, SimilarIssue
from bailiwick.packs.operations.departments.support_report_parts import Found, ReportParts, error_names, read_report
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "bug-reports"
DUPLICATE_SCORE = 0.6
"""Similarity from which an earlier report is a probable duplicate by its text alone."""
MIN_PARTS = 2
"""Parts of the seven that a report must have to be taken in."""
SHARED_ERROR_SCORE = 0.4
"""Similarity that is enough when the earlier title names the same error."""

_ASKS = {
    "version": "the version you use (for example the output of `--version`)",
    "environment": "the operating system or browser with its version",
    "error message": "the exact error message, in a fenced block",
    "stack trace": "the stack trace or log around the error, in a fenced block",
    "reproduction steps": "the steps to reproduce it, as a numbered list",
    "expected behaviour": "what you expected to happen",
    "actual behaviour": "what happened instead",
}


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An earlier report that this one probably repeats, and why."""

    similar: SimilarIssue
    reason: str


async def take_bug_report(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Extract a report's parts, score its completeness over the seven parts and find probable duplicates."""
    parts = read_report(issue)
    duplicates = await find_duplicates(issue, parts, desk)
    known = parts.known
    absent = [name for name, there in known.items() if not there]
    score = round(100 * (len(known) - len(absent)) / len(known))
    data = _data(parts, score, absent, duplicates)
    evidence = _evidence(parts, duplicates)
    missing = [f"{name}: add {_ASKS[name]}" for name in absent]
    # The report is taken in when it says what went wrong and anything more, or repeats an earlier one.
    says_failure = bool(parts.errors) or parts.actual is not None
    if not duplicates and not (says_failure and len(absent) <= len(known) - MIN_PARTS):
        return cannot_determine(OPERATION, missing, data=data, evidence=evidence)
    first = duplicates[0] if duplicates else None
    summary = f"report {score}% complete" + (
        f"; probable duplicate of #{first.similar.issue.number} ({first.reason})"
        if first
        else "; no earlier report like it"
    )
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=summary,
        data=data,
        evidence=evidence,
        missing=tuple(missing),
        proposed_comment=_comment(parts, absent, duplicates),
        proposed_labels=_labels(absent, duplicates),
    )


async def find_duplicates(issue: IssueRecord, parts: ReportParts, desk: Desk) -> list[Duplicate]:
    """Return earlier reports that this one probably repeats, best first."""
    names = error_names(parts)
    found: list[Duplicate] = []
    for similar in await desk.similar(query_text(issue), limit=10, exclude_key=issue.key):
        if similar.issue.created_at > issue.created_at:
            continue
        shared = sorted(name for name in names if len(name) > 5 and name in similar.issue.title.lower())
        if similar.score >= DUPLICATE_SCORE:
            found.append(Duplicate(similar, f"similarity {similar.score:.2f}"))
        elif shared and similar.score >= SHARED_ERROR_SCORE:
            found.append(Duplicate(similar, f"similarity {similar.score:.2f} and the same {shared[0]}"))
    return found


def _data(parts: ReportParts, score: int, absent: list[str], duplicates: list[Duplicate]) -> JsonObject:
    return {
        "completeness": score,
        "absent": absent,
        "versions": _values(parts.versions),
        "systems": _values(parts.systems),
        "errors": _values(parts.errors),
        "top_frames": _values(parts.frames[:5]),
        "steps": _values(parts.steps),
        "expected": parts.expected.value if parts.expected else None,
        "actual": parts.actual.value if parts.actual else None,
        "duplicates": [
            {
                "key": one.similar.issue.key,
                "state": one.similar.issue.state,
                "score": round(one.similar.score, 3),
                "reason": one.reason,
                "resolution": (one.similar.resolution or "")[:500] or None,
            }
            for one in duplicates
        ],
    }


def _values(found: tuple[Found, ...]) -> list[str]:
    return [one.value for one in found]


def _evidence(parts: ReportParts, duplicates: list[Duplicate]) -> tuple[Evidence, ...]:
    groups = (
        ("error", parts.errors[:3]),
        ("frame", parts.frames[:3]),
        ("version", parts.versions[:3]),
        ("system", parts.systems[:2]),
        ("step", parts.steps[:1]),
    )
    found = [Evidence(one.source, f"{name}: {one.value}") for name, values in groups for one in values]
    found += [Evidence(one.source, f"expected: {one.value}") for one in (parts.expected,) if one]
    found += [Evidence(one.source, f"actual: {one.value}") for one in (parts.actual,) if one]
    found += [Evidence(f"issue {one.similar.issue.key}", one.reason) for one in duplicates[:3]]
    return tuple(found)


def _comment(parts: ReportParts, absent: list[str], duplicates: list[Duplicate]) -> str:
    said: list[str] = []
    if parts.errors:
        said.append(f"Error: {quoted(parts.errors[0].value)} ({parts.errors[0].source})")
    if parts.frames:
        said.append(f"Innermost frame: {quoted(parts.frames[0].value)} ({parts.frames[0].source})")
    for one in duplicates[:3]:
        solved = f", solved there: {quoted(one.similar.resolution, 300)}" if one.similar.resolution else ""
        said.append(
            f"Probably the same as #{one.similar.issue.number} ({one.similar.issue.state}; {one.reason}){solved}"
        )
    said.extend(f"Please add {_ASKS[name]}." for name in absent)
    return bullets(said)


def _labels(absent: list[str], duplicates: list[Duplicate]) -> tuple[str, ...]:
    labels = ["possible-duplicate"] if duplicates else []
    return (*labels, "needs-info") if {"reproduction steps", "version"} & set(absent) else tuple(labels)
