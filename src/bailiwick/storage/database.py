"""The pool: how everything but the engine's hot path reaches PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql as composing
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.storage.connections import (
    Connection,
    Row,
    configure,
    is_being_cancelled,
    is_disk_full,
    is_passing,
    unavailable,
)
from bailiwick.storage.refusals import refusal_of

Params = Sequence[object] | Mapping[str, object]

# What is to be called once the transaction that a connection is in is committed.
_after_commit: WeakKeyDictionary[Connection, dict[Callable[[], None], None]] = WeakKeyDictionary()


class Database:
    """Tenant-scoped access to PostgreSQL through one pool of connections."""

    def __init__(self, url: str, *, min_connections: int = 1, max_connections: int = 8) -> None:
        self.url = url
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection[Row],
            kwargs={"autocommit": True, "row_factory": dict_row, "application_name": "bailiwick"},
            min_size=min_connections,
            max_size=max_connections,
            configure=configure,
            open=False,
            timeout=10,
            reconnect_timeout=60,
        )

    async def open(self) -> None:
        """Connect; raise DatabaseUnavailableError when nobody answers in 10 s."""
        try:
            await self._pool.open(wait=True, timeout=10)
        except PoolTimeout as error:
            raise DatabaseUnavailableError(
                "PostgreSQL does not answer within 10 s; check that it runs and that BAILIWICK_DATABASE_URL is right"
            ) from error

    async def close(self) -> None:
        """Close every connection; idempotent."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self, organization_id: str | None = None) -> AsyncGenerator[Connection]:
        """Run a block in one transaction, as one organization if it is given.

        The tenant is set for this transaction only, so the connection goes back
        to the pool without it. Leaving by an exception rolls everything back.

        Raises:
            DatabaseUnavailableError, DiskFullError, QuotaExceededError: nothing was written.
        """
        try:
            # Whoever leaves its block commits, or rolls back by an exception.
            async with self._pool.connection() as connection:
                _after_commit.pop(connection, None)
                await connection.execute(_begin(organization_id), prepare=False)
                yield connection
                # Before another gets the connection, and with it what is to be called for it.
                calls = _after_commit.pop(connection, {})
            for call in calls:
                call()
        except PoolTimeout as error:
            raise DatabaseUnavailableError(
                "no database connection became free within 10 s; try again, or raise the pool's size"
            ) from error
        except psycopg.Error as error:
            if is_being_cancelled():
                raise asyncio.CancelledError from error
            if is_passing(error) or is_disk_full(error):
                raise unavailable(error) from error
            refusal = refusal_of(error)
            if refusal is not None:
                raise refusal from error
            raise

    async def fetch_all(self, sql: str, params: Params = (), *, organization_id: str | None = None) -> list[Row]:
        """Return all rows of one statement, run in a transaction of its own."""
        async with self.transaction(organization_id) as connection:
            cursor = await connection.execute(trusted(sql), params)
            return await cursor.fetchall()

    async def fetch_one(self, sql: str, params: Params = (), *, organization_id: str | None = None) -> Row | None:
        """Return the first row of one statement, or None."""
        async with self.transaction(organization_id) as connection:
            cursor = await connection.execute(trusted(sql), params)
            return await cursor.fetchone()

    async def execute(self, sql: str, params: Params = (), *, organization_id: str | None = None) -> int:
        """Run one statement and return how many rows it touched."""
        async with self.transaction(organization_id) as connection:
            cursor = await connection.execute(trusted(sql), params)
            return cursor.rowcount


def after_commit(connection: Connection, call: Callable[[], None]) -> None:
    """Have something called once a connection's transaction is committed, once however often it is asked for.

    Never if it is rolled back. It must be quick and must not fail.
    """
    _after_commit.setdefault(connection, {})[call] = None


def _begin(organization_id: str | None) -> LiteralString | composing.Composed:
    if organization_id is None:
        return "begin"
    # One message in place of two; what sets a variable takes no parameters, hence the literal.
    return composing.SQL("begin; set local app.organization = {}").format(composing.Literal(organization_id))


def trusted(sql: str) -> LiteralString:
    """Mark SQL as ours: text from outside only ever travels as a parameter."""
    return cast("LiteralString", sql)
