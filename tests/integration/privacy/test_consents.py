"""Consent has effect: on who asks, on what is added, on what runs."""

import pytest
from pydantic import BaseModel

from bailiwick.events import EventType, NewEvent
from bailiwick.kernel.concerns import Concern
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from bailiwick.kernel.ids import new_id
from bailiwick.privacy import ConsentMissingError, ConsentState, Evidence, Purpose
from bailiwick.tasks import NewTask, Run, TaskKind
from tests.integration.privacy.conftest import CLERK, Bureau
from tests.support.engine import until

FORM = Evidence("web form", "terms 3", "I agree, says Ann")


async def _grant(bureau: Bureau, subject_id: str, purpose: str = "analytics") -> None:
    await bureau.installation.privacy.consents.grant(bureau.acme.id, subject_id, purpose, evidence=FORM, actor=CLERK)


async def test_only_a_granted_consent_lets_pass(bureau: Bureau) -> None:
    consents = bureau.installation.privacy.consents
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    with pytest.raises(ConsentMissingError, match="never asked"):
        await consents.require(bureau.acme.id, ann, "analytics")
    await consents.ask(bureau.acme.id, ann, "analytics", evidence=FORM, actor=CLERK)
    with pytest.raises(ConsentMissingError, match="pending"):
        await consents.require(bureau.acme.id, ann, "analytics")
    await _grant(bureau, ann)
    await consents.require(bureau.acme.id, ann, "analytics")
    await consents.require(bureau.acme.id, "email:ANN@acme.test", "analytics")
    with pytest.raises(ConsentMissingError):
        await consents.require(bureau.acme.id, ann, "marketing")
    await consents.withdraw(bureau.acme.id, ann, "analytics", evidence=FORM, actor=CLERK)
    with pytest.raises(ConsentMissingError, match="withdrawn") as refused:
        await consents.require(bureau.acme.id, "email:ann@acme.test", "analytics")
    assert "ann@acme" not in str(refused.value)


async def test_a_consent_of_one_organization_counts_in_no_other(bureau: Bureau) -> None:
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    await _grant(bureau, ann)
    for subject in (ann, "email:ann@acme.test"):
        with pytest.raises(ConsentMissingError):
            await bureau.installation.privacy.consents.require(bureau.rival.id, subject, "analytics")


async def test_a_consent_lapses_by_the_clock_of_the_database_and_the_lapse_is_written_down(
    bureau: Bureau,
) -> None:
    consents = bureau.installation.privacy.consents
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    await _grant(bureau, ann)
    await bureau.installation.database.execute(
        "update consents set expires_at = now() - interval '1 second'", organization_id=bureau.acme.id
    )
    with pytest.raises(ConsentMissingError, match="expired"):
        await consents.require(bureau.acme.id, ann, "analytics")
    assert [one.state for one in (await consents.list(bureau.acme.id)).items] == [ConsentState.EXPIRED]
    assert await consents.expire(bureau.acme.id) == 1
    assert await consents.expire(bureau.acme.id) == 0
    with pytest.raises(ConflictError, match="cannot become withdrawn"):
        await consents.withdraw(bureau.acme.id, ann, "analytics", evidence=FORM, actor=CLERK)
    await _grant(bureau, ann)
    history = await consents.history(bureau.acme.id, ann, "analytics")
    assert [change.to_state for change in history] == ["granted", "expired", "granted"]
    assert [change.actor_kind for change in history] == ["user", "system", "user"]


async def test_a_lapse_nobody_wrote_down_stands_in_the_history_all_the_same(bureau: Bureau) -> None:
    consents = bureau.installation.privacy.consents
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    await _grant(bureau, ann)
    await bureau.installation.database.execute(
        "update consents set expires_at = now() - interval '1 second'", organization_id=bureau.acme.id
    )
    await _grant(bureau, ann)
    history = await consents.history(bureau.acme.id, ann, "analytics")
    assert [change.to_state for change in history] == ["granted", "expired", "granted"]


async def test_each_purpose_has_the_period_that_is_written_for_it(bureau: Bureau) -> None:
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    for purpose in Purpose:
        await _grant(bureau, ann, purpose)
    rows = await bureau.installation.database.fetch_all(
        "select purpose, extract(day from expires_at - changed_at)::int as days from consents",
        organization_id=bureau.acme.id,
    )
    days = {row["purpose"]: row["days"] for row in rows}
    assert days == dict.fromkeys(map(str, Purpose), 365) | {"marketing": 730}
    assert len(days) == 10


