"""Importing the real GitHub issues into the real event log."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bailiwick.connectors.importing import import_issues
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.records import read_github_issues
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.events import EventLog, EventRegistry, EventType, NewEvent, Published
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.waking import Wakeups


@dataclass
class LogSink:
    """Publishes for one organization."""

    log: EventLog
    organization_id: str
    rejected: list[RejectedRecord] = field(default_factory=list)

    async def publish(self, events: Sequence[NewEvent]) -> Sequence[Published]:
        return await self.log.publish(self.organization_id, events)

    async def reject(self, record: RejectedRecord) -> None:
        self.rejected.append(record)


async def test_a_second_import_of_the_same_file_adds_nothing(
    database: Database, database_url: str, real_data: Path
) -> None:
    path = real_data / "issues_github_npm" / "issues_closed_early_two_thirds.jsonl.gz"
    types = EventRegistry()
    types.register(EventType("issue.imported", 1, IssueRecord, key=lambda issue: issue.key))
    organization_id = new_id()
    log = EventLog(database_url, types, Wakeups(database_url), lambda _organization, _id, _event, _payload: [])
    await log.open()
    try:
        sink = LogSink(log, organization_id)
        first = await import_issues(read_github_issues(path), sink, batch_size=100)
        second = await import_issues(read_github_issues(path), sink, batch_size=100)
    finally:
        await log.close()
    assert (first.accepted, first.duplicates, first.rejected_count) == (285, 0, 0)
    assert (second.accepted, second.duplicates, second.rejected_count) == (0, 285, 0)
    rows = await database.fetch_all(
        "select count(*) as total from events where organization_id = %s", (organization_id,),
        organization_id=organization_id,
    )  # fmt: skip
    assert rows[0]["total"] == 285
