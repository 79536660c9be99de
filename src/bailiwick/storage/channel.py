"""One connection that carries one kind of hot statement, reopened when it breaks."""

import asyncio
from contextlib import suppress
from typing import LiteralString

import psycopg

from bailiwick.storage.connections import Connection, Row, connect, is_being_cancelled


class Channel:
    """A dedicated autocommit connection; calls queue up behind each other.

    Apart from the pool, because a hot statement must neither wait for a free
    connection nor be prepared anew on every one of them.
    """

    def __init__(self, url: str, *, application: str) -> None:
        self._url = url
        self._application = application
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    @property
    def backend_pid(self) -> int:
        """The server's process behind this connection, 0 while there is none."""
        return 0 if self._connection is None or self._connection.closed else self._connection.info.backend_pid

    async def open(self) -> None:
        """Connect, unless there is a connection; it takes as long as the server takes, 10 s at most.

        Raises:
            DatabaseUnavailableError: nobody answers there.
        """
        async with self._lock:
            await self._opened()

    async def call(self, sql: LiteralString, params: tuple[object, ...]) -> list[Row]:
        """Run one statement and return its rows.

        Raises:
            psycopg.Error: as it came. After a connection error the next call
                opens a new connection; whether this one took effect is unknown.
        """
        async with self._lock:
            connection = await self._opened()
            try:
                cursor = await connection.execute(sql, params)
                return await cursor.fetchall()
            except (psycopg.OperationalError, psycopg.InterfaceError, asyncio.CancelledError) as error:
                # A cancelled call may have left its answer on the wire.
                await self._drop()
                if is_being_cancelled():
                    raise asyncio.CancelledError from error
                raise

    async def close(self) -> None:
        """Close the connection; the next call would open another."""
        async with self._lock:
            await self._drop()

    async def _opened(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._url, application=self._application)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()