async def test_the_words_of_a_person_are_sealed(bureau: Bureau) -> None:
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    await _grant(bureau, ann)
    row = await bureau.installation.database.fetch_one(
        "select sealed_note from consent_changes", organization_id=bureau.acme.id
    )
    assert row is not None
    assert b"says Ann" not in row["sealed_note"]


async def test_nobody_consents_twice_as_different_people(bureau: Bureau) -> None:
    first = await bureau.register(bureau.acme, "ann@acme.test", "login:ann")
    assert await bureau.register(bureau.acme, "ann@acme.test", "name:Ann Lee") == first
    await bureau.register(bureau.acme, "bob@acme.test")
    with pytest.raises(ConflictError, match="different people"):
        await bureau.register(bureau.acme, "login:ann", "bob@acme.test")
    with pytest.raises(InvalidInputError):
        await bureau.register(bureau.acme, "name:Ann Lee")


class Visit(BaseModel):
    person: str | None


def _concern() -> Concern:
    return Concern("analytics", lambda visit: visit.person)


async def test_withdrawal_meets_a_running_task_at_its_next_step(bureau: Bureau) -> None:
    installation = bureau.installation
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    await _grant(bureau, ann)
    done: list[str] = []

    async def look(run: Run, visit: Visit) -> None:
        await run.step("first", lambda: done.append("first"))
        await installation.privacy.consents.withdraw(bureau.acme.id, ann, "analytics", evidence=FORM, actor=CLERK)
        await run.step("second", lambda: done.append("second"))

    installation.registry.kinds.register(TaskKind("visit.look", look, Visit, concern=_concern()))
    async with installation.run_worker():
        made = await installation.queue.enqueue(bureau.acme.id, NewTask("visit.look", Visit(person=ann)))
        later = await installation.queue.enqueue(bureau.acme.id, NewTask("visit.look", Visit(person=ann)))

        async def ended() -> bool:
            tasks = [await installation.tasks.get(bureau.acme.id, one.task_id) for one in (made, later)]
            return all(task.state == "discarded" for task in tasks)

        await until(ended, "both tasks are discarded")
    # One of the two may have begun before the other withdrew; none came past its next step.
    assert "second" not in done
    task = await installation.tasks.get(bureau.acme.id, made.task_id)
    assert task.reason is not None
    assert "analytics is withdrawn" in task.reason
    facts = await installation.event_reader.list(bureau.acme.id, type_name="consent.withdrawn")
    assert [event.payload for event in facts.items][:1] == [
        {"subject_id": ann, "purpose": "analytics", "state": "withdrawn"}
    ]


async def test_a_task_that_concerns_nobody_is_not_asked_about(bureau: Bureau) -> None:
    async def look(run: Run, visit: Visit) -> str:
        return await run.step("look", lambda: "looked")

    installation = bureau.installation
    installation.registry.kinds.register(TaskKind("visit.look", look, Visit, concern=_concern()))
    async with installation.run_worker():
        made = await installation.queue.enqueue(bureau.acme.id, NewTask("visit.look", Visit(person=None)))

        async def ended() -> bool:
            return (await installation.tasks.get(bureau.acme.id, made.task_id)).state == "completed"

        await until(ended, "the task is done")


async def test_an_event_about_a_person_is_refused_without_consent(bureau: Bureau) -> None:
    installation = bureau.installation
    installation.registry.event_types.register(EventType("visit.made", 1, Visit, concern=_concern()))
    ann = await bureau.register(bureau.acme, "ann@acme.test")
    event = NewEvent("visit.made", Visit(person="email:ann@acme.test"))
    with pytest.raises(ConsentMissingError):
        await installation.events.publish(bureau.acme.id, [event])
    with pytest.raises(ConsentMissingError):
        await installation.events.publish(bureau.acme.id, [NewEvent("visit.made", Visit(person=new_id()))])
    await _grant(bureau, ann)
    await installation.events.publish(bureau.acme.id, [event, NewEvent("visit.made", Visit(person=None))])
    page = await installation.event_reader.list(bureau.acme.id, type_name="visit.made")
    assert len(page.items) == 2
