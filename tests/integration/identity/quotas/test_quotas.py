"""Quotas on a real installation: exact under concurrency, told once."""

import asyncio
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from bailiwick.identity.quotas import Rate
from bailiwick.kernel.errors import InvalidInputError, QuotaExceededError
from bailiwick.tasks import NewTask
from bailiwick.tasks.scheduler import Scheduler
from bailiwick.tasks.schedules import NewSchedule
from tests.integration.identity.quotas.conftest import Site
from tests.support.api import Note

_ROOT = Path(__file__).parents[4]


async def test_without_a_plan_nothing_is_bounded_and_everything_counted(site: Site) -> None:
    view = await site.installation.quotas.show(site.acme.id)
    assert view.plan == "unlimited"
    assert all(quota.hard is None and quota.origin == "none" for quota in view.quotas)
    assert view.rates["key"] == Rate(600, 120)
    assert await site.add(25) == 25
    assert await site.used("tasks") == 25


async def test_tasks_stop_exactly_at_the_hard_limit(site: Site) -> None:
    await site.add(3)
    await site.bound("tasks", 5, 10)
    # What was used before the limit was set counts.
    assert await site.add(40) == 7
    assert await site.tasks() == 10
    with pytest.raises(QuotaExceededError, match="bailiwick quotas set tasks --hard"):
        await site.installation.queue.enqueue(site.acme.id, NewTask("note.keep", Note()))
    other = await site.installation.organizations.create("Rival")
    assert (await site.installation.queue.enqueue(other.id, NewTask("note.keep", Note()))).is_new


async def test_a_batch_beside_one_that_is_refused_is_added(site: Site) -> None:
    rival = await site.installation.organizations.create("Rival")
    await site.bound("tasks", None, 2)
    mine = [site.installation.queue.enqueue(site.acme.id, NewTask("note.keep", Note())) for _ in range(20)]
    theirs = [site.installation.queue.enqueue(rival.id, NewTask("note.keep", Note())) for _ in range(20)]
    answers = await asyncio.gather(*mine, *theirs, return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers[:20]) == 2
    assert all(not isinstance(answer, BaseException) for answer in answers[20:])


