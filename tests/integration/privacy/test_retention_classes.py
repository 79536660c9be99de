"""Retention by class and organization, and the holds that beat it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bailiwick.identity import Organization
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import id_at
from bailiwick.privacy import Evidence
from bailiwick.tasks import NewTask
from tests.integration.privacy.conftest import CLERK, Bureau
from tests.support.engine import until

FORM = Evidence("web form")


async def _record(bureau: Bureau, organization: Organization, days: int, text: str) -> None:
    """Put an event, a finished task and its step into the past."""
    moment = datetime.now(UTC) - timedelta(days=days)
    identifier = id_at(moment)[:-4] + f"{len(text):04x}"
    database = bureau.installation.database
    for parent in ("events", "finished_tasks", "steps"):
        await database.fetch_one("select partitions_ensure(%s, %s, 0)", (parent, moment))
    async with database.transaction(organization.id) as connection:
        await connection.execute(
            "insert into events (id, organization_id, type, version, payload, occurred_at, recorded_at) "
            "values (%s, %s, 'told', 1, jsonb_build_object('text', %s::text), %s, %s)",
            (identifier, organization.id, text, moment, moment),
        )
        await connection.execute(
            "insert into finished_tasks (id, organization_id, kind, state, priority, lane, payload, fence, failures, "
            "recoveries, errors, cost, inserted_at) "
            "values (%s, %s, 'told', 'completed', 2, '', '{}', 1, 0, 0, '[]', 0, %s)",
            (identifier, organization.id, moment),
        )
        await connection.execute(
            "insert into steps (task_id, organization_id, seq, kind, name, fence) "
            "values (%s, %s, 0, 'step', 'tell', 1)",
            (identifier, organization.id),
        )


async def _texts(bureau: Bureau, organization: Organization) -> list[str]:
    rows = await bureau.installation.database.fetch_all(
        "select payload ->> 'text' as text from events where organization_id = %s and type = 'told' order by 1",
        (organization.id,),
        organization_id=organization.id,
    )
    return [row["text"] for row in rows]


async def test_a_shorter_period_deletes_in_its_organization_only(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    for organization in (bureau.acme, bureau.rival):
        await _record(bureau, organization, 3, f"new of {organization.slug}")
        await _record(bureau, organization, 40, f"old of {organization.slug}!")
    assert await privacy.retain(bureau.acme.id) == {}
    policy = await privacy.policies.set(bureau.acme.id, "operations", 30, actor=CLERK)
    assert (policy.days, policy.is_default) == (30, False)
    assert await privacy.retain(bureau.acme.id) == {"events": 1, "finished_tasks": 1, "steps": 1}
    assert await privacy.retain(bureau.rival.id) == {}
    assert await _texts(bureau, bureau.acme) == ["new of acme"]
    assert len(await _texts(bureau, bureau.rival)) == 2
    await privacy.policies.set(bureau.acme.id, "operations", None, actor=CLERK)
    assert (await privacy.policies.list(bureau.acme.id))[0].is_default


async def test_holds_beat_the_period_until_they_end(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    await _record(bureau, bureau.acme, 40, "ask ann@acme.test")
    await _record(bureau, bureau.acme, 41, "ask joe")
    await privacy.policies.set(bureau.acme.id, "operations", 30, actor=CLERK)
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    everything = await privacy.holds.place(bureau.acme.id, reason="a case", actor=CLERK)
    assert await privacy.retain(bureau.acme.id) == {}
    await privacy.holds.release(bureau.acme.id, everything.id, reason="settled", actor=CLERK)
    until_then = datetime.now(UTC) + timedelta(days=1)
    await privacy.holds.place(bureau.acme.id, data_class="operations", until=until_then, reason="audit", actor=CLERK)
    assert await privacy.retain(bureau.acme.id) == {}
    # Its end comes by itself, by the database's clock.
    await bureau.installation.database.execute(
        "update legal_holds set until = now() - interval '1 second' where scope = 'class'",
        organization_id=bureau.acme.id,
    )
    person = await privacy.holds.place(bureau.acme.id, subject=ann, reason="her case", actor=CLERK)
    await privacy.retain(bureau.acme.id)
    assert await _texts(bureau, bureau.acme) == ["ask ann@acme.test"]
    await privacy.holds.release(bureau.acme.id, person.id, reason="settled", actor=CLERK)
    await privacy.retain(bureau.acme.id)
    assert await _texts(bureau, bureau.acme) == []


async def _run_retention(bureau: Bureau) -> dict[str, Any]:
    home = await bureau.installation.home()
    made = await bureau.installation.queue.enqueue(home.id, NewTask("system.retain", {"months": 2}))

    async def ended() -> bool:
        return (await bureau.installation.tasks.get(home.id, made.task_id)).state == "completed"

    await until(ended, "retention is done", seconds=30)
    return (await bureau.installation.tasks.get(home.id, made.task_id)).result


async def test_no_month_is_dropped_while_anybody_holds_but_the_others_age(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    for organization in (bureau.acme, bureau.rival):
        await _record(bureau, organization, 150, f"of {organization.slug}")
    hold = await privacy.holds.place(bureau.acme.id, reason="a case", actor=CLERK)
    async with bureau.installation.run_worker():
        report = await _run_retention(bureau)
        assert report["organizations_on_hold"] == [bureau.acme.id]
        assert report["partitions_dropped"] == []
        assert report["rows_deleted"]["events"] == 1
        assert await _texts(bureau, bureau.acme) == ["of acme"]
        assert await _texts(bureau, bureau.rival) == []
        await privacy.holds.release(bureau.acme.id, hold.id, reason="settled", actor=CLERK)
        report = await _run_retention(bureau)
    assert any(name.startswith("events_") for name in report["partitions_dropped"])
    assert await _texts(bureau, bureau.acme) == []


async def test_records_of_consent_go_when_their_own_period_is_over(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    for purpose in ("analytics", "collection"):
        await privacy.consents.grant(bureau.acme.id, ann, purpose, evidence=FORM, actor=CLERK)
        await privacy.consents.withdraw(bureau.acme.id, ann, purpose, evidence=FORM, actor=CLERK)
    await bureau.installation.database.execute(
        "update consents set changed_at = now() - interval '3 years'", organization_id=bureau.acme.id
    )
    # Two years for analytics, seven for collection.
    assert await privacy.retain(bureau.acme.id) == {"consents": 1}
    left = [one.purpose for one in (await privacy.consents.list(bureau.acme.id)).items]
    assert left == ["collection"]
    assert await privacy.consents.history(bureau.acme.id, ann, "analytics") == []


async def test_periods_have_bounds(bureau: Bureau) -> None:
    policies = bureau.installation.privacy.policies
    for name, days in (("audit", 365), ("operations", 0), ("nothing", 1), ("gdpr", 40_000)):
        with pytest.raises(InvalidInputError):
            await policies.set(bureau.acme.id, name, days, actor=CLERK)
