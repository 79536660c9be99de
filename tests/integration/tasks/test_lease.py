"""A worker's lease holds as long as the database answers, however long that takes to let it in."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bailiwick.storage.roles import application_url
from bailiwick.tasks.lease import Lease

LEASE_SECONDS = 3.0


class Gate:
    """Stands before the server and lets connections through while it is open."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._server = conninfo_to_dict(url)
        self._writers: list[asyncio.StreamWriter] = []
        self.knocks = 0
        self.knocked = asyncio.Event()
        self.is_open = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def standing(self) -> AsyncGenerator["Gate"]:
        """Stand there while the block runs."""
        listening = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        port = int(listening.sockets[0].getsockname()[1])
        self.url = make_conninfo(self._url, host="127.0.0.1", port=port, sslmode="disable")
        try:
            yield self
        finally:
            self.cut()
            listening.close()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.knocks += 1
        self.knocked.set()
        self._writers.append(writer)
        await self.is_open.wait()
        host, port = str(self._server.get("host")), int(self._server.get("port") or 5432)
        if host.startswith("/"):
            upstream = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            upstream = await asyncio.open_connection(host, port)
        self._writers.append(upstream[1])
        await asyncio.gather(_copy(reader, upstream[1]), _copy(upstream[0], writer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def test_who_waits_to_be_let_in_goes_on_waiting_and_holds_its_lease_then(login_url: str) -> None:
    async with Gate(application_url(login_url)).standing() as gate:
        lease = Lease(gate.url, LEASE_SECONDS)
        gate.is_open.set()
        await lease.begin("one", "1", 1)
        gate.is_open.clear()
        gate.knocked.clear()
        gate.cut()
        # The broken connection is found, and another is asked for.
        beat = asyncio.create_task(_beat_until_answered(lease))
        await gate.knocked.wait()
        knocks = gate.knocks
        done, _ = await asyncio.wait([beat], timeout=LEASE_SECONDS / 3 * 1.5)
        assert not done
        assert gate.knocks == knocks
        gate.is_open.set()
        # Within the lease: it is still the worker that it was.
        assert await beat == set()
        await lease.end()


async def _beat_until_answered(lease: Lease) -> set[str] | None:
    while True:
        with suppress(Exception):
            return await lease.extend()