_ADDER = """
import asyncio, sys
import psycopg
from bailiwick.kernel.ids import new_id

async def main(url, org, tries):
    passed = 0
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for number in range(tries):
            rows = '[' + ','.join(f'{{"id": "{new_id()}", "org": "{org}", "kind": "x"}}' for _ in range(3)) + ']'
            try:
                await connection.execute("select * from task_enqueue(%s::jsonb)", (rows,))
                passed += 3
            except psycopg.Error as error:
                assert error.sqlstate == "BW402", error
    print(passed)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_processes_together_never_pass_the_hard_limit(site: Site, database_url: str) -> None:
    await site.bound("tasks", None, 100)
    command = [sys.executable, "-c", _ADDER, database_url, site.acme.id, "30"]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=_ROOT) for _ in range(3)
    ]
    added = [int((await process.communicate())[0]) for process in processes]
    # Three at a time: ninety-nine fit, and one more does not.
    assert sum(added) == 99 == await site.tasks() == await site.used("tasks")


async def test_a_new_month_begins_at_nothing(site: Site) -> None:
    await site.bound("tasks", None, 5)
    assert await site.add(9) == 5
    # As if all of it had been last month.
    last = "(usage_month(now()) - interval '1 month')::date"
    await site.sql(f"update quotas set month = {last}")
    await site.sql(f"update usage_increments set day = {last}")
    site.forget_refusals()
    assert await site.used("tasks") == 0
    assert await site.add(9) == 5


async def test_days_and_months_are_of_utc_in_any_session(site: Site) -> None:
    for zone in ("Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin"):
        async with await psycopg.AsyncConnection.connect(site.url) as connection:
            await connection.execute("select set_config('TimeZone', %s, false)", (zone,))
            for moment, day, month in (
                ("2026-10-31T23:59:59Z", date(2026, 10, 31), date(2026, 10, 1)),
                ("2026-11-01T00:00:00Z", date(2026, 11, 1), date(2026, 11, 1)),
                # An hour that daylight saving time repeats in Europe.
                ("2026-10-25T00:30:00Z", date(2026, 10, 25), date(2026, 10, 1)),
            ):
                cursor = await connection.execute(
                    "select usage_day(%s::timestamptz), usage_month(%s::timestamptz)", (moment, moment)
                )
                assert await cursor.fetchone() == (day, month)


async def test_children_and_forks_count_and_redriving_does_not(site: Site) -> None:
    queue, control = site.installation.queue, site.installation.control
    refused = await queue.enqueue(site.acme.id, NewTask("note.refuse", Note(text="x")))
    parent = await queue.enqueue(site.acme.id, NewTask("note.charge", Note(text="with a child")))
    async with site.installation.run_worker():
        await site.ended(refused.task_id)
        await site.ended(parent.task_id)
        assert await site.used("tasks") == 3 == await site.tasks()
        await control.redrive(site.acme.id, [refused.task_id])
        await site.ended(refused.task_id)
        assert await site.used("tasks") == 3 == await site.tasks()
        forked = await control.fork(site.acme.id, parent.task_id, from_step=0)
        await site.ended(forked)
        assert await site.used("tasks") == 5 == await site.tasks()


async def test_a_schedule_without_room_stops_nobody_elses(site: Site) -> None:
    rival = await site.installation.organizations.create("Rival")
    await site.bound("tasks", None, 0)
    for organization in (site.acme, rival):
        await site.installation.schedules.furnish(
            organization.id, [NewSchedule("often", "note.keep", {"text": "y"}, interval_seconds=3600)]
        )
    await site.sql("update schedules set next_fire_at = now() - interval '1 second'")
    assert await Scheduler(site.installation.database, site.installation.wakeups).fire_due() == 1
    assert await site.tasks() == 0
    [(skipped, last)] = await site.sql(
        "select skipped, last_task_id from schedules where organization_id = %s", site.acme.id
    )
    assert skipped >= 1
    assert last is None


async def test_agents_are_counted_in_the_transaction_that_adds_them(site: Site) -> None:
    create = site.installation.directory.create
    await create(site.acme.id, "noter", "first")
    await site.bound("agents", 2, 3)
    answers = await asyncio.gather(
        *[create(site.acme.id, "noter", f"agent {number}") for number in range(8)], return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 2
    assert {type(answer) for answer in answers if isinstance(answer, BaseException)} == {QuotaExceededError}
    assert await site.used("agents") == 3


async def test_model_spend_is_money_to_the_last_digit(site: Site) -> None:
    spend = site.installation.quotas.spend
    await site.bound("model_spend", "0.5", "1")
    await asyncio.gather(*[spend(site.acme.id, Decimal("0.1")) for _ in range(10)])
    assert await site.used("model_spend") == Decimal(1)
    with pytest.raises(QuotaExceededError, match="model_spend"):
        await spend(site.acme.id, Decimal("0.000001"))
    assert await site.used("model_spend") == Decimal(1)
    for nonsense in (Decimal(-1), Decimal("NaN"), Decimal("Infinity")):
        with pytest.raises(InvalidInputError):
            await spend(site.acme.id, nonsense)


async def test_spending_at_once_never_passes_the_hard_limit(site: Site) -> None:
    await site.bound("model_spend", None, "2.5")
    answers = await asyncio.gather(
        *[site.installation.quotas.spend(site.acme.id, Decimal(1)) for _ in range(8)], return_exceptions=True
    )
    assert sum(answer is None for answer in answers) == 2


async def test_what_runs_are_charged_counts_as_spend(site: Site) -> None:
    await site.bound("model_spend", None, 100)
    async with site.installation.run_worker():
        for number in (0, 1):
            task = NewTask("note.charge", Note(number=number))
            await site.ended((await site.installation.queue.enqueue(site.acme.id, task)).task_id)
    [(cost,)] = await site.sql("select sum(cost) from finished_tasks where organization_id = %s", site.acme.id)
    assert cost >= Decimal("0.5")
    assert await site.used("model_spend") == cost
    assert await site.sql("select used from quotas") == [(cost,)]


async def test_reached_limits_are_told_once_a_month(site: Site) -> None:
    await site.bound("tasks", 5, 10)
    await site.add(4)
    await site.keeper().look()
    assert await site.told() == []
    await site.add(20)
    await asyncio.gather(site.keeper().look(), site.keeper().look())
    await site.keeper().look()
    expected = ["quota.hard_limit_reached", "quota.soft_limit_reached"]
    assert await site.told() == expected
    assert await site.audited() == expected
    # Next month they may be reached again.
    await site.sql("update quota_crossings set month = (month - interval '1 month')::date")
    await site.sql("update quotas set used = 0")
    site.forget_refusals()
    await site.add(6)
    await site.keeper().look()
    assert (await site.audited()).count("quota.soft_limit_reached") == 2


async def test_a_limit_set_below_what_is_used_is_reached_at_once(site: Site) -> None:
    await site.add(4)
    await site.bound("tasks", 2, 3)
    await site.keeper().look()
    assert await site.told() == ["quota.hard_limit_reached", "quota.soft_limit_reached"]
    assert await site.add(1) == 0
