"""The pool: how everything but the engine's hot path reaches PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString, cast

import psycopg
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
            async with self._pool.connection() as connection, connection.transaction():
                if organization_id is not None:
                    await connection.execute("select set_config('app.organization', %s, true)", (organization_id,))
                yield connection
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


def trusted(sql: str) -> LiteralString:
    """Mark SQL as ours: text from outside only ever travels as a parameter."""
    return cast("LiteralString", sql)
