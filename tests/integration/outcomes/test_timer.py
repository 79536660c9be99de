"""The timer behind an expectation, on a real engine: it looks when the time has come, and writes once."""

import asyncio
from typing import Any

import pytest

from bailiwick.audit.model import EntryFilter
from bailiwick.kernel.errors import CannotDetermineError, NotFoundError, UnavailableError
from bailiwick.outcomes import OutcomeRecord
from bailiwick.storage import Row
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Expectation
from tests.integration.outcomes.conftest import ExpectingEngine, Lamp

DAY_SECONDS = 86_400.0


async def acted(engine: ExpectingEngine, check: str = "lamp.is_on", after_seconds: float = 0) -> OutcomeRecord:
    """Have the agent act and return what is expected of it."""
    payload = {"check": check, "after_seconds": after_seconds}
    ended = await engine.ended(await engine.add("act", payload, agent_id=engine.agent_id))
    row = await engine.inspector.fetch_one("select id from outcomes where effect_id = %s", (ended["result"],))
    assert row is not None
    return await engine.outcomes.get(engine.organization_id, row["id"])


async def looked(engine: ExpectingEngine, **fields: Any) -> OutcomeRecord:
    """Have the agent act, and return what the look found."""
    outcome = await acted(engine, **fields)
    await engine.ended(outcome.id)
    return await engine.outcomes.get(engine.organization_id, outcome.id)


async def now_due(engine: ExpectingEngine, outcome: OutcomeRecord) -> None:
    """Let the promised time be over."""
    await engine.inspector.execute("update tasks set run_at = now() where id = %s", (outcome.id,))


async def effect_state(engine: ExpectingEngine, outcome: OutcomeRecord) -> str:
    assert outcome.effect_id is not None
    return (await engine.effects.get(engine.organization_id, outcome.effect_id)).state


async def evidence(engine: ExpectingEngine) -> list[Row]:
    return await engine.inspector.fetch_all("select source, is_success, about from autonomy_evidence order by id")


async def test_the_result_of_a_task_is_looked_at_and_the_verdict_has_its_evidence(engine: ExpectingEngine) -> None:
    await engine.work()
    task = await engine.ended(await engine.add("light"))
    ended = await engine.ended(task["result"])
    assert ended["result"] == {"outcome_id": task["result"], "verdict": "worked", "is_new": True}
    outcome = await engine.outcomes.get(engine.organization_id, task["result"])
    assert (outcome.state, outcome.claim, outcome.task_id, outcome.effect_id) == (
        "worked", "the lamp is on", task["id"], None,
    )  # fmt: skip
    assert outcome.evidence is not None
    (reading,) = outcome.evidence["readings"]
    assert (reading["source"], reading["seen"]) == ("the lamp", {"on": True})
    assert outcome.late_seconds is None


async def test_an_effect_is_applied_until_a_look_verifies_it_and_the_agent_learns(engine: ExpectingEngine) -> None:
    await engine.work()
    pending = await acted(engine, after_seconds=DAY_SECONDS)
    assert (pending.state, await effect_state(engine, pending)) == ("pending", "applied")
    assert await evidence(engine) == []
    timer = await engine.live(pending.id)
    assert timer is not None
    assert (timer["state"], timer["run_at"]) == ("scheduled", pending.check_at)
    await now_due(engine, pending)
    await engine.ended(pending.id)
    assert await effect_state(engine, pending) == "verified"
    assert await evidence(engine) == [{"source": "verified", "is_success": True, "about": pending.effect_id}]


@pytest.mark.parametrize("after_seconds", [0, 60, DAY_SECONDS - 1])
async def test_a_look_before_people_could_object_is_kept_and_teaches_nothing(
    engine: ExpectingEngine, after_seconds: float
) -> None:
    await engine.work()
    early = await acted(engine, after_seconds=after_seconds)
    await now_due(engine, early)
    await engine.ended(early.id)
    kept = await engine.outcomes.get(engine.organization_id, early.id)
    assert (kept.state, await effect_state(engine, kept)) == ("worked", "verified")
    assert kept.evidence is not None
    assert await evidence(engine) == []


async def test_a_promise_that_was_not_kept_refutes_the_effect_and_speaks_against_the_agent(
    engine: ExpectingEngine, lamp: Lamp
) -> None:
    lamp.is_on = False
    await engine.work()
    outcome = await looked(engine)
    assert (outcome.state, await effect_state(engine, outcome)) == ("did_not", "refuted")
    assert [row["source"] for row in await evidence(engine)] == ["refuted"]


