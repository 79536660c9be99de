"""Worker processes beside this one: started, restarted when they fail, ended with it."""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from random import random
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
# A worker that lived so long failed for a new reason, not for the old one again.
_SETTLED_SECONDS = 60.0
# One that ends sooner never began its work; after so many in a row another try is of no use.
_INSTANT_SECONDS = 5.0
_MOST_INSTANT_FAILURES = 6
_COMMAND = (sys.executable, "-m", "bailiwick.main", "worker", "--end-with-input")


class WorkerProcesses:
    """``bailiwick worker`` processes for as long as an ``async with`` block runs.

    One that fails is started again after a pause that doubles up to half a
    minute, spread by a quarter so that they do not all return at once; one that
    fails at once time after time is given up, and that is logged as an error.
    Each holds a pipe from this process and drains when that closes, so none is
    left behind even if this process is killed.
    """

    def __init__(
        self,
        count: int,
        *,
        patience_seconds: float,
        command: Sequence[str] = _COMMAND,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
    ) -> None:
        """Prepare; ``command`` is started with ``--name worker-N`` and must end when its input does."""
        self._count = count
        self._patience_seconds = patience_seconds
        self._command = command
        self._first_pause_seconds = first_pause_seconds
        # The numbers of the workers that are not started again.
        self.given_up: set[int] = set()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._watches: list[asyncio.Task[None]] = []

    @property
    def process_ids(self) -> list[int]:
        """The processes that run now."""
        return [process.pid for process in self._processes.values() if process.returncode is None]

    async def __aenter__(self) -> Self:
        """Start them."""
        self._watches = [asyncio.create_task(self._keep(number)) for number in range(1, self._count + 1)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let them drain, and end those that do not in time."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        alive = [process for process in self._processes.values() if process.returncode is None]
        for process in alive:
            if process.stdin is not None:
                process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_seconds + 5):
                await asyncio.gather(*(process.wait() for process in alive))
        self.kill()
        await asyncio.gather(*(process.wait() for process in alive))

    def kill(self) -> None:
        """End all that still run, at once."""
        for process in self._processes.values():
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()

    async def _keep(self, number: int) -> None:
        pause = self._first_pause_seconds
        instant_failures = 0
        while True:
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *self._command, "--name", f"worker-{number}", stdin=asyncio.subprocess.PIPE, start_new_session=True
            )
            self._processes[number] = process
            status = await process.wait()
            lived = time.monotonic() - began
            instant_failures = instant_failures + 1 if lived < _INSTANT_SECONDS else 0
            if instant_failures >= _MOST_INSTANT_FAILURES:
                self.given_up.add(number)
                log.error(
                    "worker given up: it ends at once every time; its own messages say why",
                    worker=number, status=status, starts=instant_failures,
                )  # fmt: skip
                return
            if lived >= _SETTLED_SECONDS:
                pause = self._first_pause_seconds
            log.warning("worker ended; starting it again", worker=number, status=status, pause_seconds=pause)
            await asyncio.sleep(pause * (0.75 + 0.5 * random()))  # noqa: S311 - spreads load
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
