"""Journals recorded before a change of the engine or of a handler still fit it afterwards."""

import json
from typing import Any

import pytest

from bailiwick.events import NewEvent
from bailiwick.tasks import Run
from tests.support import sample_handlers
from tests.support.engine import AnyPayload, Engine
from tests.support.replay import FOLDER, load, replayed

_HANDLERS = {"order": sample_handlers.order, "ask supplier": sample_handlers.ask_supplier}
_RECORDED = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", _RECORDED)
async def test_a_recorded_journal_replays_to_its_result_without_doing_anything(name: str) -> None:
    recorded = load(name)
    found = await replayed(recorded, _HANDLERS[recorded.task.kind])
    assert (found.outcome, found.agreed, found.is_cut) == ("same", len(recorded.steps), False)


async def renamed(run: Run, payload: AnyPayload) -> Any:
    for item in payload.items:
        await run.step(f"cost {item}", len, item)


async def reordered(run: Run, payload: AnyPayload) -> Any:
    asked = [await run.spawn("ask supplier", {"item": item}) for item in payload.items]
    return await run.gather(asked)


async def shortened(run: Run, payload: AnyPayload) -> Any:
    await run.step(f"price {payload.items[0]}", len, payload.items[0])
    return await run.wait_for("order.paid", key=run.task.id)


@pytest.mark.parametrize(("broken", "at"), [(renamed, 0), (reordered, 0), (shortened, 1)])
async def test_a_change_of_the_path_is_caught(broken: Any, at: int) -> None:
    found = await replayed(load("order_paid"), broken)
    assert (found.outcome, found.seq) == ("diverged", at)


async def test_work_behind_the_end_of_the_journal_is_caught() -> None:
    async def longer(run: Run, payload: AnyPayload) -> None:
        await sample_handlers.order(run, payload)
        await run.step("send a card", str)

    found = await replayed(load("order_paid"), longer)
    assert found.outcome == "diverged"
    assert "the handler asks for step 'send a card'" in found.detail


async def test_the_engine_still_writes_journals_like_the_recorded_ones(engine: Engine) -> None:
    """Else replaying old ones proves nothing. ``record`` below made the files."""
    for name, pays in (("order_paid", True), ("order_lapsed", False)):
        recorded = load(name)
        fresh = await record(engine, pays=pays)
        assert [(step["kind"], step["name"]) for step in fresh["steps"]] == [
            (step.kind, step.name) for step in recorded.steps
        ]
        assert json.dumps(fresh["result"], sort_keys=True) == json.dumps(recorded.result, sort_keys=True)


async def record(engine: Engine, *, pays: bool) -> dict[str, Any]:
    """Run the sample order on the engine and return its journal as the files hold it."""
    if not engine.workers:
        engine.knows("order.priced", "order.paid")
        engine.handles("order", sample_handlers.order)
        engine.handles("ask supplier", sample_handlers.ask_supplier)
        await engine.work()
    task = await engine.add("order", {"items": ["rye", "spelt"]})
    row = await engine.reaches_wait(task, "order.paid")
    if pays:
        await engine.events.publish(engine.organization_id, [NewEvent("order.paid", {"by": "card"}, key=task)])
    else:
        await engine.inspector.execute("update tasks set run_at = now() where id = %s", (row["id"],))
    ended = await engine.ended(task)
    steps = [{name: step[name] for name in ("kind", "name", "result")} for step in await engine.steps(task)]
    return {
        "kind": "order", "task_id": task, "payload": ended["payload"], "steps": steps, "result": ended["result"],
    }  # fmt: skip
