"""The event loop: which one runs a program, and how its background loops end for certain."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

# Time to clean up in, before it is told again.
_AGAIN_SECONDS = 2.0


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a program to its end on uvloop, which carries about a seventh more tasks than asyncio's own loop."""
    # Here, because commands that await nothing should not pay for loading it.
    import uvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


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
