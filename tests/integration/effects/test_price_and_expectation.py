"""What an effect costs and what is expected of it move with it, in the same transactions."""

from decimal import Decimal
from typing import Any

from bailiwick.authority.budgets import NewBudget
from bailiwick.effects import Verdict
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Effect, Expectation
from tests.support.acting import PERSON, ActingEngine, FolderTool
from tests.support.engine import AnyPayload


def priced(engine: ActingEngine, amount: str) -> None:
    tool = engine.tools.get("folder.append")
    assert isinstance(tool, FolderTool)
    tool.cost = Decimal(amount)


async def accounts(engine: ActingEngine) -> list[tuple[Decimal, Decimal]]:
    return [(one.reserved, one.settled) for one in await engine.budgets.accounts(engine.organization_id)]


async def limited(engine: ActingEngine, amount: str) -> None:
    wanted = NewBudget("daily", "organization", "money", Decimal(amount), "day")
    await engine.budgets.set(engine.organization_id, wanted, actor=PERSON)


async def test_what_is_done_is_spent(engine: ActingEngine) -> None:
    priced(engine, "2.5")
    await engine.employ()
    await limited(engine, "100")
    await engine.work()
    assert (await engine.ended(await engine.act()))["result"]["state"] == "verified"
    assert await accounts(engine) == [(Decimal(0), Decimal("2.5"))]


async def test_what_people_refuse_is_not_spent(engine: ActingEngine) -> None:
    priced(engine, "2.5")
    await engine.employ(level=2)
    await limited(engine, "100")
    await engine.work()
    task = await engine.act()
    await engine.answer(await engine.asked(task), "reject")
    await engine.ended(task)
    assert sum(sum(one) for one in await accounts(engine)) == 0


async def test_beyond_a_stop_nothing_is_spent_whatever_people_say(engine: ActingEngine) -> None:
    priced(engine, "2.5")
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    approval = await engine.asked(task)
    await limited(engine, "1")
    await engine.answer(approval)
    ended = await engine.ended(task)
    assert ended["result"]["state"] == "declined"
    assert "daily" in ended["result"]["reason"]
    assert (await engine.effect_of(task)).calls == 0


async def test_what_is_expected_gives_the_verdict_later(engine: ActingEngine) -> None:
    async def expecting(run: Run, payload: AnyPayload) -> dict[str, Any]:
        expectation = Expectation("no.such.check", "the line is still there", 3600, {"name": "file"})
        acted = await run.act(
            Effect("folder.append", {"name": "file", "text": "kept"}, "a test wants it", expectation=expectation)
        )
        return {"state": acted.state}

    engine.handles("expecting", expecting)
    await engine.employ()
    await engine.work()
    ended = await engine.ended(await engine.add("expecting", agent_id=engine.agent_id))
    assert ended["result"] == {"state": "applied"}
    effect = await engine.effect_of(ended["id"])
    assert [seen["outcome"] for seen in effect.evidence] == ["verified"]
    [outcome] = await engine.inspector.fetch_all("select * from outcomes where effect_id = %s", (effect.id,))
    assert (outcome["state"], outcome["claim"], outcome["arguments"]) == (
        "pending", "the line is still there", {"name": "file"},
    )  # fmt: skip
    timer = await engine.inspector.fetch_one("select kind, run_at > now() as is_later from tasks where id = %s",
                                             (outcome["id"],))  # fmt: skip
    assert timer == {"kind": "outcome.check", "is_later": True}
    async with engine.database.transaction(engine.organization_id) as connection:
        assert await engine.effects.settle(effect.id, Verdict("refuted", {"lines": 0}), connection=connection)
    assert (await engine.effect_of(ended["id"])).state == "refuted"
