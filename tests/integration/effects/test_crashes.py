"""A worker dies at each boundary of an effect's life: the effect is done once, or a person is asked; never twice."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.acting import PERSON, ActingEngine, StopAt, act_once

ROOT = Path(__file__).parents[3]

BOUNDARIES = (
    "observe", "propose:unjournaled", "propose:journaled", "before", "after", "verify", "apply:unjournaled",
    "apply:journaled",
)  # fmt: skip

pytestmark = [pytest.mark.durability, pytest.mark.timeout(60)]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def crashed(stack: AsyncExitStack, url: str, folder: Path, boundary: str, tool: str) -> tuple[ActingEngine, str]:
    """Return an engine and a task whose first worker died at a boundary; another worker has taken over."""
    stop = StopAt(boundary)
    engine = await stack.enter_async_context(ActingEngine(url, folder, stop))
    engine.handles("act", act_once)
    await engine.employ()
    victim = await engine.work()
    stop.watch(victim)
    task = await engine.act(tool)
    await stop.reached.wait()
    await engine.crash(victim)
    await engine.work()
    return engine, task


def times_done(folder: Path, effect_id: str) -> int:
    path = folder / "file"
    return sum(line.startswith(effect_id) for line in path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("tool", ["folder.append", "folder.replace"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_what_can_be_found_out_is_done_exactly_once(
    stack: AsyncExitStack, login_url: str, tmp_path: Path, boundary: str, tool: str
) -> None:
    engine, task = await crashed(stack, login_url, tmp_path, boundary, tool)
    ended = await engine.ended(task)
    assert (ended["state"], ended["result"]["state"], ended["recoveries"]) == ("completed", "verified", 1)
    effect = await engine.effect_of(task)
    assert ended["result"]["effect_id"] == effect.id
    assert times_done(tmp_path, effect.id) == 1
    assert await engine.audited(effect.id) == ["effect.applied"]
    called_again = boundary == "before" or (boundary == "after" and tool == "folder.replace")
    assert effect.calls == (2 if called_again else 1)
    states = await engine.states(effect.id)
    assert states == ["proposed", *["executing"] * effect.calls, "applied", "verified"]
    assert len((await engine.effects.list(engine.organization_id)).items) == 1


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_what_nobody_can_find_out_waits_for_a_person(
    stack: AsyncExitStack, login_url: str, tmp_path: Path, boundary: str
) -> None:
    engine, task = await crashed(stack, login_url, tmp_path, boundary, "folder.blind")
    if boundary not in ("before", "after"):
        assert (await engine.ended(task))["result"]["state"] == "verified"
        assert times_done(tmp_path, (await engine.effect_of(task)).id) == 1
        return
    await engine.reaches_wait(task, "effect.settled")
    effect = await engine.effect_of(task)
    assert (effect.state, effect.calls) == ("unknown", 1)
    assert "nobody can tell" in (effect.problem or "")
    told = "applied" if times_done(tmp_path, effect.id) else "failed"
    await engine.effects.settle_unknown(
        engine.organization_id, effect.id, told, actor=PERSON, reason="I looked into the folder"
    )
    ended = await engine.ended(task)
    assert ended["result"]["state"] == told
    assert times_done(tmp_path, effect.id) == (1 if boundary == "after" else 0)
    assert await engine.states(effect.id) == ["proposed", "executing", "unknown", told]
    assert await engine.audited(effect.id) == ["effect.unknown", "effect.settled"]


async def test_a_worker_that_dies_while_people_think_loses_nothing(
    stack: AsyncExitStack, login_url: str, tmp_path: Path
) -> None:
    engine = await stack.enter_async_context(ActingEngine(login_url, tmp_path))
    engine.handles("act", act_once)
    await engine.employ(level=2)
    victim = await engine.work()
    task = await engine.act()
    approval = await engine.asked(task)
    await engine.crash(victim)
    await engine.answer(approval)
    await engine.work()
    ended = await engine.ended(task)
    assert (ended["result"]["state"], times_done(tmp_path, approval.effect_id)) == ("verified", 1)


async def test_a_worker_that_wakes_too_late_writes_nothing(
    stack: AsyncExitStack, login_url: str, tmp_path: Path
) -> None:
    """The call of a worker that was taken for dead is under way when another begins: its word counts no more."""
    stop = StopAt("after")
    engine = await stack.enter_async_context(ActingEngine(login_url, tmp_path, stop))
    engine.handles("act", act_once)
    await engine.employ()
    await engine.work()
    task = await engine.act("folder.append")
    await stop.reached.wait()
    effect = await engine.effect_of(task)
    # Taken away as the reaper does it, while the first worker goes on.
    await engine.inspector.execute(
        "update tasks set fence = fence + 1, worker_id = null, state = 'available' where id = %s", (task,)
    )
    ended = await engine.ended(task)
    assert (ended["result"]["state"], times_done(tmp_path, effect.id)) == ("verified", 1)
    assert await engine.audited(effect.id) == ["effect.applied"]


@pytest.mark.parametrize("boundary", ["propose:unjournaled", "before", "after", "verify", "apply:unjournaled"])
async def test_a_process_that_is_killed_there_changes_nothing_of_that(
    stack: AsyncExitStack, login_url: str, tmp_path: Path, boundary: str
) -> None:
    """The same with SIGKILL: the lease lapses by itself, another process takes over."""
    engine = await stack.enter_async_context(ActingEngine(login_url, tmp_path, lease_seconds=1.0))
    engine.handles("act", act_once)
    await engine.employ()
    task = await engine.act("folder.append")
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.acting_process", login_url, str(tmp_path), boundary, cwd=ROOT
    )
    assert await victim.wait() == -signal.SIGKILL
    await engine.work()
    ended = await engine.ended(task, seconds=30)
    assert (ended["result"]["state"], ended["recoveries"]) == ("verified", 1)
    effect = await engine.effect_of(task)
    assert times_done(tmp_path, effect.id) == 1
    assert await engine.audited(effect.id) == ["effect.applied"]
