"""Tells a measuring loop that a rival's worker, perhaps in another thread, has done a task."""

import asyncio


class Finishing:
    """One future per task number, completed from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def expect(self, number: int) -> asyncio.Future[None]:
        """Return the future of a task that is about to be handed over."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting[number] = future
        return future

    def done(self, number: int) -> None:
        """Complete the future of that task."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._complete, number)

    def _complete(self, number: int) -> None:
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_result(None)
