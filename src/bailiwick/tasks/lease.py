"""A worker's lease on life: everything it holds is its own only while this lasts."""

import asyncio
import os
import socket

import psycopg

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.kernel.ids import new_id
from bailiwick.storage.channel import Channel
from bailiwick.telemetry.metrics import LEASES_LOST


class Lease:
    """One row in ``workers``, extended by heartbeats, measured by the database's clock."""

    def __init__(self, url: str, lease_seconds: float) -> None:
        self.worker_id = ""
        self._lease_seconds = lease_seconds
        self._channel = Channel(url, application="bailiwick lease")

    async def begin(self, name: str, code_version: str, concurrency: int) -> None:
        """Register under a new identity."""
        worker_id = new_id()
        await self._channel.call(
            "insert into workers (id, name, host, pid, state, code_version, concurrency, lease_until) "
            "values (%s, %s, %s, %s, 'active', %s, %s, now() + make_interval(secs => %s)) returning id",
            (worker_id, name, socket.gethostname(), os.getpid(), code_version, concurrency, self._lease_seconds),
        )
        self.worker_id = worker_id

    async def extend(self) -> set[str] | None:
        """Send a heartbeat; return the tasks still held, or None when declared dead.

        Raises:
            TimeoutError: no answer in a third of the lease; the next call takes a new connection.
            DatabaseUnavailableError: nobody lets us in.
        """
        # A busy server, or one that has just come back, may take longer to let us in than a beat may take. Who gave
        # that up each time would never be let in, and nobody would work although the server is there.
        await self._channel.open()
        async with asyncio.timeout(self._lease_seconds / 3):
            rows = await self._channel.call(
                "select worker_heartbeat(%s::uuid, %s) as held", (self.worker_id, self._lease_seconds)
            )
        held = rows[0]["held"]
        if held is None:
            LEASES_LOST.inc()
            return None
        return set(held)

    async def drain(self) -> None:
        """Say that no more will be claimed."""
        await self._move("draining")

    async def end(self) -> None:
        """Leave for good; the connection is closed."""
        await self._move("stopped")
        await self._channel.close()

    async def close(self) -> None:
        """Close the connection and let the lease lapse."""
        await self._channel.close()

    async def _move(self, state: str) -> None:
        try:
            await self._channel.call(
                "update workers set state = %s where id = %s and state in ('active', 'draining') returning id",
                (state, self.worker_id),
            )
        except (psycopg.Error, DatabaseUnavailableError):
            # Without a database there is nobody to tell; the lease lapses by itself.
            await self._channel.close()
