"""Effects whose run is over are ended, too: declined, found, or left to a person."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bailiwick.effects.orphans import Orphans
from tests.support.acting import ActingEngine, StopAt, act_once


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def cancelled_at(stack: AsyncExitStack, url: str, folder: Path, *, boundary: str, tool: str) -> ActingEngine:
    """Return an engine whose only task was cancelled while its effect was at a boundary."""
    stop = StopAt(boundary)
    engine = await stack.enter_async_context(ActingEngine(url, folder, stop))
    engine.handles("act", act_once)
    await engine.employ()
    worker = await engine.work()
    stop.watch(worker)
    task = await engine.act(tool)
    await stop.reached.wait()
    await engine.control.cancel(engine.organization_id, [task])
    await engine.crash(worker)
    return engine


@pytest.mark.parametrize(
    ("boundary", "tool", "expected"),
    [
        ("propose:journaled", "folder.append", "declined"),
        ("before", "folder.append", "failed"),
        ("after", "folder.append", "applied"),
        ("before", "folder.blind", "unknown"),
        ("after", "folder.replace", "unknown"),
        ("verify", "folder.append", "verified"),
        ("propose:journaled", "folder.glance", "failed"),
        ("before", "folder.glance", "failed"),
    ],
)
async def test_what_no_run_takes_up_again_is_ended(
    stack: AsyncExitStack, login_url: str, tmp_path: Path, *, boundary: str, tool: str, expected: str
) -> None:
    engine = await cancelled_at(stack, login_url, tmp_path, boundary=boundary, tool=tool)
    orphans = Orphans(engine.database, engine.tools, engine.effects.moves)
    # As if the time in which its call may be under way were over.
    await engine.inspector.execute("update effects set called_at = called_at - interval '1 minute'")
    assert await orphans.sweep(engine.organization_id) == {expected: 1}
    [effect] = (await engine.effects.list(engine.organization_id)).items
    assert effect.state == expected
    audited = await engine.audited(effect.id)
    assert audited == ([] if expected == "declined" else ["effect.applied"] if expected == "verified"
                       else [f"effect.{expected}"])  # fmt: skip
    later = await orphans.sweep(engine.organization_id)
    assert later == ({"verified": 1} if expected == "applied" else {})


async def test_a_call_that_may_be_under_way_is_left_alone(
    stack: AsyncExitStack, login_url: str, tmp_path: Path
) -> None:
    engine = await cancelled_at(stack, login_url, tmp_path, boundary="before", tool="folder.append")
    orphans = Orphans(engine.database, engine.tools, engine.effects.moves)
    await engine.inspector.execute("update effects set called_at = called_at + interval '1 minute'")
    assert await orphans.sweep(engine.organization_id) == {}


async def test_an_approval_nobody_needs_any_more_asks_nobody(engine: ActingEngine) -> None:
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    approval = await engine.asked(task)
    await engine.control.cancel(engine.organization_id, [task])
    orphans = Orphans(engine.database, engine.tools, engine.effects.moves)
    assert await orphans.sweep(engine.organization_id) == {"declined": 1}
    assert (await engine.approvals.get(engine.organization_id, approval.id)).state == "stale"


async def test_the_effects_of_living_runs_are_not_touched(engine: ActingEngine) -> None:
    await engine.employ(level=2)
    await engine.work()
    await engine.asked(await engine.act())
    assert await Orphans(engine.database, engine.tools, engine.effects.moves).sweep(engine.organization_id) == {}
