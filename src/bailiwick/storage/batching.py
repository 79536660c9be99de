"""Group commit: many callers, one statement, each answered when it is durable."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import psycopg

from bailiwick.storage.connections import is_disk_full, is_passing, unavailable
from bailiwick.storage.refusals import refusal_of

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# How many callers are answered before others get their turn.
_SLICE = 16

Flush = Callable[[list[Item]], Awaitable[list[Answer]]]


class Batcher(Generic[Item, Answer]):
    """Collects what arrives while a flush is under way and sends it as the next.

    There is no timer: under low load every item travels alone and at once,
    under high load batches grow by themselves. ``flush`` must be idempotent,
    because a batch whose connection broke is sent again until it is answered.
    A batch refused for its content is halved until the culprit stands alone.

    ``patience_seconds`` says how long callers wait for a database that is away
    or out of disk before they get the error; None waits until it is back, which
    is what a run wants whose work is already done.
    """

    def __init__(
        self, flush: Flush[Item, Answer], *, max_batch: int = 500, patience_seconds: float | None = None
    ) -> None:
        self._flush = flush
        self._max_batch = max_batch
        self._patience_seconds = patience_seconds
        self._queue: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Start flushing; belongs to the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Flush what is queued, then stop. Items that come later are refused."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    def abort(self) -> None:
        """Stop at once; callers that still wait are cancelled."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            # Kept, it would keep a connection that it was just opening.
            self._task = None
        for _, future in self._queue:
            future.cancel()
        self._queue.clear()

    async def put(self, item: Item) -> Answer:
        """Hand over one item and return its answer once it is durable."""
        return await self._enter(item)

    async def put_many(self, items: Sequence[Item]) -> list[Answer]:
        """Hand over several items and return their answers, in order, once all are durable.

        Raises the first error after every item was answered; the others stay written.
        """
        answers = await asyncio.gather(*[self._enter(item) for item in items], return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _enter(self, item: Item) -> asyncio.Future[Answer]:
        if self._closing:
            raise RuntimeError("the batcher is closed")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        self._wake.set()
        return future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch, self._queue = self._queue[: self._max_batch], self._queue[self._max_batch :]
                try:
                    await self._send(batch)
                finally:
                    # Aborted in the middle: nobody else will answer these.
                    for _, future in batch:
                        future.cancel()
            if self._closing:
                return

    async def _send(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        delay = 0.02
        began = time.monotonic()
        while True:
            try:
                answers = await self._flush([item for item, _ in batch])
                answered = list(zip(batch, answers, strict=True))
            except Exception as error:  # noqa: BLE001 - whatever it is, its callers must hear it
                if self._may_wait(error, time.monotonic() - began):
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 1.0)
                    continue
                await self._refuse(batch, error)
                return
            for start in range(0, len(answered), _SLICE):
                for (_, future), answer in answered[start : start + _SLICE]:
                    if not future.done():
                        future.set_result(answer)
                # Whoever was answered runs now, and the loop looks at its sockets: a
                # large batch of one organization must not keep another's answer waiting.
                await asyncio.sleep(0)
            return

    def _may_wait(self, error: Exception, waited: float) -> bool:
        if self._patience_seconds is None:
            return is_passing(error) or is_disk_full(error)
        # A full disk seldom clears by itself: whoever stands at the door hears it at once.
        return is_passing(error) and waited < self._patience_seconds

    async def _refuse(self, batch: list[tuple[Item, asyncio.Future[Answer]]], error: Exception) -> None:
        is_away = is_passing(error) or is_disk_full(error)
        if is_away or len(batch) == 1:
            told = refusal_of(error) or error
            if is_away and isinstance(error, psycopg.Error):
                told = unavailable(error)
            for _, future in batch:
                if not future.done():
                    future.set_exception(told)
            return
        middle = len(batch) // 2
        await self._send(batch[:middle])
        await self._send(batch[middle:])
