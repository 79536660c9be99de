"""Reads that cost nothing: recorded as everything is, in two transactions, and never a person's trouble."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.acting import ActingEngine, FolderTool, StopAt, act_once

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.mark.durability
@pytest.mark.parametrize("boundary", ["propose:unjournaled", "propose:journaled", "before", "verify"])
async def test_where_it_was_interrupted_it_is_read_again_whatever_the_tool_says(
    stack: AsyncExitStack, login_url: str, tmp_path: Path, boundary: str
) -> None:
    stop = StopAt(boundary)
    engine = await stack.enter_async_context(ActingEngine(login_url, tmp_path, stop))
    engine.handles("act", act_once)
    await engine.employ()
    victim = await engine.work()
    stop.watch(victim)
    task = await engine.act("folder.glance")
    await stop.reached.wait()
    await engine.crash(victim)
    await engine.work()
    ended = await engine.ended(task)
    assert (ended["state"], ended["result"]["result"]) == ("completed", {"lines": 0})
    effect = await engine.effect_of(task)
    assert await engine.audited(effect.id) == ["effect.applied"]
    assert len((await engine.effects.list(engine.organization_id)).items) == 1


async def test_it_begins_as_it_is_proposed_and_is_judged_as_it_ends(engine: ActingEngine) -> None:
    await engine.employ()
    await engine.work()
    await engine.ended(await engine.act("folder.glance"))
    moves = await engine.inspector.fetch_all("select state, xmin::text as by from effect_moves order by seq")
    assert [move["state"] for move in moves][:3] == ["proposed", "executing", "applied"]
    assert moves[0]["by"] == moves[1]["by"] != moves[2]["by"] == moves[3]["by"]


async def test_one_that_costs_something_is_not_begun_before_it_is_proposed(engine: ActingEngine) -> None:
    """What it costs must be reserved for good before anything is called."""
    tool = engine.tools.get("folder.glance")
    assert isinstance(tool, FolderTool)
    tool.cost = Decimal(1)
    await engine.employ()
    await engine.work()
    await engine.ended(await engine.act("folder.glance"))
    moves = await engine.inspector.fetch_all("select state, xmin::text as by from effect_moves order by seq")
    assert moves[0]["by"] != moves[1]["by"]
