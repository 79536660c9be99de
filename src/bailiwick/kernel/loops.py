"""Ends background loops for certain."""

import asyncio

# Time to clean up in, before it is told again.
_AGAIN_SECONDS = 2.0


async def end(*loops: "asyncio.Task[None]") -> None:
    """Cancel tasks until they have ended, and drop what they ended with.

    Once is not always enough: before Python 3.12 ``asyncio.wait_for`` loses a
    cancellation that comes in the moment of its own result
    (github.com/python/cpython/issues/86296), and a pool of connections waits by it.
    """
    left = set(loops)
    while left:
        for loop in left:
            loop.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
        for loop in done:
            if not loop.cancelled():
                loop.exception()
