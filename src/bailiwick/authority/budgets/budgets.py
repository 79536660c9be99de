"""Budgets: how much may be spent, by whom, in which time; and what happens at the limit."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.authority.budgets.ledger import BudgetLedger
from bailiwick.authority.budgets.model import (
    Account,
    Budget,
    Held,
    NewBudget,
    Rung,
    checked_budget,
    ladder_document,
    plain,
)
from bailiwick.events import EventLog
from bailiwick.identity.people.persons import check_person
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database, Row

_WHAT = "how much may be spent is for people to say"

_ACCOUNTS = """
select b.name as budget, a.holder, a.reserved, a.settled, b.amount, b.unit,
       case when b.period <> 'life' then a.began_at end as began_at,
       case when b.period <> 'life'
            then (a.began_at at time zone b.zone + ('1 ' || b.period)::interval) at time zone b.zone end as ends_at
from budgets b join budget_accounts a on a.budget_id = b.id
where b.organization_id = %(org)s and (%(name)s::text is null or b.name = %(name)s)
  and a.began_at = budget_began(b.period, b.zone, coalesce(%(now)s, now()))
order by b.name, a.reserved + a.settled desc, a.holder limit %(limit)s"""

_HELD = """
select r.key, r.agent_id, r.task_id, r.unit, r.reserved as amount, r.reserved_at
from budget_reservations r
where r.organization_id = %(org)s and r.state = 'reserved' and (%(name)s::text is null or exists (
    select from budget_holds h join budgets b on b.id = h.budget_id
    where h.organization_id = r.organization_id and h.key = r.key and b.name = %(name)s))
order by r.reserved_at, r.key limit %(limit)s"""


class Budgets(BudgetLedger):
    """The budgets of organizations and what is spent of them. Changes hold from the moment the call returns."""

    def __init__(self, database: Database, events: EventLog, audit: AuditLog) -> None:
        super().__init__(database, events)
        self._audit = audit

    async def list(self, organization_id: str) -> list[Budget]:
        """Return all budgets of an organization, by name."""
        rows = await self._database.fetch_all(
            "select * from budgets where organization_id = %s order by name",
            (organization_id,),
            organization_id=organization_id,
        )
        return [_budget(row) for row in rows]

    async def get(self, organization_id: str, name: str) -> Budget:
        """Return a budget by its name.

        Raises:
            NotFoundError: there is none.
        """
        row = await self._database.fetch_one(
            "select * from budgets where organization_id = %s and name = %s",
            (organization_id, name),
            organization_id=organization_id,
        )
        if row is None:
            raise _missing(name)
        return _budget(row)

    async def accounts(
        self, organization_id: str, *, name: str | None = None, now: datetime | None = None, limit: int = 100
    ) -> "list[Account]":
        """Return what is reserved and spent in the present periods, of each budget the most used first."""
        rows = await self._database.fetch_all(
            _ACCOUNTS,
            {"org": organization_id, "name": name, "now": now, "limit": limit},
            organization_id=organization_id,
        )
        return [Account(**row) for row in rows]

    async def held(self, organization_id: str, *, name: str | None = None, limit: int = 100) -> "list[Held]":
        """Return what is reserved now and not settled, of one budget or of all, the oldest first."""
        rows = await self._database.fetch_all(
            _HELD, {"org": organization_id, "name": name, "limit": limit}, organization_id=organization_id
        )
        return [Held(**row) for row in rows]

    async def sweep(self, *, limit: int = 500) -> dict[str, int]:
        """End reservations that a dead run left behind, in all organizations; return how many were settled, released.

        By what their effects became: what stands outside is settled at what was
        reserved, what failed or never began is released. What nobody knows of,
        an effect whose outcome is unknown or a call without one, stays reserved.
        """
        rows = await self._database.fetch_all("select * from budget_adrift(%s)", (limit,))
        for row in rows:
            if row["is_spent"]:
                await self.settle(row["organization_id"], row["key"], row["reserved"])
            else:
                await self.release(row["organization_id"], row["key"])
        settled = sum(row["is_spent"] for row in rows)
        return {"settled": settled, "released": len(rows) - settled}

    async def set(
        self, organization_id: str, wanted: NewBudget, *, actor: Actor, now: datetime | None = None
    ) -> Budget:
        """Make a budget, or replace the one of its name; what was spent before in the present period counts.

        Raises:
            InvalidInputError: it cannot hold; says why.
            ForbiddenError: a program asks; how much may be spent is for people to say.
        """
        check_person(actor, _WHAT, or_platform=True)
        checked_budget(wanted)
        async with self._database.transaction(organization_id) as connection:
            found = await connection.execute(
                "select * from budgets where organization_id = %s and name = %s", (organization_id, wanted.name)
            )
            before = await found.fetchone()
            made = await connection.execute(
                "select * from budget_put(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s)",
                (
                    new_id(), organization_id, wanted.name, wanted.scope, wanted.subject, wanted.unit, wanted.period,
                    wanted.zone, wanted.amount, orjson.dumps(ladder_document(wanted.ladder)).decode(), now,
                ),
            )  # fmt: skip
            row = await made.fetchone()
            assert row is not None
            await self._audit.record(
                Act(
                    organization_id, "budget.set", actor, f"budget:{wanted.name}",
                    before=None if before is None else _told(_budget(before)), after=_told(_budget(row)),
                ),
                connection=connection,
            )  # fmt: skip
        return _budget(row)

    async def remove(self, organization_id: str, name: str, *, actor: Actor) -> None:
        """Remove a budget; what is reserved under it stays reserved elsewhere.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: a program asks.
        """
        check_person(actor, _WHAT, or_platform=True)
        before = await self.get(organization_id, name)
        async with self._database.transaction(organization_id) as connection:
            gone = await connection.execute("select budget_remove(%s, %s) as is_gone", (organization_id, name))
            row = await gone.fetchone()
            if row is None or not row["is_gone"]:
                raise _missing(name)
            await self._audit.record(
                Act(
                    organization_id, "budget.removed", actor, f"budget:{name}",
                    before=_told(before),
                ),
                connection=connection,
            )  # fmt: skip


def _missing(name: str) -> NotFoundError:
    return NotFoundError(f"no budget {name!r}; 'bailiwick budgets list' shows those there are")


def _budget(row: Row) -> Budget:
    fields = {name: value for name, value in row.items() if name != "organization_id"}
    ladder = tuple(Rung(Decimal(rung["at"]), rung["do"]) for rung in fields.pop("ladder"))
    return Budget(**fields, ladder=ladder)


def _told(budget: Budget) -> dict[str, Any]:
    return {
        "scope": budget.scope, "subject": budget.subject, "unit": budget.unit, "period": budget.period,
        "zone": budget.zone, "amount": plain(budget.amount), "ladder": ladder_document(budget.ladder),
    }  # fmt: skip
