"""An installation with one organization whose use is bounded and counted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from bailiwick.audit import SYSTEM
from bailiwick.extensions import Registrar
from bailiwick.identity import Organization
from bailiwick.identity.quotas import Bound
from bailiwick.identity.quotas.keeper import QuotaKeeper
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import QuotaExceededError
from bailiwick.orchestrator.quotas import QuotaTeller
from bailiwick.tasks import NewTask, Run, TaskKind
from tests.support.api import Note, NotesExtension
from tests.support.engine import until


class ChargingExtension:
    """A kind of task that costs money, lets go of its worker in between, and may have a child."""

    name = "charging"
    version = "1"
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        async def charge(run: Run, note: Note) -> object:
            run.charge(0.25)
            if note.number:
                # The first charge is written with the sleep, the second with the end.
                await run.sleep(0.01)
            if note.text:
                await run.spawn("note.keep", Note())
            return None

        registrar.task_kind(TaskKind("note.charge", charge, Note))


@dataclass
class Site:
    """An installation, one organization of it, and a way around the rules."""

    installation: Installation
    acme: Organization
    url: str

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as superuser:
            cursor = await superuser.execute(statement, values)  # type: ignore[arg-type]
            return await cursor.fetchall() if cursor.description else []

    async def bound(self, resource: str, soft: int | str | None = None, hard: int | str | None = None) -> None:
        limits = Bound(*(None if limit is None else Decimal(limit) for limit in (soft, hard)))
        await self.installation.quotas.set(self.acme.id, resource, limits, actor=SYSTEM)

    async def add(self, number: int) -> int:
        """Add tasks, each for itself; return how many were let through."""
        answers = await asyncio.gather(
            *[
                self.installation.queue.enqueue(self.acme.id, NewTask("note.keep", Note(number=n)))
                for n in range(number)
            ],
            return_exceptions=True,
        )
        assert all(
            not isinstance(answer, BaseException) or isinstance(answer, QuotaExceededError) for answer in answers
        )
        return sum(not isinstance(answer, BaseException) for answer in answers)

    async def used(self, resource: str) -> Decimal:
        view = await self.installation.quotas.show(self.acme.id)
        return next(quota.used for quota in view.quotas if quota.resource == resource)

    async def ended(self, task_id: str) -> None:
        async def has_ended() -> bool:
            task = await self.installation.tasks.get(self.acme.id, task_id)
            return task.state in ("completed", "discarded")

        await until(has_ended, "the end of the task")

    async def tasks(self) -> int:
        [(number,)] = await self.sql(
            "select (select count(*) from tasks where organization_id = %s) "
            "+ (select count(*) from finished_tasks where organization_id = %s)",
            self.acme.id, self.acme.id,
        )  # fmt: skip
        return int(number)

    def forget_refusals(self) -> None:
        """As if a second had passed: so long the queue remembers whom it refused."""
        self.installation.queue._exhausted._until.clear()  # pyright: ignore[reportPrivateUsage]

    def keeper(self) -> QuotaKeeper:
        it = self.installation
        return QuotaKeeper(it.metering, QuotaTeller(it.database, it.metering, it.events, it.audit).tell)

    async def told(self) -> list[str]:
        page = await self.installation.event_reader.list(self.acme.id, limit=100)
        return sorted(event.type for event in page.items if event.type.startswith("quota."))

    async def audited(self) -> list[str]:
        page = await self.installation.audit.list(self.acme.id, limit=100)
        return sorted(entry.action for entry in page.items if "limit_reached" in entry.action)


@pytest.fixture
async def site(login_url: str) -> AsyncIterator[Site]:
    settings = Settings(database_url=SecretStr(login_url), port=0)
    async with Installation.open(settings, extra=[NotesExtension(), ChargingExtension()]) as installation:
        acme = await installation.organizations.create("Acme")
        yield Site(installation, acme, login_url)
