"""Budgets on a database of the test's own."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from bailiwick.audit import SYSTEM, AuditLog
from bailiwick.authority.budgets import DEFAULT_LADDER, Budget, Budgets, NewBudget, Reservation
from bailiwick.authority.budgets.facts import TYPE
from bailiwick.authority.budgets.model import Scope, parsed_rung
from bailiwick.events import EventLog
from bailiwick.events.registry import EventRegistry
from bailiwick.identity.organizations import Organizations
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.connections import connect
from bailiwick.storage.database import trusted
from bailiwick.storage.rows import RowFields
from bailiwick.storage.waking import Wakeups

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Purse:
    """One organization's budgets, with words short enough for tests."""

    def __init__(self, budgets: Budgets, database: Database, login_url: str, organization_id: str) -> None:
        self.budgets = budgets
        self.database = database
        self.login_url = login_url
        self.organization_id = organization_id

    async def set(self, name: str, amount: str, *rungs: str, scope: Scope = "organization", **more: Any) -> Budget:
        ladder = tuple(parsed_rung(rung) for rung in rungs)
        period = more.pop("period", "life" if scope == "run" else "day")
        wanted = NewBudget(
            name, scope, more.pop("unit", "money"), Decimal(amount), period, ladder=ladder or DEFAULT_LADDER, **more
        )
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

    async def spend_of(self, organization_id: str) -> Decimal:
        """What counts as an organization's model spend."""
        [row] = await self.rows(
            "select coalesce(sum(amount), 0) as total from usage_increments "
            "where organization_id = %s and resource = 'model_spend'", organization_id,
        )  # fmt: skip
        return row["total"]

    async def effect(self, effect_id: str, state: str, *, task_id: str | None = None) -> None:
        """An effect in a state, put there beside the rules."""
        pending = state in ("proposed", "waiting", "declined")
        is_over = state not in ("proposed", "waiting", "executing")
        async with await psycopg.AsyncConnection.connect(self.login_url) as superuser:
            await superuser.execute("set session_replication_role = replica")
            await superuser.execute(
                "insert into effects (id, organization_id, task_id, seq, fence, tool, tool_version, effect_class, "
                "arguments, target, digest, state, reason, proposed_at, began_at, ended_at) "
                "values (%s, %s, %s, 0, 1, 'note', '1', 'write', '{}', 'note:1', repeat('0', 64), %s, 'because', "
                "%s, %s, %s)",
                (
                    effect_id, self.organization_id, task_id or new_id(), state, NOON,
                    None if pending else NOON, NOON if is_over else None,
                ),
            )  # fmt: skip

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Read, or change beside the rules."""
        superuser = await connect(self.login_url)
        async with superuser:
            cursor = await superuser.execute(trusted(statement), values)
            return await cursor.fetchall() if cursor.description else []


def log_of(database: Database) -> EventLog:
    types = EventRegistry()
    types.register(TYPE)
    return EventLog(database.url, types, Wakeups(database.url), _nothing_follows)


def _nothing_follows(*_: object) -> list[RowFields]:
    return []


@pytest.fixture
async def purse(database: Database, login_url: str) -> Purse:
    organization = await Organizations(database).create("Acme")
    budgets = Budgets(database, log_of(database), AuditLog(database))
    return Purse(budgets, database, login_url, organization.id)