async def test_a_verdict_is_told_and_audited_with_what_it_is_about(engine: ExpectingEngine) -> None:
    await engine.work()
    outcome = await looked(engine)
    event = await engine.inspector.fetch_one("select * from events where type = 'outcome.checked'")
    assert event is not None
    assert (event["key"], event["payload"]["verdict"], event["cause_id"]) == (outcome.id, "worked", outcome.task_id)
    page = await engine.audit.list(engine.organization_id, EntryFilter(action="outcome.checked"))
    assert [(act.target, (act.after or {})["verdict"]) for act in page.items] == [(f"outcome:{outcome.id}", "worked")]


@pytest.mark.parametrize(
    ("fault", "missing"),
    [
        (CannotDetermineError("meter readings of May"), "meter readings of May"),
        (NotFoundError("no such issue"), "a look that succeeds; 1 failed, the last with: no such issue"),
    ],
)
async def test_what_cannot_be_told_is_unknown_at_once_and_says_what_is_missing(
    engine: ExpectingEngine, lamp: Lamp, fault: Exception, missing: str
) -> None:
    lamp.faults = [fault]
    await engine.work()
    outcome = await looked(engine)
    assert (outcome.state, outcome.missing, lamp.looks) == ("unknown", missing, 1)
    assert await effect_state(engine, outcome) == "unverifiable"
    assert await evidence(engine) == []


async def test_a_check_that_is_not_there_makes_it_unknown_and_not_a_failure(engine: ExpectingEngine) -> None:
    await engine.work()
    outcome = await looked(engine, check="lamp.is_off")
    assert outcome.state == "unknown"
    assert outcome.missing is not None
    assert "no check 'lamp.is_off'; there are: lamp.is_on" in outcome.missing


async def test_a_passing_fault_is_tried_again(engine: ExpectingEngine, lamp: Lamp) -> None:
    lamp.faults = [UnavailableError("asleep"), TimeoutError()]
    await engine.work()
    assert (await looked(engine)).state == "worked"
    assert lamp.looks == 3


async def test_a_fault_that_does_not_pass_ends_as_unknown(engine: ExpectingEngine, lamp: Lamp) -> None:
    lamp.faults = [UnavailableError("asleep")] * 3
    await engine.work()
    outcome = await looked(engine)
    assert (outcome.state, outcome.missing) == ("unknown", "a look that succeeds; 3 failed, the last with: asleep")
    assert outcome.late_seconds is None


async def test_a_look_that_came_late_says_so(engine: ExpectingEngine) -> None:
    engine.clock.advance(seconds=7200)
    await engine.work()
    outcome = await looked(engine)
    assert outcome.state == "worked"
    assert outcome.late_seconds == pytest.approx(7200, abs=60)


async def test_killed_between_look_and_record_it_looks_again_and_writes_once(
    engine: ExpectingEngine, lamp: Lamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_looked = asyncio.Event()
    settle = engine.effects.settle

    async def stuck(*_: Any, **__: Any) -> bool:
        # Within the transaction that writes the verdict.
        has_looked.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(engine.effects, "settle", stuck)
    first = await engine.work()
    outcome = await acted(engine, after_seconds=DAY_SECONDS)
    await now_due(engine, outcome)
    await has_looked.wait()
    monkeypatch.setattr(engine.effects, "settle", settle)
    await engine.crash(first)
    assert (await engine.outcomes.get(engine.organization_id, outcome.id)).state == "pending"
    await engine.work()
    await engine.ended(outcome.id)
    assert lamp.looks == 2
    assert await effect_state(engine, outcome) == "verified"
    told = await engine.inspector.fetch_all("select 1 from events where type = 'outcome.checked'")
    assert (len(told), len(await evidence(engine))) == (1, 1)


async def test_a_run_that_is_repeated_states_what_it_expects_once(engine: ExpectingEngine) -> None:
    stated = asyncio.Event()

    async def handle(run: Run, _: Any) -> str:
        outcome_id = await run.expect(Expectation("lamp.is_on", "the lamp is on", 3600))
        if not stated.is_set():
            stated.set()
            await asyncio.Event().wait()
        return outcome_id

    engine.handles("twice", handle)
    first = await engine.work()
    task_id = await engine.add("twice")
    await stated.wait()
    await engine.crash(first)
    await engine.work()
    ended = await engine.ended(task_id)
    rows = await engine.inspector.fetch_all("select id from outcomes")
    assert rows == [{"id": ended["result"]}]


async def test_a_verdict_stands(engine: ExpectingEngine) -> None:
    await engine.work()
    outcome = await looked(engine)
    for change in ("state = 'did_not'", "state = 'pending', checked_at = null", "check_at = now()"):
        with pytest.raises(Exception, match="stands as it was stated and found"):
            await engine.database.execute(
                f"update outcomes set {change} where id = %s", (outcome.id,), organization_id=engine.organization_id
            )
