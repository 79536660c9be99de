"""What keeps quotas going: folds what was counted, tells reached limits, measures what is there."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from bailiwick.identity.quotas.metering import Metering
from bailiwick.identity.quotas.model import Crossing
from bailiwick.kernel.errors import BailiwickError
from bailiwick.kernel.loops import end

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0

Tell = Callable[[Crossing], Awaitable[None]]


class QuotaKeeper:
    """A loop that every worker process runs; several do no harm and the work once."""

    def __init__(self, metering: Metering, tell: Tell) -> None:
        self._metering = metering
        self._tell = tell
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start looking."""
        self._loop = asyncio.create_task(self._forever())

    async def stop(self) -> None:
        """Stop looking; what was not done is done by the next look, here or elsewhere."""
        if self._loop is not None:
            await end(self._loop)

    async def look(self) -> None:
        """Do what there is to do now."""
        await self._metering.fold()
        if await self._metering.claim_measurement():
            await self._metering.measure()
            await self._metering.sweep()
        for crossing in await self._metering.untold():
            await self._told(crossing)

    async def _told(self, crossing: Crossing) -> None:
        # One that cannot be told now must not hold up the others.
        try:
            await self._tell(crossing)
        except (psycopg.Error, BailiwickError) as error:
            log.warning(
                "reached limit not told; trying again", organization_id=crossing.organization_id,
                resource=crossing.resource, level=crossing.level, error=str(error),
            )  # fmt: skip

    async def _forever(self) -> None:
        while True:
            try:
                await self.look()
            except (psycopg.Error, BailiwickError) as error:
                log.warning("keeping quotas failed; trying again", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)
