"""An installation at work on the operations pack, and what a test asks of it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bailiwick.connectors import facts
from bailiwick.connectors.issues import IssueRecord
from bailiwick.events import NewEvent
from bailiwick.identity import Organization
from bailiwick.installation import Installation, Settings
from bailiwick.packs.operations.reader import IssueDetail, IssueReader
from tests.support.engine import until

# A task at rest waits for what people send, or for the time of a look; everything else is still to be done.
_BUSY = (
    "select count(*) as n from tasks where organization_id = %s and kind <> 'outcome.check' "
    "and (wait_event is null or wait_event not in ('issue.released', 'approval.answered'))"
)


@dataclass
class Office:
    """One organization of an installation with the pack."""

    installation: Installation
    organization: Organization

    @property
    def reader(self) -> IssueReader:
        return IssueReader(self.installation.database)

    async def publish(self, events: Sequence[NewEvent]) -> None:
        await self.installation.events.publish(self.organization.id, events)

    async def idle(self, *, seconds: float = 40) -> None:
        async def is_idle() -> bool:
            row = await self.installation.database.fetch_one(
                _BUSY, (self.organization.id,), organization_id=self.organization.id
            )
            return row is not None and row["n"] == 0

        await until(is_idle, "no task is left to do", seconds=seconds, every_seconds=0.05)

    async def issue(self, key: str) -> IssueDetail:
        return await self.reader.get(self.organization.id, key)

    async def statuses(self, key: str) -> list[str]:
        return [step["to_status"] for step in (await self.issue(key)).transitions]

    async def facts_of(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        page = await self.installation.event_reader.list(self.organization.id, key=key, limit=200)
        return [(event.type, event.payload) for event in reversed(page.items)]

    async def discarded(self) -> list[dict[str, Any]]:
        return await self.installation.database.fetch_all(
            "select kind, reason, errors from finished_tasks where organization_id = %s and state = 'discarded'",
            (self.organization.id,),
            organization_id=self.organization.id,
        )


def settings_of(login_url: str) -> Settings:
    """Settings for a test's own database, with a lease that lapses soon."""
    return Settings(database_url=SecretStr(login_url), port=0, worker_lease_seconds=1.0, worker_concurrency=20)


def an_issue(number: int, title: str, body: str = "", *labels: str, age_minutes: float = 5, **more: Any) -> IssueRecord:
    """An issue of the repository acme/shop."""
    opened = datetime.now(UTC) - timedelta(minutes=age_minutes)
    return IssueRecord(
        source="test", repository="acme/shop", number=number, title=title, body=body, labels=labels,
        created_at=opened, **more,
    )  # fmt: skip


def opened(issue: IssueRecord) -> NewEvent:
    """The fact of its opening."""
    return facts.opened(issue)


@pytest.fixture
async def office(login_url: str) -> AsyncIterator[Office]:
    """An organization with its staff; nobody works until a worker is run."""
    async with Installation.open(settings_of(login_url)) as installation:
        organization = await installation.create_organization("Acme")
        yield Office(installation, organization)
