"""Many workers at once, in one process and in several, and what is left when one of them dies."""

import asyncio
import sys
from contextlib import suppress
from decimal import Decimal

from bailiwick.audit import AuditLog
from bailiwick.authority.budgets import Budgets
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from tests.integration.authority.budgets.conftest import NOON, Purse, log_of

_PROGRAM = """
import asyncio, random, sys
from decimal import Decimal
from bailiwick.audit import AuditLog
from bailiwick.authority.budgets import Budgets
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from tests.integration.authority.budgets.conftest import NOON, log_of

async def main(url, organization, agents, seed):
    chance = random.Random(seed)
    database = Database(url, max_connections=6)
    await database.open()
    budgets = Budgets(database, log_of(database), AuditLog(database))
    async def one():
        for _ in range(10):
            key, amount = new_id(), Decimal(chance.randint(1, 9)) / 4
            made = await budgets.reserve(organization, agent_id=chance.choice(agents), task_id=new_id(), unit="money",
                                         amount=amount, key=key, is_approved=chance.random() < 0.7, now=NOON)
            if made.state == "ok" and chance.random() < 0.3:
                await budgets.release(organization, key, now=NOON)
            elif made.state == "ok" and chance.random() < 0.6:
                await budgets.settle(organization, key, amount / 2, now=NOON)
    await asyncio.gather(*(one() for _ in range(6)))
    await database.close()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3].split(","), int(sys.argv[4])))
"""


async def test_many_connections_never_pass_the_stop(purse: Purse, database_url: str) -> None:
    await purse.set("daily", "10", "0.8:tell", "1:ask", "1.2:stop")
    crowd = Database(database_url, max_connections=16)
    await crowd.open()
    budgets = Budgets(crowd, log_of(crowd), AuditLog(crowd))

    async def take(is_approved: bool) -> str:
        made = await budgets.reserve(
            purse.organization_id, agent_id=None, task_id=None, unit="money", amount=Decimal("0.7"), key=new_id(),
            is_approved=is_approved, now=NOON,
        )  # fmt: skip
        return made.state

    states = await asyncio.gather(*(take(number % 2 == 0) for number in range(60)))
    await crowd.close()
    # 17 times 0.7 is 11.9; the eighteenth would pass 12.
    assert states.count("ok") == 17
    assert await purse.used("daily") == (Decimal("11.9"), 0)
    assert sorted(one["do"] for one in await purse.told()) == ["ask", "stop", "tell"]


async def test_one_key_reserved_by_many_at_once_counts_once(purse: Purse) -> None:
    for name in (None, "daily"):
        if name is not None:
            await purse.set(name, "10")
        key = new_id()
        made = await asyncio.gather(*(purse.reserve("3", key) for _ in range(12)))
        assert {one.state for one in made} == {"ok"}
    # What was reserved before there was a budget counts too.
    assert await purse.used("daily") == (6, 0)


async def test_several_processes_never_pass_the_stop_and_nothing_is_lost(purse: Purse, database_url: str) -> None:
    agents = [new_id() for _ in range(3)]
    await purse.set("daily", "40", "0.8:tell", "1:ask", "1.2:stop")
    await purse.set("each-agent", "15", "1:stop", scope="agent")
    await purse.set("first", "8", "1:stop", scope="agent", subject=agents[0])
    programs = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, database_url, purse.organization_id, ",".join(agents), str(seed),
            stderr=asyncio.subprocess.PIPE,
        )
        for seed in range(3)
    ]  # fmt: skip
    for program in programs:
        _, err = await program.communicate()
        assert program.returncode == 0, err.decode()
    for account in await purse.budgets.accounts(purse.organization_id, now=NOON):
        stop = Decimal("1.2") if account.budget == "daily" else Decimal(1)
        assert account.used <= stop * account.amount
        sums = await purse.rows(
            "select coalesce(sum(r.reserved) filter (where r.state = 'reserved'), 0) as reserved, "
            "coalesce(sum(r.settled), 0) as settled from budget_holds h join budget_reservations r "
            "using (organization_id, key) join budgets b on b.id = h.budget_id where b.name = %s and h.holder = %s",
            account.budget, account.holder,
        )  # fmt: skip
        assert (account.reserved, account.settled) == (sums[0]["reserved"], sums[0]["settled"])
    settled = await purse.rows("select coalesce(sum(settled), 0) as total from budget_reservations")
    assert await purse.spend_of(purse.organization_id) == settled[0]["total"]


async def test_a_budget_that_is_set_amid_a_crowd_misses_nothing(purse: Purse) -> None:
    async def spend() -> None:
        for _ in range(8):
            await purse.reserve("1")

    await asyncio.gather(spend(), spend(), purse.set("daily", "1000"), spend(), purse.set("monthly", "1000"), spend())
    assert await purse.used("daily") == (32, 0)


async def test_what_a_dead_run_left_is_ended_by_what_its_effect_became(purse: Purse) -> None:
    await purse.set("daily", "100")
    states = {
        "applied": "settled", "verified": "settled", "refuted": "settled", "unverifiable": "settled",
        "reverted": "settled", "failed": "released", "declined": "released", "proposed": "released",
        "waiting": "released", "executing": "reserved", "unknown": "reserved",
    }  # fmt: skip
    effects = {state: new_id() for state in states}
    for state, effect_id in effects.items():
        await purse.effect(effect_id, state)
        await purse.reserve("2", f"effect:{effect_id}", task_id=new_id())
    await purse.reserve("2", "a call without an effect", task_id=new_id())
    assert await purse.budgets.sweep() == {"settled": 5, "released": 4}
    assert await purse.budgets.sweep() == {"settled": 0, "released": 0}
    found = {
        row["key"]: row["state"]
        for row in await purse.rows("select key, state from budget_reservations")
    }  # fmt: skip
    assert {state: found[f"effect:{effect_id}"] for state, effect_id in effects.items()} == states
    assert found["a call without an effect"] == "reserved"
    assert await purse.used("daily") == (6, 10)
    assert {one.key for one in await purse.budgets.held(purse.organization_id, name="daily")} == {
        f"effect:{effects['executing']}", f"effect:{effects['unknown']}", "a call without an effect",
    }  # fmt: skip


async def test_what_a_living_run_proposes_stays_reserved(purse: Purse) -> None:
    task, effect_id = new_id(), new_id()
    await purse.rows(
        "insert into tasks (id, organization_id, kind, state, priority, payload) "
        "values (%s, %s, 'note.keep', 'waiting', 2, '{}')", task, purse.organization_id,
    )  # fmt: skip
    await purse.effect(effect_id, "proposed", task_id=task)
    await purse.reserve("2", f"effect:{effect_id}", task_id=task)
    assert await purse.budgets.sweep() == {"settled": 0, "released": 0}


async def test_a_transaction_that_fails_reserves_nothing_and_tells_nothing(purse: Purse) -> None:
    await purse.set("daily", "10")

    with suppress(ZeroDivisionError):
        async with purse.database.transaction(purse.organization_id) as connection:
            assert (await purse.reserve("9", "a", connection=connection)).state == "ok"
            raise ZeroDivisionError
    assert await purse.used("daily") == (0, 0)
    assert await purse.told() == []
