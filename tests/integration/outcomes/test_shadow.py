"""Shadow mode: an agent that only watches is compared with what people did, and learns from it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from bailiwick.authority.autonomy import AutonomyRules
from bailiwick.kernel.errors import BailiwickError, NotFoundError, UnavailableError
from bailiwick.kernel.ids import new_id
from bailiwick.outcomes.shadowing import Counterpart, EffectsOfPeople, ShadowAct, ShadowComparing, ShadowRegistry
from tests.integration.outcomes.conftest import ExpectingEngine
from tests.support.acting import PERSON
from tests.support.autonomy import put_effect

HOURS = AutonomyRules().shadow_hours


class Watching:
    """An agent that only watches, and somebody who compares."""

    def __init__(self, engine: ExpectingEngine) -> None:
        self.engine = engine
        self.watches = ShadowRegistry()
        self.watches.register("effects of people", EffectsOfPeople(engine.database).watch)
        self.comparing = ShadowComparing(
            engine.database, engine.autonomy, engine.tools, self.watches, clock=engine.clock
        )

    async def would_append(self) -> str:
        """Have the agent want to append a line, and return the effect that was not done."""
        payload = {"check": "lamp.is_on", "after_seconds": 0}
        return str(
            (await self.engine.ended(await self.engine.add("act", payload, agent_id=self.engine.agent_id)))["result"]
        )

    async def compared(self, *, after_hours: float = HOURS + 1) -> dict[str, int]:
        """Compare once the time is over."""
        self.engine.clock.advance(seconds=after_hours * 3600)
        found = await self.comparing.compare_due(self.engine.organization_id)
        return {result: count for result, count in found.items() if count}

    async def learned(self) -> list[str]:
        """Return what autonomy learned."""
        rows = await self.engine.inspector.fetch_all("select source from autonomy_evidence order by id")
        return [row["source"] for row in rows]


@pytest.fixture
async def watching(engine: ExpectingEngine) -> Watching:
    for effect_class in ("read", "write"):
        await engine.autonomy.set_level(
            engine.organization_id, engine.agent_id, effect_class, 1, actor=PERSON, reason="it shall watch"
        )
    await engine.work()
    return Watching(engine)


def did(engine: ExpectingEngine, text: str, **fields: Any) -> str:
    """Have a line appended through the platform."""
    given = {"tool": "folder.append", "arguments": f'{{"text": "{text}", "name": "file"}}', "target": "file:file"}
    return put_effect(engine.login_url, org=engine.organization_id, **{**given, **fields})


async def person_did(engine: ExpectingEngine, text: str, *, by: str = "by:user:ada", **fields: Any) -> str:
    """Have a person take something back through the platform, which appends a line."""
    task, reverted = new_id(), did(engine, text, target="file:elsewhere")
    effect_id = did(engine, text, task=task, agent=new_id(), **fields)
    await engine.inspector.execute("update effects set reverts = %s where id = %s", (reverted, effect_id))
    await engine.inspector.execute(
        "insert into finished_tasks (id, organization_id, kind, state, priority, lane, payload, labels, fence, "
        "failures, recoveries, errors, cost, inserted_at) values "
        "(%s, %s, 'run.rewind', 'completed', 1, '', '{}', %s, 1, 0, 0, '[]', 0, now())",
        (task, engine.organization_id, [by]),
    )
    return effect_id


async def test_an_agent_that_watches_does_nothing_and_what_it_would_have_done_is_kept(watching: Watching) -> None:
    engine = watching.engine
    effect = await engine.effects.get(engine.organization_id, await watching.would_append())
    assert effect.state == "declined"
    decision = await engine.inspector.fetch_one("select is_shadow from decisions where id = %s", (effect.decision_id,))
    assert decision == {"is_shadow": True}
    assert await engine.inspector.fetch_all("select 1 from outcomes") == []


@pytest.mark.parametrize(
    ("text", "target", "result"),
    [("hello", "file:file", "agreed"), ("good bye", "file:file", "differed"), ("hello", "file:other", "none")],
)
async def test_the_same_call_agrees_another_differs_and_silence_teaches_nothing(
    watching: Watching, text: str, target: str, result: str
) -> None:
    effect_id = await watching.would_append()
    by = await person_did(watching.engine, text, target=target)
    assert await watching.compared() == {result: 1}
    assert await watching.learned() == ([] if result == "none" else [result])
    row = await watching.engine.inspector.fetch_one("select * from shadow_comparisons")
    assert row is not None
    assert (row["effect_id"], row["result"]) == (effect_id, result)
    assert [one["source"] for one in row["counterparts"]] == ([] if result == "none" else [f"effect:{by}"])


async def test_people_have_their_time_and_a_comparison_is_made_once(watching: Watching) -> None:
    await watching.would_append()
    assert await watching.compared(after_hours=HOURS - 1) == {}
    await person_did(watching.engine, "hello")
    assert await watching.compared(after_hours=2) == {"agreed": 1}
    assert await watching.compared() == {}
    assert await watching.learned() == ["agreed"]


@pytest.mark.parametrize("asked_by", [[], ["by:user:ada"], ["by:key:script"]])
async def test_what_an_agent_did_is_no_persons_deed_whoever_asked_for_it(
    watching: Watching, asked_by: list[str]
) -> None:
    await watching.would_append()
    effect_id = did(watching.engine, "hello", agent=new_id())
    await watching.engine.inspector.execute("update effects set labels = %s where id = %s", (asked_by, effect_id))
    assert await watching.compared() == {"none": 1}
    assert await watching.learned() == []


@pytest.mark.parametrize(
    ("by", "result"),
    [("by:user:ada", "agreed"), ("by:system:account:root", "agreed"), ("by:key:script", "none"),
     ("by:service:1", "none"), ("by:agent:1", "none")],
)  # fmt: skip
async def test_what_is_taken_back_is_a_persons_deed_where_a_person_asked_for_it_in_person(
    watching: Watching, by: str, result: str
) -> None:
    await watching.would_append()
    await person_did(watching.engine, "hello", by=by)
    assert await watching.compared() == {result: 1}


async def test_a_deed_that_amounts_to_no_known_call_is_shown_and_teaches_nothing(watching: Watching) -> None:
    async def assigned(act: ShadowAct) -> Sequence[Counterpart]:
        return [Counterpart("an assignment", act.since, None)]

    watching.watches.register("a pack", assigned)
    await watching.would_append()
    assert await watching.compared() == {"none": 1}
    assert await watching.learned() == []
    row = await watching.engine.inspector.fetch_one("select counterparts from shadow_comparisons")
    assert row is not None
    assert [one["source"] for one in row["counterparts"]] == ["an assignment"]


@pytest.mark.parametrize("fault", [UnavailableError("asleep"), NotFoundError("no such place")])
async def test_where_nobody_can_tell_what_people_did_the_result_is_unknown_and_others_are_compared(
    watching: Watching, fault: BailiwickError
) -> None:
    first = await watching.would_append()

    async def away(act: ShadowAct) -> Sequence[Counterpart]:
        if act.effect_id == first:
            raise fault
        return []

    watching.watches.register("a pack", away)
    await watching.would_append()
    # What may pass is asked again, for a week.
    assert await watching.compared() == ({"none": 1} if fault.retryable else {"unknown": 1, "none": 1})
    assert await watching.compared(after_hours=8 * 24) == ({"unknown": 1} if fault.retryable else {})
    row = await watching.engine.inspector.fetch_one(
        "select result, counterparts from shadow_comparisons where effect_id = %s", (first,)
    )
    assert row is not None
    assert (row["result"], row["counterparts"][0]["source"]) == (
        "unknown", f"cannot determine what people did: {fault}",
    )  # fmt: skip
    assert await watching.learned() == []


async def test_a_pack_can_tell_what_people_did_outside(watching: Watching) -> None:
    asked: list[ShadowAct] = []

    async def seen_outside(act: ShadowAct) -> Sequence[Counterpart]:
        asked.append(act)
        return [Counterpart("event:1", act.since, "folder.append", {"name": "file", "text": "hello"})]

    watching.watches.register("a pack", seen_outside)
    await watching.would_append()
    assert await watching.compared() == {"agreed": 1}
    (act,) = asked
    assert (act.tool, act.target, act.is_reversible) == ("folder.append", "file:file", True)
    assert act.until - act.since == timedelta(hours=HOURS)
