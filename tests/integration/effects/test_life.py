"""The life of an effect, from ``run.act`` to what is kept of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.acting import ActingEngine, act_once


@pytest.fixture
async def engine(login_url: str, tmp_path: Path) -> AsyncIterator[ActingEngine]:
    async with ActingEngine(login_url, tmp_path) as running:
        running.handles("act", act_once)
        yield running


async def test_what_is_allowed_is_done_recorded_and_verified(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ()
    await engine.work()
    ended = await engine.ended(await engine.act())
    assert ended["state"] == "completed", [e["message"] for e in ended["errors"]]
    assert ended["result"]["state"] == "verified"
    effect = await engine.effects.get(engine.organization_id, ended["result"]["effect_id"])
    assert (tmp_path / "file").read_text() == f"{effect.id} hello\n"
    moves = await engine.effects.history(engine.organization_id, effect.id)
    assert [move.state for move in moves] == ["proposed", "executing", "applied", "verified"]
