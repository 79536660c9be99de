"""Wake-ups: by an event within a process, by LISTEN/NOTIFY between processes.

A notification is sent after the batch it announces is committed, in a statement
of its own: inside the transaction it would serialize every commit of the server.
Whoever waits also polls slowly, so a lost notification costs seconds, not work.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import psycopg
import structlog
from psycopg import sql

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.kernel.loops import end
from bailiwick.storage.channel import Channel
from bailiwick.storage.connections import connect, is_being_cancelled

log = structlog.get_logger(__name__)

TASKS = "bailiwick_tasks"
DUE = "bailiwick_due"
TAKEN = "bailiwick_taken"
SCHEDULES = "bailiwick_schedules"
EVENTS = "bailiwick_events"
# What processes remember of an organization is void: a person was erased from it.
ERASED = "bailiwick_erased"

Listener = Callable[[str], None]


class Wakeups:
    """Tells listeners, here and in other processes, that there is something to look at."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._listeners: dict[str, list[Listener]] = {}
        self._channel = Channel(url, application="bailiwick notify")
        self._pending: dict[tuple[str, str], None] = {}
        self._has_pending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, topic: str, listener: Listener) -> None:
        """Call ``listener(payload)`` whenever a topic is announced; keep it quick."""
        self._listeners.setdefault(topic, []).append(listener)

    def announce(self, topic: str, payload: str = "") -> None:
        """Wake local listeners at once and remote ones soon; never waits, never fails.

        Equal announcements that were not sent yet are sent once.
        """
        for listener in self._listeners.get(topic, ()):
            listener(payload)
        self._pending[topic, payload] = None
        self._has_pending.set()

    async def start(self) -> None:
        """Start to send and to listen; lost connections are reopened."""
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._receive())]

    async def close(self) -> None:
        """Send what is pending, then stop."""
        for task in self._tasks:
            task.cancel()
        with suppress(psycopg.Error, DatabaseUnavailableError, TimeoutError):
            async with asyncio.timeout(1):
                await self._send_pending()
        await end(*self._tasks)
        await self._channel.close()

    async def _send(self) -> None:
        while True:
            await self._has_pending.wait()
            try:
                await self._send_pending()
            except (psycopg.Error, DatabaseUnavailableError):
                # The slow poll of the listeners covers what is lost here.
                await asyncio.sleep(0.5)
            # A breath between sends: a burst of batches needs one wake-up.
            await asyncio.sleep(0.002)

    async def _send_pending(self) -> None:
        self._has_pending.clear()
        batch, self._pending = list(self._pending), {}
        if batch:
            await self._channel.call(
                "select pg_notify(t, p) from unnest(%s::text[], %s::text[]) as x (t, p)",
                ([topic for topic, _ in batch], [payload for _, payload in batch]),
            )

    async def _receive(self) -> None:
        while True:
            try:
                await self._receive_once()
            except (psycopg.Error, DatabaseUnavailableError) as error:
                if is_being_cancelled():
                    raise asyncio.CancelledError from error
                log.warning("listening broke off", error=str(error))
                await asyncio.sleep(0.5)

    async def _receive_once(self) -> None:
        connection = await connect(self._url, application="bailiwick listen")
        async with connection:
            for topic in (TASKS, DUE, TAKEN, SCHEDULES, EVENTS, ERASED):
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(topic)))
            # Whatever was announced while nobody listened: look once at everything.
            for listeners in self._listeners.values():
                for listener in listeners:
                    listener("")
            async for notification in connection.notifies():
                if notification.pid == self._channel.backend_pid:
                    # Our own words: local listeners heard them already.
                    continue
                for listener in self._listeners.get(notification.channel, ()):
                    listener(notification.payload)
