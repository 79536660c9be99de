"""Group commit without a task of its own: whoever comes first writes, or reads, for all who wait."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gathering(Generic[Item, Answer]):
    """Collects what arrives while a call is under way and sends it as the next one.

    Unlike a ``Batcher`` it needs no start and no end, so an extension, which is
    registered but never told to stop, can hold one. A batch that fails is sent
    again one by one, so that nobody suffers for another's item.
    """

    def __init__(self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, max_batch: int = 500) -> None:
        self._send = send
        self._max_batch = max_batch
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._turn = asyncio.Lock()

    async def put(self, item: Item) -> Answer:
        """Hand over one item; return its answer once the call that carried it is through."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answered))
        async with self._turn:
            # Cancelled leaders leave their followers unanswered: the next in turn sends them.
            while not answered.done():
                await self._send_next()
        return await answered

    async def _send_next(self) -> None:
        batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
        try:
            answers = await self._send([item for item, _ in batch])
        except asyncio.CancelledError:
            self._waiting = batch + self._waiting
            raise
        except Exception:  # noqa: BLE001 - told to whoever it concerns, below
            for item, answered in batch:
                await self._send_alone(item, answered)
        else:
            for (_, answered), answer in zip(batch, answers, strict=True):
                if not answered.done():
                    answered.set_result(answer)

    async def _send_alone(self, item: Item, answered: "asyncio.Future[Answer]") -> None:
        try:
            answers = await self._send([item])
        except Exception as error:  # noqa: BLE001 - as above
            if not answered.done():
                answered.set_exception(error)
        else:
            if not answered.done():
                answered.set_result(answers[0])
