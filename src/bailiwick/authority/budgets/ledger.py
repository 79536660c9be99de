"""Money and tokens, reserved before a call and settled after it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from bailiwick.authority.budgets.facts import reached_event
from bailiwick.authority.budgets.model import MAX_AMOUNT, Reservation, Rung, Unit
from bailiwick.events import EventLog
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted

_MAX_KEY = 200


class BudgetLedger:
    """Reserves, settles and releases, in the caller's transaction where it gives one.

    With a ``connection`` it must be in a transaction of the organization. What
    applies is locked until that transaction ends, so keep it short. Rungs that
    are reached are told as ``budget.reached`` in the same transaction.
    """

    def __init__(self, database: Database, events: EventLog) -> None:
        self._database = database
        self._events = events

    async def weigh(
        self,
        organization_id: str,
        *,
        agent_id: str | None,
        task_id: str | None,
        unit: Unit,
        amount: Decimal,
        connection: Connection | None = None,
        now: datetime | None = None,
    ) -> Reservation:
        """Say what ``reserve`` would answer, and reserve nothing; it holds until the transaction ends."""
        amount = checked_amount(amount)
        async with self._in(organization_id, connection) as open_connection:
            found = await self._call(
                open_connection, organization_id, "budget_weigh(%s, %s, %s, %s, %s, %s)",
                (organization_id, agent_id, task_id, unit, amount, now),
            )  # fmt: skip
        return _reservation("", unit, amount, found)

    async def reserve(
        self,
        organization_id: str,
        *,
        agent_id: str | None,
        task_id: str | None,
        unit: Unit,
        amount: Decimal,
        key: str,
        connection: Connection | None = None,
        is_approved: bool = False,
        now: datetime | None = None,
    ) -> Reservation:
        """Reserve an amount in every budget that applies, or in none; the same key again changes nothing.

        ``is_approved`` says that a person, or a decision, has answered rungs that
        ask; those that stop are never passed. It counts in the periods of ``now``
        (by default the database's), whenever it is settled. A key that was
        released is reserved anew.

        Raises:
            InvalidInputError: the amount is negative or no number.
            ConflictError: the key is reserved for something else.
        """
        if not 1 <= len(key) <= _MAX_KEY:
            raise InvalidInputError(f"the key of a reservation has 1 to {_MAX_KEY} characters")
        amount = checked_amount(amount)
        async with self._in(organization_id, connection) as open_connection:
            found = await self._call(
                open_connection, organization_id, "budget_reserve(%s, %s, %s, %s, %s, %s, %s, %s)",
                (organization_id, key, agent_id, task_id, unit, amount, is_approved, now),
            )  # fmt: skip
        had = found.get("had")
        if had is not None and (had["unit"], Decimal(had["amount"])) != (unit, amount):
            raise ConflictError(f"{key!r} has {had['amount']} {had['unit']} reserved already; use a key of its own")
        return _reservation(key, unit, amount, found)

    async def settle(
        self,
        organization_id: str,
        key: str,
        amount: Decimal,
        *,
        connection: Connection | None = None,
        now: datetime | None = None,
    ) -> None:
        """Record what a reserved spending cost: less or more, it is never refused, because it is spent.

        Money counts in the organization's ``model_spend`` here, once; do not
        charge the run for it as well. Settling again corrects the amount.

        Raises:
            NotFoundError: nothing was ever reserved under this key.
            InvalidInputError: the amount is negative or no number.
        """
        amount = checked_amount(amount)
        if await self._end(organization_id, key, amount, connection, now) is None:
            raise NotFoundError(f"nothing is reserved under {key!r}; reserve before the call, then settle")

    async def release(
        self, organization_id: str, key: str, *, connection: Connection | None = None, now: datetime | None = None
    ) -> None:
        """Give back what is reserved for a call that cost nothing; what is settled or unknown stays as it is."""
        await self._end(organization_id, key, None, connection, now)

    async def _end(
        self,
        organization_id: str,
        key: str,
        amount: Decimal | None,
        connection: Connection | None,
        now: datetime | None,
    ) -> dict[str, Any] | None:
        async with self._in(organization_id, connection) as open_connection:
            return await self._call(
                open_connection, organization_id, "budget_end(%s, %s, %s, %s)", (organization_id, key, amount, now)
            )

    @asynccontextmanager
    async def _in(self, organization_id: str, connection: Connection | None) -> AsyncGenerator[Connection]:
        if connection is not None:
            yield connection
            return
        async with self._database.transaction(organization_id) as own:
            yield own

    async def _call(
        self, connection: Connection, organization_id: str, function: str, params: tuple[object, ...]
    ) -> Any:
        cursor = await connection.execute(trusted(f"select {function} as found"), params)
        row = await cursor.fetchone()
        assert row is not None
        found = row["found"]
        if found is not None and found["reached"]:
            await self._events.append(connection, organization_id, [reached_event(one) for one in found["reached"]])
        return found


def checked_amount(amount: Decimal) -> Decimal:
    """Return an amount that can be counted, or raise InvalidInputError."""
    if not amount.is_finite() or not 0 <= amount < MAX_AMOUNT:
        raise InvalidInputError(f"an amount to be spent is a number from 0 to below {MAX_AMOUNT:,}")
    return round(amount, 6)


def _reservation(key: str, unit: Unit, amount: Decimal, found: dict[str, Any]) -> Reservation:
    if found["state"] == "ok":
        return Reservation(key, "ok", unit, amount)
    return Reservation(
        key, found["state"], unit, amount, budget=found["budget"],
        rung=Rung(Decimal(found["at"]), found["do"]), limit=Decimal(found["limit"]), used=Decimal(found["used"]),
    )  # fmt: skip
