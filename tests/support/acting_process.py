"""A worker in a process of its own that kills itself at a boundary: ``python -m tests.support.acting_process``."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.support.acting import ActingEngine, StopAt, act_once


class KillAt(StopAt):
    """Ends this process at once, as the operating system would, when a boundary is reached."""

    async def __call__(self, boundary: str) -> None:
        """Die here, or go on."""
        if boundary == self.boundary:
            os.kill(os.getpid(), signal.SIGKILL)


async def work(url: str, folder: str, boundary: str) -> None:
    """Be a worker until the boundary."""
    kill = KillAt(boundary)
    async with ActingEngine(url, Path(folder), kill, lease_seconds=1.0) as engine:
        engine.handles("act", act_once)
        kill.watch(await engine.work())
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
