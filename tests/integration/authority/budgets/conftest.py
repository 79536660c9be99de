"""Budgets on a database of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from bailiwick.audit import SYSTEM, AuditLog
from bailiwick.authority.budgets import DEFAULT_LADDER, Budget, Budgets, NewBudget, Reservation, Rung
from bailiwick.authority.budgets.facts import TYPE
from bailiwick.events import EventLog
from bailiwick.events.registry import EventRegistry
from bailiwick.identity.organizations import Organizations
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.waking import Wakeups

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Purse:
    """One organization's budgets, with words short enough for tests."""

    def __init__(self, budgets: Budgets, database: Database, login_url: str, organization_id: str) -> None:
        self.budgets = budgets
        self.database = database
        self.login_url = login_url
        self.organization_id = organization_id

    async def set(self, name: str, amount: str, *rungs: str, scope: str = "organization", **more: Any) -> Budget:
        ladder = tuple(Rung(Decimal(rung.split(":")[0]), rung.split(":")[1]) for rung in rungs)  # type: ignore[arg-type]
        period = more.pop("period", "life" if scope == "run" else "day")
        wanted = NewBudget(
            name, scope, more.pop("unit", "money"), Decimal(amount), period, ladder=ladder or DEFAULT_LADDER, **more
        )  # type: ignore[arg-type]
        return await self.budgets.set(self.organization_id, wanted, actor=SYSTEM, now=NOON)

    async def reserve(self, amount: str, key: str | None = None, **more: Any) -> Reservation:
        return await self.budgets.reserve(
            self.organization_id, agent_id=more.pop("agent_id", None), task_id=more.pop("task_id", None),
            unit=more.pop("unit", "money"), amount=Decimal(amount), key=key or new_id(), now=more.pop("now", NOON),
            **more,
        )  # fmt: skip

    async def settle(self, key: str, amount: str, **more: Any) -> None:
        await self.budgets.settle(self.organization_id, key, Decimal(amount), now=more.pop("now", NOON), **more)

    async def release(self, key: str) -> None:
        await self.budgets.release(self.organization_id, key, now=NOON)

    async def used(self, name: str, *, now: datetime = NOON) -> tuple[Decimal, Decimal]:
        """What is reserved and what is settled, over all holders."""
        accounts = await self.budgets.accounts(self.organization_id, name=name, now=now)
        return sum((one.reserved for one in accounts), Decimal(0)), sum((one.settled for one in accounts), Decimal(0))

    async def told(self) -> list[dict[str, Any]]:
        """The payloads of the events that were recorded, the oldest first."""
        rows = await self.rows("select payload from events where type = 'budget.reached' order by id")
        return [row["payload"] for row in rows]

    async def spend(self) -> Decimal:
        """What counts as the organization's model spend."""
        [row] = await self.rows(
            "select coalesce(sum(amount), 0) as total from usage_increments "
            "where organization_id = %s and resource = 'model_spend'", self.organization_id,
        )  # fmt: skip
        return row["total"]

    async def rows(self, statement: str, *values: object) -> Sequence[dict[str, Any]]:
        """Read, or change beside the rules."""
        async with await psycopg.AsyncConnection.connect(self.login_url, row_factory=dict_row) as superuser:
            cursor = await superuser.execute(statement, values)  # type: ignore[arg-type]
            return await cursor.fetchall() if cursor.description else []


def log_of(database: Database) -> EventLog:
    types = EventRegistry()
    types.register(TYPE)
    return EventLog(database.url, types, Wakeups(database.url), lambda *_: [])


@pytest.fixture
async def purse(database: Database, login_url: str) -> AsyncIterator[Purse]:
    organization = await Organizations(database).create("Acme")
    budgets = Budgets(database, log_of(database), AuditLog(database))
    yield Purse(budgets, database, login_url, organization.id)
    await asyncio.sleep(0)
