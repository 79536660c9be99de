"""Reserving before a call and settling after it."""

from decimal import Decimal

import pytest

from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.kernel.ids import new_id
from tests.integration.authority.budgets.conftest import Purse


async def test_what_is_reserved_is_settled_at_what_it_cost(purse: Purse) -> None:
    await purse.set("daily", "10")
    assert (await purse.reserve("4", "a")).state == "ok"
    assert await purse.used("daily") == (4, 0)
    await purse.settle("a", "3.25")
    assert await purse.used("daily") == (0, Decimal("3.25"))
    assert await purse.spend_of(purse.organization_id) == Decimal("3.25")


async def test_the_same_key_reserves_once(purse: Purse) -> None:
    await purse.set("daily", "10")
    for _ in range(3):
        assert (await purse.reserve("4", "a")).state == "ok"
    assert await purse.used("daily") == (4, 0)
    with pytest.raises(ConflictError, match="key of its own"):
        await purse.reserve("5", "a")


async def test_what_is_released_is_there_again_and_counts_nowhere(purse: Purse) -> None:
    await purse.set("daily", "10")
    await purse.reserve("4", "a")
    for key in ("a", "a", "never"):
        await purse.release(key)
    assert await purse.used("daily") == (0, 0)
    assert await purse.spend_of(purse.organization_id) == 0


async def test_the_ladder_tells_asks_and_stops(purse: Purse) -> None:
    await purse.set("daily", "10")
    assert (await purse.reserve("8")).state == "ok"
    assert (await purse.reserve("2")).state == "ok"
    asked = await purse.reserve("1")
    assert (asked.state, asked.budget, asked.answer.rung) == ("ask", "daily", "daily:ask")
    assert await purse.used("daily") == (10, 0)
    assert (await purse.reserve("2", is_approved=True)).state == "ok"
    denied = await purse.reserve("0.000001", is_approved=True)
    assert (denied.state, denied.answer.rung) == ("deny", "daily:stop")
    assert "120 % of the budget 'daily' (12 of 10 used or reserved)" in denied.reason
    assert [one["do"] for one in await purse.told()] == ["tell", "ask", "stop"]


async def test_it_is_reserved_in_every_budget_or_in_none(purse: Purse) -> None:
    agent, run = new_id(), new_id()
    await purse.set("all", "10")
    await purse.set("each-agent", "5", scope="agent")
    await purse.set("each-run", "2", "1:stop", scope="run")
    assert (await purse.reserve("2", agent_id=agent, task_id=run)).state == "ok"
    refused = await purse.reserve("1", agent_id=agent, task_id=run)
    assert (refused.state, refused.budget) == ("deny", "each-run")
    assert await purse.used("all") == await purse.used("each-agent") == await purse.used("each-run") == (2, 0)
    assert (await purse.reserve("2", agent_id=new_id(), task_id=new_id())).state == "ok"
    assert await purse.used("all") == (4, 0)


async def test_nothing_is_settled_that_was_not_reserved(purse: Purse) -> None:
    with pytest.raises(NotFoundError, match="reserve before the call"):
        await purse.settle("never", "1")
