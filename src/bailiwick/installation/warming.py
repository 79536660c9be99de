"""Does ahead, while a worker has nothing else to do, what its first work would otherwise wait for."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import structlog

_log = structlog.get_logger(__name__)


class Warming:
    """Runs functions one after the other in a thread of its own; what fails is logged and passed over.

    The thread is not a daemon: one that is cut off in the middle of an import
    can crash the process on its way out. So a process that exits waits for the
    function that is running, and none follows after ``stop``.
    """

    def __init__(self, functions: Sequence[Callable[[], object]]) -> None:
        self._functions = tuple(functions)
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming")

    def start(self) -> None:
        """Begin; returns at once."""
        if self._functions:
            self._thread.start()

    def stop(self) -> None:
        """Begin no further function; does not wait for the one that is running."""
        self._is_stopped.set()

    async def wait(self) -> None:
        """Return when all is done or was stopped; the event loop goes on meanwhile."""
        if self._functions:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        for function in self._functions:
            if self._is_stopped.is_set():
                return
            try:
                function()
            except Exception as error:  # noqa: BLE001 - the first work meets the same error and reports it
                _log.warning("warming failed", error=f"{type(error).__name__}: {error}")
