"""The platform's own upkeep counts for nobody; what customers have done does."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import psycopg
import pytest
from pydantic import SecretStr

from bailiwick.audit import SYSTEM
from bailiwick.identity import Organization
from bailiwick.identity.quotas import Bound
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import QuotaExceededError
from bailiwick.privacy import Identifier
from bailiwick.tasks import NewTask
from bailiwick.tasks.scheduler import Scheduler
from bailiwick.tasks.schedules import NewSchedule
from tests.support.api import Note, NotesExtension
from tests.support.engine import until

UPKEEP = {
    "approvals.sweep", "autonomy.compare", "effect.sweep", "issue.propose", "operations.learn", "outcome.check",
    "outcome.sweep", "privacy.erase", "privacy.export", "sla.sweep",
}  # fmt: skip


@dataclass
class Site:
    """An installation, and an organization whose tasks of the month are used up."""

    installation: Installation
    acme: Organization
    url: str

    async def used(self) -> Decimal:
        view = await self.installation.quotas.show(self.acme.id)
        return next(quota.used for quota in view.quotas if quota.resource == "tasks")

    async def refused(self) -> bool:
        try:
            await self.installation.queue.enqueue(self.acme.id, NewTask("note.keep", Note()))
        except QuotaExceededError:
            return True
        return False

    def forget_refusals(self) -> None:
        """As if a second had passed: so long the queue remembers whom it refused."""
        self.installation.queue._exhausted._until.clear()  # pyright: ignore[reportPrivateUsage]

    async def unmetered(self) -> set[str]:
        return {row["kind"] for row in await self.installation.database.fetch_all("select kind from unmetered_kinds")}


def settings_of(url: str) -> Settings:
    key = base64.b64encode(bytes(range(32))).decode()
    return Settings(database_url=SecretStr(url), port=0, master_key=SecretStr(key))


@pytest.fixture
async def site(login_url: str) -> AsyncIterator[Site]:
    async with Installation.open(settings_of(login_url), extra=[NotesExtension()]) as installation:
        acme = await installation.organizations.create("Acme")
        found = Site(installation, acme, login_url)
        await installation.quotas.set(acme.id, "tasks", Bound(hard=Decimal(1)), actor=SYSTEM)
        assert not await found.refused()
        assert await found.refused()
        yield found


async def test_an_erasure_is_carried_out_with_a_used_up_quota(site: Site) -> None:
    privacy = site.installation.privacy
    person = await privacy.subjects.register(site.acme.id, [Identifier("email", "ada@example.org")], actor=SYSTEM)
    # Asked for right after a refusal, while that is still remembered.
    assert await site.refused()
    request = await privacy.requests.make(site.acme.id, person.id, "erasure", actor=SYSTEM)

    async def is_done() -> bool:
        return (await privacy.requests.get(site.acme.id, request.id)).state == "done"

    async with site.installation.run_worker():
        await until(is_done, "the erasure")
    assert await site.used() == 1


async def test_the_service_level_sweep_goes_on_uncounted_and_a_customers_schedule_does_not(site: Site) -> None:
    await site.installation.schedules.furnish(
        site.acme.id,
        [
            NewSchedule("sla.sweep", "sla.sweep", interval_seconds=60),
            NewSchedule("own", "note.keep", {"text": "y"}, interval_seconds=60),
        ],
    )
    async with await psycopg.AsyncConnection.connect(site.url, autocommit=True) as superuser:
        await superuser.execute("update schedules set next_fire_at = now() - interval '1 second'")
    assert await Scheduler(site.installation.database, site.installation.wakeups).fire_due() == 1
    sweep = await site.installation.schedules.get(site.acme.id, "sla.sweep")
    own = await site.installation.schedules.get(site.acme.id, "own")
    assert sweep.last_task_id is not None
    assert own.last_task_id is None
    assert own.skipped >= 1
    assert await site.used() == 1


async def test_a_batch_of_both_counts_the_customers_tasks_only(site: Site) -> None:
    await site.installation.quotas.set(site.acme.id, "tasks", Bound(hard=Decimal(10)), actor=SYSTEM)
    site.forget_refusals()
    tasks = [NewTask(kind) for kind in ("note.keep", "sla.sweep", "system.learn", "note.keep")]
    await site.installation.queue.enqueue_many(site.acme.id, tasks)
    assert await site.used() == 3


async def test_the_database_knows_what_the_kinds_say_from_the_start_on(site: Site, login_url: str) -> None:
    expected = UPKEEP | {name for name in site.installation.registry.kinds.names() if name.startswith("system.")}
    assert await site.unmetered() == expected
    metering = site.installation.metering
    # What another version said of a kind that is metered is void; what nobody here knows stays.
    await metering.keep_kinds({"note.keep": False, "of.another_process": False})
    site.forget_refusals()
    assert not await site.refused()
    async with Installation.open(settings_of(login_url), extra=[NotesExtension()]):
        assert await site.unmetered() == expected | {"of.another_process"}
    assert await site.refused()
    # Nothing is written where nothing differs.
    kinds = "select kind, xmin::text from unmetered_kinds order by 1"
    before = await site.installation.database.fetch_all(kinds)
    await metering.keep_kinds(site.installation.registry.kinds.metered())
    assert await site.installation.database.fetch_all(kinds) == before
