"""Days, months and lives; what changes a budget; what the organization's quota says beside it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from bailiwick.audit import SYSTEM, AuditLog
from bailiwick.identity.quotas import Bound, Plans, Quotas
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id
from tests.integration.authority.budgets.conftest import NOON, Purse

_MIDNIGHT = datetime(2026, 3, 15, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)


async def test_a_day_ends_at_midnight_and_the_next_begins_at_nothing(purse: Purse) -> None:
    await purse.set("daily", "10", "1:stop")
    assert (await purse.reserve("10", "late", now=_MIDNIGHT - _MOMENT)).state == "ok"
    assert (await purse.reserve("1", now=_MIDNIGHT - _MOMENT)).state == "deny"
    assert (await purse.reserve("1", now=_MIDNIGHT)).state == "ok"
    # What is settled after midnight counts in the day in which it was reserved.
    await purse.settle("late", "7", now=_MIDNIGHT + timedelta(hours=3))
    assert await purse.used("daily", now=_MIDNIGHT - _MOMENT) == (0, 7)
    assert await purse.used("daily", now=_MIDNIGHT) == (1, 0)


async def test_a_day_in_a_zone_is_that_zones_day_also_when_clocks_change(purse: Purse) -> None:
    await purse.set("daily", "10", "1:stop", zone="Europe/Vienna")
    # The clocks of Vienna go forward on 2026-03-29: that day has 23 hours, from 23:00 to 22:00 UTC.
    begin, end = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)
    await purse.reserve("10", now=begin)
    assert (await purse.reserve("1", now=begin - _MOMENT)).state == "ok"
    assert (await purse.reserve("1", now=end - _MOMENT)).state == "deny"
    assert (await purse.reserve("1", now=end)).state == "ok"
    [account] = await purse.budgets.accounts(purse.organization_id, name="daily", now=begin)
    assert (account.began_at, account.ends_at) == (begin, end)


async def test_a_month_and_a_life(purse: Purse) -> None:
    run = new_id()
    await purse.set("monthly", "10", "1:stop", period="month")
    await purse.set("each-run", "5", "1:stop", scope="run")
    assert (await purse.reserve("5", task_id=run)).state == "ok"
    next_month = datetime(2026, 4, 1, tzinfo=UTC)
    assert (await purse.reserve("5.01", now=next_month - _MOMENT)).budget == "monthly"
    assert (await purse.reserve("1", task_id=run, now=next_month)).budget == "each-run"
    assert (await purse.reserve("10", now=next_month)).state == "ok"


async def test_a_rung_is_told_once_a_period(purse: Purse) -> None:
    await purse.set("daily", "10", "0.5:tell", "1:stop")
    for key in ("a", "b", "c"):
        await purse.reserve("6", key)
        await purse.release(key)
    assert len(await purse.told()) == 1
    await purse.reserve("6", now=_MIDNIGHT)
    assert [one["began_at"][:10] for one in await purse.told()] == ["2026-03-14", "2026-03-15"]
    assert (await purse.told())[0] | {"holder": "", "began_at": ""} == {
        "budget": "daily", "scope": "organization", "holder": "", "unit": "money", "period": "day", "began_at": "",
        "at": "0.5", "do": "tell", "line": "5", "limit": "10", "used": "6",
    }  # fmt: skip


async def test_what_cost_more_than_was_reserved_is_recorded_and_told(purse: Purse) -> None:
    await purse.set("daily", "10", "0.8:tell", "1:stop")
    await purse.reserve("2", "a")
    await purse.settle("a", "13")
    assert await purse.used("daily") == (0, 13)
    assert [one["do"] for one in await purse.told()] == ["tell", "stop"]
    assert (await purse.reserve("0.01")).state == "deny"
    assert (await purse.reserve("0")).state == "ok"


async def test_settling_again_corrects_and_what_was_released_may_have_cost_something(purse: Purse) -> None:
    await purse.set("daily", "10")
    await purse.reserve("4", "a")
    for amount in ("4", "4", "2.5"):
        await purse.settle("a", amount)
    await purse.release("a")
    assert await purse.used("daily") == (0, Decimal("2.5"))
    await purse.reserve("3", "b")
    await purse.release("b")
    await purse.settle("b", "3")
    assert await purse.used("daily") == (0, Decimal("5.5"))
    assert await purse.spend_of(purse.organization_id) == Decimal("5.5")


async def test_tokens_and_money_are_counted_apart(purse: Purse) -> None:
    await purse.set("tokens", "1000", "1:stop", unit="tokens")
    assert (await purse.reserve("1000", "t", unit="tokens")).state == "ok"
    assert (await purse.reserve("5000", unit="money")).state == "ok"
    await purse.settle("t", "900")
    assert await purse.spend_of(purse.organization_id) == 0


async def test_a_changed_amount_keeps_what_was_spent_and_other_changes_count_anew(purse: Purse) -> None:
    agent = new_id()
    await purse.set("limit", "10", "1:stop")
    await purse.reserve("8", "a", agent_id=agent)
    await purse.set("limit", "5", "1:stop")
    assert await purse.used("limit") == (8, 0)
    await purse.set("limit", "5", "1:stop", scope="agent")
    assert await purse.used("limit") == (8, 0)
    await purse.settle("a", "4", now=NOON)
    assert await purse.used("limit") == (0, 4)
    assert (await purse.reserve("2", agent_id=agent)).state == "deny"
    await purse.budgets.remove(purse.organization_id, "limit", actor=SYSTEM)
    assert (await purse.reserve("2", agent_id=agent)).state == "ok"


async def test_changes_are_audited_with_what_was_before(purse: Purse) -> None:
    await purse.set("daily", "10", "1:stop")
    await purse.set("daily", "20", "1:stop")
    await purse.budgets.remove(purse.organization_id, "daily", actor=SYSTEM)
    entries = (await AuditLog(purse.database).list(purse.organization_id)).items[:3][::-1]
    assert [(entry.action, entry.target) for entry in entries] == [
        ("budget.set", "budget:daily"), ("budget.set", "budget:daily"), ("budget.removed", "budget:daily"),
    ]  # fmt: skip
    assert [(entry.before or {}).get("amount") for entry in entries] == [None, "10", "20"]
    with pytest.raises(NotFoundError, match="bailiwick budgets list"):
        await purse.budgets.remove(purse.organization_id, "daily", actor=SYSTEM)


async def test_no_spending_passes_the_organizations_quota_of_money(purse: Purse) -> None:
    audit = AuditLog(purse.database)
    quotas = Quotas(purse.database, Plans(purse.database, audit), audit)
    await quotas.set(purse.organization_id, "model_spend", Bound(hard=Decimal(10)), actor=SYSTEM)
    now = datetime.now(UTC)
    assert (await purse.reserve("6", "a", now=now)).state == "ok"
    await purse.settle("a", "5", now=now)
    assert (await purse.reserve("3", now=now)).state == "ok"
    refused = await purse.reserve("2.5", now=now, is_approved=True)
    assert (refused.state, refused.budget) == ("deny", None)
    assert "quota of model_spend (8 of 10 used or reserved)" in refused.reason
    assert (await quotas.show(purse.organization_id)).quotas[4].used == 5


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-1", "1e12"])
async def test_an_amount_that_cannot_be_spent_is_refused(purse: Purse, amount: str) -> None:
    with pytest.raises(InvalidInputError, match="an amount to be spent"):
        await purse.reserve(amount)


async def test_the_application_cannot_count_in_any_other_way(purse: Purse) -> None:
    await purse.set("daily", "10")
    await purse.reserve("4", "a")
    for statement in (
        "update budget_accounts set reserved = 0", "update budgets set amount = 1000",
        "delete from budget_reservations", "update budget_reservations set state = 'released'",
    ):  # fmt: skip
        with pytest.raises(InsufficientPrivilege):
            await purse.database.execute(statement, organization_id=purse.organization_id)
    with pytest.raises(psycopg.errors.RaiseException, match="their own organization"):
        await purse.database.fetch_one(
            "select budget_end(%s, 'a', null, null)", (purse.organization_id,), organization_id=new_id()
        )
