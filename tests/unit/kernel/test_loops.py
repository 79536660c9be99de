"""Ending background loops."""

import asyncio

import pytest

from bailiwick.kernel import loops


async def test_a_loop_that_loses_a_cancellation_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_AGAIN_SECONDS", 0.001)
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    loop = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await loops.end(loop)
    assert (lost, loop.cancelled()) == (2, True)


async def test_what_a_loop_ended_with_is_dropped_and_none_is_no_loop() -> None:
    async def broken() -> None:
        raise ValueError("broken")

    loop = asyncio.create_task(broken())
    await asyncio.sleep(0)
    await loops.end(loop)
    await loops.end()
    assert loop.done()
