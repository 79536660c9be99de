"""Metering: exact over processes, whole after a crash, reconciled with the tables it counts."""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bailiwick.identity.quotas import Metering, RateLimiter, month_of
from bailiwick.kernel.errors import QuotaExceededError
from bailiwick.tasks import NewTask
from tests.integration.identity.quotas.conftest import Site
from tests.support.api import Note

_ROOT = Path(__file__).parents[4]


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
