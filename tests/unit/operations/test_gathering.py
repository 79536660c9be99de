"""Group commit: calls share a batch, and nobody suffers for another's item."""

import asyncio
from collections.abc import Sequence

import pytest

from bailiwick.packs.operations.gathering import Gathering


class Recorder:
    """Doubles numbers, refuses negative ones, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.gate.wait()
        if any(item < 0 for item in items):
            raise ValueError(f"negative in {list(items)}")
        return [2 * item for item in items]


async def test_what_arrives_meanwhile_travels_together() -> None:
    recorder = Recorder()
    gathering = Gathering(recorder.send)
    recorder.gate.clear()
    first = asyncio.create_task(gathering.put(1))
    await asyncio.sleep(0)
    others = [asyncio.create_task(gathering.put(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert recorder.batches == [[1], [2, 3, 4]]


async def test_one_bad_item_fails_alone() -> None:
    recorder = Recorder()
    gathering = Gathering(recorder.send)
    answers = await asyncio.gather(*(gathering.put(number) for number in (1, -1, 2)), return_exceptions=True)
    assert answers[0] == 2
    assert isinstance(answers[1], ValueError)
    assert answers[2] == 4


async def test_a_cancelled_leader_leaves_nobody_behind() -> None:
    recorder = Recorder()
    gathering = Gathering(recorder.send)
    recorder.gate.clear()
    leader = asyncio.create_task(gathering.put(1))
    await asyncio.sleep(0)
    follower = asyncio.create_task(gathering.put(2))
    await asyncio.sleep(0)
    leader.cancel()
    recorder.gate.set()
    assert await follower == 4
    with pytest.raises(asyncio.CancelledError):
        await leader


async def test_batches_keep_to_their_size() -> None:
    recorder = Recorder()
    gathering = Gathering(recorder.send, max_batch=3)
    assert await asyncio.gather(*(gathering.put(number) for number in range(10))) == [2 * n for n in range(10)]
    assert max(len(batch) for batch in recorder.batches) <= 3
