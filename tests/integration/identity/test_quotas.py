"""Quotas and metering on a real installation: exact under concurrency, told once, reconciled with their sources."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from bailiwick.audit import SYSTEM
from bailiwick.extensions import Registrar
from bailiwick.identity import Organization
from bailiwick.identity.quotas import Bound, Metering, Rate, RateLimiter, month_of
from bailiwick.identity.quotas.keeper import QuotaKeeper
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError, QuotaExceededError
from bailiwick.orchestrator.quotas import QuotaTeller
from bailiwick.tasks import NewTask, Run, TaskKind
from bailiwick.tasks.scheduler import Scheduler
from bailiwick.tasks.schedules import NewSchedule
from tests.support.api import Note, NotesExtension
from tests.support.engine import until

_ROOT = Path(__file__).parents[3]


class ChargingExtension:
    """A kind of task that costs money, lets go of its worker in between, and may have a child."""

    name = "charging"
    version = "1"
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        async def charge(run: Run, note: Note) -> object:
            run.charge(0.25)
            if note.number:
                # The first charge is written with the sleep, the second with the end.
                await run.sleep(0.01)
            if note.text:
                await run.spawn("note.keep", Note())
            return None

        registrar.task_kind(TaskKind("note.charge", charge, Note))


@dataclass
class Site:
    """An installation, one organization of it, and a way around the rules."""

    installation: Installation
    acme: Organization
    url: str

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as superuser:
            cursor = await superuser.execute(statement, values)  # type: ignore[arg-type]
            return await cursor.fetchall() if cursor.description else []

    async def bound(self, resource: str, soft: int | str | None = None, hard: int | str | None = None) -> None:
        limits = Bound(*(None if limit is None else Decimal(limit) for limit in (soft, hard)))
        await self.installation.quotas.set(self.acme.id, resource, limits, actor=SYSTEM)

    async def add(self, number: int) -> int:
        """Add tasks, each for itself; return how many were let through."""
        answers = await asyncio.gather(
            *[
                self.installation.queue.enqueue(self.acme.id, NewTask("note.keep", Note(number=n)))
                for n in range(number)
            ],
            return_exceptions=True,
        )
        assert all(
            not isinstance(answer, BaseException) or isinstance(answer, QuotaExceededError) for answer in answers
        )
        return sum(not isinstance(answer, BaseException) for answer in answers)

    async def used(self, resource: str) -> Decimal:
        view = await self.installation.quotas.show(self.acme.id)
        return next(quota.used for quota in view.quotas if quota.resource == resource)

    async def ended(self, task_id: str) -> None:
        async def has_ended() -> bool:
            task = await self.installation.tasks.get(self.acme.id, task_id)
            return task.state in ("completed", "discarded")

        await until(has_ended, "the end of the task")

    async def tasks(self) -> int:
        [(number,)] = await self.sql(
            "select (select count(*) from tasks where organization_id = %s) "
            "+ (select count(*) from finished_tasks where organization_id = %s)",
            self.acme.id, self.acme.id,
        )  # fmt: skip
        return int(number)

    def forget_refusals(self) -> None:
        """As if a second had passed: so long the queue remembers whom it refused."""
        self.installation.queue._exhausted._until.clear()  # pyright: ignore[reportPrivateUsage]

    def keeper(self) -> QuotaKeeper:
        it = self.installation
        return QuotaKeeper(it.metering, QuotaTeller(it.database, it.metering, it.events, it.audit).tell)

    async def told(self) -> list[str]:
        page = await self.installation.event_reader.list(self.acme.id, limit=100)
        return sorted(event.type for event in page.items if event.type.startswith("quota."))

    async def audited(self) -> list[str]:
        page = await self.installation.audit.list(self.acme.id, limit=100)
        return sorted(entry.action for entry in page.items if "limit_reached" in entry.action)


@pytest.fixture
async def site(login_url: str) -> AsyncIterator[Site]:
    settings = Settings(database_url=SecretStr(login_url), port=0)
    async with Installation.open(settings, extra=[NotesExtension(), ChargingExtension()]) as installation:
        acme = await installation.organizations.create("Acme")
        yield Site(installation, acme, login_url)


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


async def test_api_calls_never_pass_the_hard_limit_over_processes(site: Site, database_url: str) -> None:
    await site.bound("api_calls", None, 300)
    limiters = [RateLimiter(database_url) for _ in range(3)]

    async def call(limiter: RateLimiter) -> int:
        passed = 0
        for _ in range(150):
            try:
                await limiter.take([], organization_id=site.acme.id, calls=True)
                passed += 1
            except QuotaExceededError:
                break
        return passed

    passed = await asyncio.gather(*map(call, limiters))
    assert sum(passed) <= 300
    # One may have found nothing left while another still held a few: at most a hundredth each.
    assert sum(passed) >= 290
    for limiter in limiters:
        await limiter.close()
    # What was leased and not used is back.
    assert await site.sql("select used from quotas") == [(Decimal(sum(passed)),)]


async def test_a_process_killed_with_leased_calls_loses_a_few_and_lets_none_pass_twice(
    site: Site, database_url: str
) -> None:
    await site.bound("api_calls", None, 1000)
    killed, next_one = RateLimiter(database_url), RateLimiter(database_url)
    await killed.take([], organization_id=site.acme.id, calls=True)
    [(used,)] = await site.sql("select used from quotas")
    assert 1 <= used <= 100
    passed = 0
    with suppress(QuotaExceededError):
        for _ in range(1001):
            await next_one.take([], organization_id=site.acme.id, calls=True)
            passed += 1
    assert passed == 1000 - used
    await next_one.close()
    await killed._channel.close()  # type: ignore[attr-defined] # as the system does with a killed process's


async def test_a_report_sent_twice_counts_once(site: Site) -> None:
    metering = Metering(site.installation.database)
    for _ in range(7):
        metering.count_call(site.acme.id)
    await metering.report()
    source, sequence = metering._source, metering._sequence  # type: ignore[attr-defined]
    again = json.dumps([{"org": site.acme.id, "resource": "api_calls", "day": "2026-11-20", "n": 7}])
    row = await site.installation.database.fetch_one(
        "select usage_report(%s, %s, %s::jsonb) as is_new", (source, sequence, again)
    )
    assert row == {"is_new": False}
    assert await site.used("api_calls") == 7
    await metering.close()


async def test_closing_reports_what_is_left(site: Site) -> None:
    metering = Metering(site.installation.database)
    metering.count_call(site.acme.id)
    metering.count_call(site.acme.id, now=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    await metering.close()
    assert await site.used("api_calls") == (2 if month_of() == date(2026, 10, 1) else 1)
    october = await site.installation.metering.days(date(2026, 10, 1), organization_id=site.acme.id)
    assert [(usage.resource, usage.day) for usage in october][-1] == ("api_calls", date(2026, 10, 31))


async def test_folding_changes_nothing_that_is_read(site: Site) -> None:
    await site.add(30)
    await site.installation.quotas.spend(site.acme.id, Decimal("1.5"))
    before = await site.installation.metering.days(month_of(), organization_id=site.acme.id)
    folded = await asyncio.gather(*[site.installation.metering.fold() for _ in range(3)])
    assert sum(folded) > 0
    assert await site.sql("select count(*) from usage_increments") == [(0,)]
    assert await site.installation.metering.days(month_of(), organization_id=site.acme.id) == before
    await site.add(5)
    assert await site.used("tasks") == 35


async def test_tasks_of_the_month_are_the_rows_made_in_it(site: Site) -> None:
    rival = await site.installation.organizations.create("Rival")
    async with site.installation.run_worker():
        await site.add(40)
        await site.installation.queue.enqueue(rival.id, NewTask("note.keep", Note()))
        await site.keeper().look()
        await site.add(13)
    for organization in (site.acme, rival):
        [(rows,)] = await site.sql(
            "select count(*) from (select organization_id, inserted_at from tasks union all "
            "select organization_id, inserted_at from finished_tasks) as t "
            "where organization_id = %s and usage_month(inserted_at) = usage_month(now())",
            organization.id,
        )
        days = await site.installation.metering.days(month_of(), organization_id=organization.id)
        assert sum(usage.amount for usage in days if usage.resource == "tasks") == rows > 0


async def test_storage_is_what_the_rows_take(site: Site) -> None:
    assert await site.used("storage_bytes") == 0
    await site.add(50)
    assert await site.installation.metering.measure() > 0
    [(tasks,)] = await site.sql("select sum(pg_column_size(t.*)) from tasks t where organization_id = %s", site.acme.id)
    measured = await site.used("storage_bytes")
    assert tasks <= measured < tasks + 100_000
    # From a part of the pages, scaled: of the same size.
    [(estimated,)] = await site.sql(
        "select sum(amount) from usage_measured(8192 * 4) where org = %s and resource = 'storage_bytes'", site.acme.id
    )
    assert estimated is None or 0 < estimated < measured * 10
    await site.bound("storage_bytes", None, 10)
    with pytest.raises(QuotaExceededError, match="storage_bytes"):
        await site.installation.quotas.check(site.acme.id, "storage_bytes")
    assert await site.add(2) == 0
    # What makes room again goes on.
    learn = NewTask("system.learn", site.installation.registry.kinds.get("system.learn").payload())
    site.forget_refusals()
    assert (await site.installation.queue.enqueue(site.acme.id, learn)).is_new
    await site.bound("storage_bytes", None, 10**12)
    await site.installation.quotas.check(site.acme.id, "storage_bytes")


async def test_only_one_process_measures_in_an_hour(site: Site) -> None:
    claims = await asyncio.gather(*[site.installation.metering.claim_measurement() for _ in range(5)])
    assert claims.count(True) == 1
    await site.sql("update usage_sources set reported_at = now() - interval '61 minutes'")
    assert await site.installation.metering.claim_measurement()


async def test_a_plan_holds_for_everybody_on_it_and_an_own_setting_beside_it(site: Site) -> None:
    plans, quotas = site.installation.plans, site.installation.quotas
    tasks = {"tasks": Bound(Decimal(3), Decimal(5))}
    await plans.put("starter", quotas=tasks, rates={"key": Rate(60, 10)}, actor=SYSTEM)  # type: ignore[arg-type]
    view = await quotas.assign(site.acme.id, "starter", actor=SYSTEM)
    assert next(quota for quota in view.quotas if quota.resource == "tasks").origin == "plan"
    assert view.rates["key"] == Rate(60, 10)
    assert view.rates["user"] == Rate(600, 120)
    assert await site.add(9) == 5
    site.forget_refusals()
    await plans.put("starter", quotas={"tasks": Bound(None, Decimal(7))}, rates={}, actor=SYSTEM)
    assert await site.add(9) == 2
    site.forget_refusals()
    await quotas.set(site.acme.id, "tasks", Bound(), actor=SYSTEM)
    assert await site.add(9) == 9
    view = await quotas.set(site.acme.id, "tasks", None, actor=SYSTEM)
    assert next(quota for quota in view.quotas if quota.resource == "tasks").state == "hard"
    with pytest.raises(ConflictError, match="bailiwick quotas assign"):
        await plans.remove("starter", actor=SYSTEM)
    await quotas.assign(site.acme.id, "unlimited", actor=SYSTEM)
    await plans.remove("starter", actor=SYSTEM)
    with pytest.raises(NotFoundError, match="unlimited"):
        await quotas.assign(site.acme.id, "starter", actor=SYSTEM)
    actions = {entry.action for entry in (await site.installation.audit.list(site.acme.id, limit=100)).items}
    assert {"quota.plan_assigned", "quota.changed"} <= actions


async def test_the_unlimited_plan_stays_unlimited(site: Site) -> None:
    plans = site.installation.plans
    with pytest.raises(InvalidInputError, match="another name"):
        await plans.put("unlimited", quotas={"tasks": Bound(hard=Decimal(1))}, rates={}, actor=SYSTEM)
    with pytest.raises(ConflictError):
        await plans.remove("unlimited", actor=SYSTEM)
    with pytest.raises(InvalidInputError, match="lower-case"):
        await plans.put("No Name", quotas={}, rates={}, actor=SYSTEM)


async def test_a_rate_of_its_own_is_the_organizations(site: Site) -> None:
    view = await site.installation.quotas.set_rate(site.acme.id, "key", Rate(5, 2), actor=SYSTEM)
    assert view.rates["key"] == Rate(5, 2)
    view = await site.installation.quotas.set_rate(site.acme.id, "key", "unlimited", actor=SYSTEM)
    assert view.rates["key"] is None
    view = await site.installation.quotas.set_rate(site.acme.id, "key", None, actor=SYSTEM)
    assert view.rates["key"] == Rate(600, 120)
