"""Runs whose effects cost money: reserved with the decision, settled with what came of it, once, whatever dies."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bailiwick.authority.budgets import NewBudget
from bailiwick.authority.budgets.model import parsed_rung
from bailiwick.kernel.errors import ConflictError
from tests.support.acting import PERSON, ActingEngine, FolderTool, StopAt, act_once

pytestmark = pytest.mark.timeout(60)


class Till:
    """An engine whose tools cost 2 a call, under a budget of 4 a day."""

    def __init__(self, engine: ActingEngine) -> None:
        self.engine = engine

    async def open(self, *rungs: str) -> None:
        await self.engine.employ()
        for tool in self.engine.tools.all():
            if isinstance(tool, FolderTool):
                tool.cost = Decimal(2)
        ladder = tuple(parsed_rung(rung) for rung in rungs)
        wanted = NewBudget("daily", "organization", "money", Decimal(4), "day", ladder=ladder)
        await self.engine.budgets.set(self.engine.organization_id, wanted, actor=PERSON)

    async def used(self) -> tuple[Decimal, Decimal]:
        accounts = await self.engine.budgets.accounts(self.engine.organization_id)
        return sum((one.reserved for one in accounts), Decimal(0)), sum((one.settled for one in accounts), Decimal(0))

    async def spend(self) -> Decimal:
        row = await self.engine.inspector.fetch_one(
            "select coalesce(sum(amount), 0) as total from usage_increments where resource = 'model_spend'"
        )
        assert row is not None
        return row["total"]

    async def acted(self, tool: str = "folder.append") -> dict[str, Any]:
        ended = await self.engine.ended(await self.engine.act(tool))
        assert ended["state"] == "completed", ended["errors"]
        return ended["result"]


@pytest.fixture
async def till(login_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    async with ActingEngine(login_url, tmp_path) as engine:
        engine.handles("act", act_once)
        yield Till(engine)


async def test_an_effect_is_settled_and_the_one_beyond_the_stop_is_declined_with_the_rung(till: Till) -> None:
    await till.open("1:stop")
    await till.engine.work()
    assert [(await till.acted())["state"] for _ in range(2)] == ["verified", "verified"]
    declined = await till.acted()
    assert declined["state"] == "declined"
    assert declined["reason"] == (
        "budget:daily:stop: 2 money more would pass 100 % of the budget 'daily' (4 of 4 used or reserved); "
        "from there on nothing more is spent"
    )
    assert (await till.used(), await till.spend()) == ((0, 4), 4)


async def test_beyond_the_rung_that_asks_a_person_decides_and_nothing_is_reserved_meanwhile(till: Till) -> None:
    await till.open("0.5:ask", "1:stop")
    await till.engine.work()
    await till.acted()
    task = await till.engine.act()
    approval = await till.engine.asked(task)
    assert await till.used() == (0, 2)
    await till.engine.answer(approval)
    assert (await till.engine.ended(task))["result"]["state"] == "verified"
    assert (await till.used(), await till.spend()) == ((0, 4), 4)


async def test_a_yes_does_not_pass_the_stop_that_was_reached_meanwhile(till: Till) -> None:
    await till.open("0.5:ask", "1:stop")
    await till.engine.work()
    await till.acted()
    tasks = [await till.engine.act() for _ in range(2)]
    for approval in [await till.engine.asked(task) for task in tasks]:
        await till.engine.answer(approval)
    results = [(await till.engine.ended(task))["result"] for task in tasks]
    assert sorted(result["state"] for result in results) == ["declined", "verified"]
    assert any("nothing more is spent" in result["reason"] for result in results)
    assert (await till.used(), await till.spend()) == ((0, 4), 4)


async def test_what_fails_gives_back_what_was_reserved(login_url: str, tmp_path: Path) -> None:
    async def refuse(boundary: str) -> None:
        if boundary == "before":
            raise ConflictError("the shelf is closed")

    async with ActingEngine(login_url, tmp_path, refuse) as engine:
        engine.handles("act", act_once)
        till = Till(engine)
        await till.open("1:stop")
        await engine.work()
        assert [(await till.acted())["state"] for _ in range(4)] == ["failed"] * 4
        assert (await till.used(), await till.spend()) == ((0, 0), 0)


@pytest.mark.durability
@pytest.mark.parametrize("boundary", ["propose:unjournaled", "propose:journaled", "before", "after", "apply:journaled"])
async def test_a_worker_that_dies_between_reserving_and_settling_counts_once(
    login_url: str, tmp_path: Path, boundary: str
) -> None:
    stop = StopAt(boundary)
    async with ActingEngine(login_url, tmp_path, stop) as engine:
        engine.handles("act", act_once)
        till = Till(engine)
        await till.open("1:stop")
        victim = await engine.work()
        stop.watch(victim)
        task = await engine.act()
        await stop.reached.wait()
        reserved, settled = await till.used()
        assert reserved + settled == 2
        await engine.crash(victim)
        await engine.work()
        assert (await engine.ended(task))["result"]["state"] == "verified"
        assert (await till.used(), await till.spend()) == ((0, 2), 2)
        assert await engine.budgets.sweep() == {"settled": 0, "released": 0}


@pytest.mark.durability
async def test_what_a_cancelled_run_reserved_is_given_back_by_the_sweep(login_url: str, tmp_path: Path) -> None:
    stop = StopAt("propose:journaled")
    async with ActingEngine(login_url, tmp_path, stop) as engine:
        engine.handles("act", act_once)
        till = Till(engine)
        await till.open("1:stop")
        victim = await engine.work()
        stop.watch(victim)
        task = await engine.act()
        await stop.reached.wait()
        await engine.crash(victim)
        await engine.control.cancel(engine.organization_id, [task], reason="not any more", actor=PERSON)
        assert await till.used() == (2, 0)
        assert await engine.budgets.sweep() == {"settled": 0, "released": 1}
        assert (await till.used(), await till.spend()) == ((0, 0), 0)
