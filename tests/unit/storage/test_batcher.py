"""Group commit: everyone is answered once, with the right answer, whatever happens on the way."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import DatabaseUnavailableError, DiskFullError
from bailiwick.storage.batching import Batcher


class Poisoned(Exception):
    """A row that the database refuses for its content."""


class Recorder:
    """A flush that doubles numbers, notes every batch, and fails as it is told."""

    def __init__(self, *failures: BaseException, poison: frozenset[int] = frozenset()) -> None:
        self.batches: list[list[int]] = []
        self.failures = list(failures)
        self.poison = poison
        self.is_called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.is_called.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.poison & set(items):
            raise Poisoned(str(sorted(self.poison & set(items))))
        return [item * 2 for item in items]


async def with_batcher(
    flush: Callable[[list[int]], Awaitable[list[int]]],
    work: Callable[[Batcher[int, int]], Awaitable[None]],
    *,
    max_batch: int = 500,
    patience_seconds: float | None = None,
) -> None:
    batcher = Batcher(flush, max_batch=max_batch, patience_seconds=patience_seconds)
    batcher.start()
    await work(batcher)
    await batcher.close()


async def test_what_arrives_during_a_flush_travels_together_and_in_order() -> None:
    recorder = Recorder()
    recorder.gate.clear()

    async def work(batcher: Batcher[int, int]) -> None:
        callers = [asyncio.create_task(batcher.put(n)) for n in range(1)]
        await recorder.is_called.wait()
        callers += [asyncio.create_task(batcher.put(n)) for n in range(1, 8)]
        await asyncio.sleep(0)
        recorder.gate.set()
        assert await asyncio.gather(*callers) == [n * 2 for n in range(8)]

    await with_batcher(recorder, work, max_batch=5)
    assert recorder.batches == [[0], [1, 2, 3, 4, 5], [6, 7]]


@given(count=st.integers(1, 60), poison=st.frozensets(st.integers(0, 59)), max_batch=st.integers(1, 40))
def test_a_refused_row_is_told_to_its_own_caller_only(count: int, poison: frozenset[int], max_batch: int) -> None:
    async def check() -> None:
        recorder = Recorder(poison=poison)

        async def work(batcher: Batcher[int, int]) -> None:
            answers = await asyncio.gather(*[batcher.put(n) for n in range(count)], return_exceptions=True)
            for n, answer in enumerate(answers):
                assert isinstance(answer, Poisoned) if n in poison else answer == n * 2

        await with_batcher(recorder, work, max_batch=max_batch)

    asyncio.run(check())


async def test_a_lost_connection_is_waited_out_by_those_whose_work_is_done() -> None:
    recorder = Recorder(psycopg.OperationalError("gone"), DatabaseUnavailableError("refused"))

    async def work(batcher: Batcher[int, int]) -> None:
        assert await asyncio.gather(*[batcher.put(n) for n in range(3)]) == [0, 2, 4]

    await with_batcher(recorder, work)
    assert recorder.batches == [[0, 1, 2]] * 3


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), DatabaseUnavailableError("refused")])
async def test_callers_at_the_door_hear_of_an_absent_database_all_at_once(error: Exception) -> None:
    recorder = Recorder(*[error] * 1000)

    async def work(batcher: Batcher[int, int]) -> None:
        answers = await asyncio.gather(*[batcher.put(n) for n in range(100)], return_exceptions=True)
        assert all(isinstance(answer, DatabaseUnavailableError) for answer in answers)

    await with_batcher(recorder, work, patience_seconds=0.05)
    # Never halved: a batch of a hundred would else be patient two hundred times.
    assert set(map(len, recorder.batches)) == {100}


async def test_a_full_disk_is_told_at_once_at_the_door() -> None:
    recorder = Recorder(psycopg.errors.DiskFull("no space left"))

    async def work(batcher: Batcher[int, int]) -> None:
        with pytest.raises(DiskFullError):
            await batcher.put(1)

    await with_batcher(recorder, work, patience_seconds=30)
    assert len(recorder.batches) == 1


async def test_a_full_disk_is_waited_out_by_those_whose_work_is_done() -> None:
    recorder = Recorder(psycopg.errors.DiskFull("no space left"))

    async def work(batcher: Batcher[int, int]) -> None:
        assert await batcher.put(1) == 2

    await with_batcher(recorder, work)


async def test_answers_that_do_not_fit_the_items_fail_their_callers_and_nobody_else() -> None:
    async def flush(items: list[int]) -> list[int]:
        return [] if 13 in items else [item * 2 for item in items]

    async def work(batcher: Batcher[int, int]) -> None:
        with pytest.raises(ValueError, match="shorter"):
            await batcher.put(13)
        assert await batcher.put(1) == 2

    await with_batcher(flush, work)


async def test_a_cancelled_caller_disturbs_nobody() -> None:
    recorder = Recorder()
    recorder.gate.clear()

    async def work(batcher: Batcher[int, int]) -> None:
        callers = [asyncio.create_task(batcher.put(n)) for n in range(4)]
        await recorder.is_called.wait()
        callers[2].cancel()
        recorder.gate.set()
        answers = await asyncio.gather(*callers, return_exceptions=True)
        assert answers[:2] + answers[3:] == [0, 2, 6]
        assert isinstance(answers[2], asyncio.CancelledError)

    await with_batcher(recorder, work)


async def test_closing_writes_what_was_handed_in_and_refuses_what_comes_later() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder, max_batch=2)
    batcher.start()
    callers = [asyncio.create_task(batcher.put(n)) for n in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await asyncio.gather(*callers) == [0, 2, 4, 6, 8]
    await closing
    with pytest.raises(RuntimeError, match="closed"):
        await batcher.put(6)


async def test_aborting_answers_everyone_who_waits_even_those_under_way() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder, max_batch=2)
    batcher.start()
    callers = [asyncio.create_task(batcher.put(n)) for n in range(5)]
    await recorder.is_called.wait()
    batcher.abort()
    answers = await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 5)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)


async def test_many_items_come_back_in_order_and_the_first_error_is_raised() -> None:
    recorder = Recorder(poison=frozenset({7}))

    async def work(batcher: Batcher[int, int]) -> None:
        assert await batcher.put_many(range(5)) == [0, 2, 4, 6, 8]
        with pytest.raises(Poisoned):
            await batcher.put_many([5, 6, 7, 8])

    await with_batcher(recorder, work, max_batch=3)
