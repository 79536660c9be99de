"""What keeps the engine going: promote what is due, free what lost its worker."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg
import structlog

from bailiwick.kernel.errors import BailiwickError
from bailiwick.kernel.loops import end
from bailiwick.storage.channel import Channel
from bailiwick.storage.waking import DUE, EVENTS, TASKS, Wakeups

log = structlog.get_logger(__name__)

MAX_RECOVERIES = 5
_NIL = "00000000-0000-0000-0000-000000000000"


class Upkeep:
    """Three loops that every worker process runs; doing it twice does no harm."""

    def __init__(
        self, url: str, wakeups: Wakeups, *, worker_id: Callable[[], str] = lambda: _NIL, poll_seconds: float = 2.0
    ) -> None:
        self._wakeups = wakeups
        self._worker_id = worker_id
        self._poll_seconds = poll_seconds
        self._channels = {name: Channel(url, application=f"bailiwick {name}") for name in ("promote", "reap", "sweep")}
        self._due = asyncio.Event()
        # Some limit was closed at the last look: tasks may start when it opens.
        self._was_closed = False
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the loops."""
        self._wakeups.listen(DUE, lambda _: self._due.set())
        self._loops = [
            asyncio.create_task(self._forever(self.promote, self._due)),
            asyncio.create_task(self._forever(self.reap, asyncio.Event())),
            asyncio.create_task(self._forever(self.sweep, asyncio.Event())),
        ]

    async def stop(self) -> None:
        """Stop the loops and close their connections."""
        await end(*self._loops)
        for channel in self._channels.values():
            await channel.close()

    async def promote(self) -> float:
        """Make due tasks available; return the seconds until the next look."""
        rows = await self._channels["promote"].call("select * from task_promote(1000)", ())
        found = rows[0]
        if found["promoted"] or self._was_closed:
            self._wakeups.announce(TASKS)
        self._was_closed = found["opening_seconds"] is not None
        times = [float(found[name]) for name in ("due_seconds", "opening_seconds") if found[name] is not None]
        # A token bucket may be full by rounding only; a millisecond keeps this from spinning.
        return min([max(seconds, 0.001) for seconds in times] + [self._poll_seconds])

    async def reap(self) -> float:
        """Free the tasks of lapsed workers; return the seconds until the next lease can lapse."""
        rows = await self._channels["reap"].call(
            "select * from worker_reap(%s::uuid, %s)", (self._worker_id(), MAX_RECOVERIES)
        )
        found = rows[0]
        if found["dead"] or found["recovered"]:
            log.warning("recovered tasks", dead=len(found["dead"]), recovered=found["recovered"])
            self._wakeups.announce(TASKS)
        if found["poisoned"]:
            self._wakeups.announce(EVENTS)
        following = found["next_seconds"]
        return self._poll_seconds if following is None else min(max(float(following), 0.0) + 0.05, self._poll_seconds)

    async def sweep(self) -> float:
        """End waits whose event came in a crash between its commit and its wake-up."""
        rows = await self._channels["sweep"].call("select task_wake_from_history(null) as woken", ())
        if rows[0]["woken"]:
            self._wakeups.announce(TASKS)
        return 15.0

    async def _forever(self, look: Callable[[], Awaitable[float]], wake: asyncio.Event) -> None:
        while True:
            # Before the look: what is announced during it may have come too late for it.
            wake.clear()
            try:
                seconds = await look()
            except (psycopg.Error, BailiwickError) as error:
                log.warning("upkeep failed; trying again", error=str(error))
                seconds = 0.2
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await wake.wait()
