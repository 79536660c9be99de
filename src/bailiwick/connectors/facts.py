"""Issues and readings as events, with keys that make the same fact one event whichever way it came."""

from dataclasses import replace

from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.meters import MeterReading
from bailiwick.events import NewEvent

ISSUE_OPENED = "issue.opened"
ISSUE_CLOSED = "issue.closed"
ISSUE_REOPENED = "issue.reopened"
ISSUE_CHANGED = "issue.changed"
ISSUE_IMPORTED = "issue.imported"
METER_READ = "meter.read"


def opened(issue: IssueRecord) -> NewEvent:
    """Return the fact that ``issue`` was opened; file, poll and webhook give it the same key."""
    return NewEvent(ISSUE_OPENED, issue, issue.key, f"{_origin(issue)}:opened", issue.created_at)


def reopened(issue: IssueRecord) -> NewEvent:
    """Return the fact that ``issue`` was opened again, which is work once more."""
    moment = issue.updated_at or issue.created_at
    return NewEvent(ISSUE_REOPENED, issue, issue.key, f"{_origin(issue)}:reopened:{moment.isoformat()}", moment)


def closed(issue: IssueRecord) -> NewEvent:
    """Return the fact that ``issue`` was closed; once for each closing."""
    moment = issue.closed_at or issue.updated_at or issue.created_at
    return NewEvent(ISSUE_CLOSED, issue, issue.key, f"{_origin(issue)}:closed:{moment.isoformat()}", moment)


def changed(issue: IssueRecord) -> NewEvent:
    """Return the fact that ``issue`` changed without being opened or closed."""
    moment = issue.updated_at or issue.created_at
    return NewEvent(ISSUE_CHANGED, issue, issue.key, f"{_origin(issue)}:{moment.isoformat()}", moment)


def imported(issue: IssueRecord) -> NewEvent:
    """Return the fact that ``issue`` was found closed already: history, without an SLA clock."""
    moment = issue.closed_at or issue.updated_at or issue.created_at
    return NewEvent(ISSUE_IMPORTED, issue, issue.key, f"{_origin(issue)}:imported", moment)


def found(issue: IssueRecord) -> NewEvent:
    """Return the event of an issue met for the first time: work when open, history when closed."""
    return opened(issue) if issue.state == "open" else imported(issue)


def metered(reading: MeterReading) -> NewEvent:
    """Return the fact of one meter reading; the same meter and time is one event."""
    dedupe_key = f"meter:{reading.meter_id}:{reading.read_at.isoformat()}"
    return NewEvent(METER_READ, reading, reading.key, dedupe_key, reading.read_at)


def brought(event: NewEvent, *labels: str) -> NewEvent:
    """Return a fact with the labels of the door it came in by."""
    return replace(event, labels=event.labels.union(labels))


def _origin(issue: IssueRecord) -> str:
    return f"{issue.source}:{issue.key}"
