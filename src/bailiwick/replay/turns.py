"""Whose turn it is to rehearse, so that no organization's rehearsals take the processor from everybody."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bailiwick.kernel.errors import RateLimitedError

AT_ONCE = 2
"""How many rehearsals of an organization may be under way in one process, and how many compute there at once."""

_RETRY_SECONDS = 5


class Turns:
    """Gives turns within one process: two compute at once, the others wait, an organization has two of them at most."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._computing = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self, organization_id: str) -> AsyncGenerator[None]:
        """Wait for a turn and hold it for the block.

        Raises:
            RateLimitedError: as many of the organization's as may be are under way.
        """
        if self._under_way[organization_id] >= AT_ONCE:
            raise RateLimitedError(
                f"{AT_ONCE} rehearsals of this organization are under way, and no more may be at once; wait until one "
                "has ended, or rehearse over fewer runs",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._under_way[organization_id] += 1
        try:
            async with self._computing:
                yield
        finally:
            self._under_way[organization_id] -= 1
            # Organizations come and go; what is at rest takes no memory.
            self._under_way += Counter()
