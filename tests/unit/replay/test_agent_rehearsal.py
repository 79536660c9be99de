"""Another version of an agent over recorded runs: followed as far as was recorded, judged by what is known by now."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel

from bailiwick.agents import Agent, AgentRecord
from bailiwick.kernel.documents import encode
from bailiwick.replay.agent_rehearsal import RecordedWork, rehearse_agent
from bailiwick.replay.evidence import Evidence
from bailiwick.replay.rehearsal import Bounds, Rehearsal, judge
from bailiwick.storage import Database
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Acted, Effect
from tests.support.replay import recording

NOWHERE = Database("postgresql://nobody@127.0.0.1:1/nothing")
WHO = AgentRecord(
    "agent", "org", "clerk", "Clerk", {}, ("clerk.work",), 0.0, 1, is_enabled=True,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


class Letter(BaseModel):
    text: str = ""


class Clerk(Agent[Letter]):
    """Looks at a letter, then answers and files it."""

    kind = "clerk"
    assignment = Letter

    async def work(self, run: Run, agent: AgentRecord, assignment: Letter) -> object:
        found = await run.step("look", never)
        await self.judge(run, found)
        done = [await run.act(effect) for effect in self.wanted(found)]
        return {"states": [one.state for one in done], "by": agent.name}

    async def judge(self, run: Run, found: Any) -> None:
        """Do nothing more."""

    def wanted(self, found: Any) -> list[Effect]:
        del found
        return [Effect("answer", {"to": "ada"}, "asked"), Effect("file", {"under": "a"}, "order")]


def never() -> Any:
    raise AssertionError("a rehearsal ran a recorded step")


def effect_of(seq: int, tool: str, arguments: dict[str, Any], state: str) -> dict[str, Any]:
    return {
        "id": f"{tool}-{seq}", "seq": seq, "round": 1, "tool": tool, "arguments": arguments, "state": state,
        "reason": "asked", "result": None, "effect_class": "external", "target": f"{tool}:1", "approval_id": None,
    }  # fmt: skip


def work_of(answered: Evidence, filed: Evidence, *, after: list[dict[str, Any]] | None = None) -> RecordedWork:
    """One run that answered and filed a letter, with what is known of both by now."""
    steps: list[dict[str, Any]] = [
        {"kind": "step", "name": "look", "result": {"mood": "calm"}},
        {"kind": "step", "name": "propose answer", "result": {"effect_id": "answer-1", "state": "proposed"}},
        {"kind": "step", "name": "apply answer", "result": {"effect_id": "answer-1", "state": "applied", "reason": ""}},
        *(after or []),
        {"kind": "step", "name": "propose file", "result": {"effect_id": "file", "state": "proposed"}},
        {"kind": "step", "name": "apply file", "result": {"effect_id": "file", "state": "applied", "reason": ""}},
    ]
    place = 3 + len(after or [])
    effects = [
        effect_of(1, "answer", {"to": "ada"}, answered.state or "applied"),
        effect_of(place, "file", {"under": "a"}, filed.state or "applied"),
    ]
    made = recording("clerk.work", {"text": "hello"}, steps, result={"states": ["applied", "applied"], "by": "Clerk"})
    evidence = {"answer-1": answered, f"file-{place}": filed}
    return RecordedWork(replace(made, agent=WHO, effects=effects), evidence, {})


GOOD = Evidence("e", "verified", "approved", outcomes=("worked",))
BAD = Evidence("e", "applied", None, outcomes=("did_not",))
REJECTED = Evidence("e", "declined", "rejected")


async def rehearsed(candidate: type[Agent[Any]], *works: RecordedWork) -> Rehearsal:
    def arguments_of(effect: Effect) -> Any:
        return orjson.loads(encode(effect.arguments))

    return await rehearse_agent(works, candidate(NOWHERE), name="candidate", arguments_of=arguments_of)


async def test_an_unchanged_agent_is_the_same_and_has_the_regressions_that_really_ran() -> None:
    found = await rehearsed(Clerk, work_of(GOOD, GOOD))
    assert (found.compared, found.same, found.changes, found.baseline) == (1, 1, (), 0)
    assert judge(found, Bounds()).is_passed
    again = await rehearsed(Clerk, work_of(GOOD, BAD))
    assert (again.same, again.baseline, len(again.regressions)) == (1, 1, 1)


async def test_a_worse_agent_that_loses_what_worked_is_refused() -> None:
    class Lazy(Clerk):
        def wanted(self, found: Any) -> list[Effect]:
            return super().wanted(found)[1:]

    found = await rehearsed(Lazy, work_of(GOOD, GOOD))
    assert [(one.tool, one.movement, one.regression) for one in found.changes] == [
        ("answer", "dropped", "it no longer proposes what turned out to work")
    ]
    assert not judge(found, Bounds()).is_passed


async def test_a_better_agent_that_learned_from_a_no_passes() -> None:
    class Wiser(Clerk):
        def wanted(self, found: Any) -> list[Effect]:
            return super().wanted(found)[:1]

    found = await rehearsed(Wiser, work_of(GOOD, REJECTED))
    assert [(one.tool, one.movement, one.regression) for one in found.changes] == [("file", "dropped", None)]
    assert judge(found, Bounds()).is_passed


async def test_an_agent_that_proposes_again_what_people_rejected_is_refused() -> None:
    found = await rehearsed(Clerk, work_of(GOOD, REJECTED))
    assert [one.regression for one in found.regressions] == ["it proposes again what it should not: people rejected it"]
    assert not judge(found, Bounds()).is_passed


async def test_an_effect_that_was_never_proposed_ends_the_rehearsal_as_diverged() -> None:
    class Pushy(Clerk):
        def wanted(self, found: Any) -> list[Effect]:
            return [Effect("answer", {"to": "everybody"}, "why not"), *super().wanted(found)]

    found = await rehearsed(Pushy, work_of(GOOD, GOOD))
    assert (found.compared, found.same, len(found.diverged)) == (0, 0, 1)
    assert [(one.tool, one.movement) for one in found.changes] == [("answer", "added")]
    assert not judge(found, Bounds()).is_passed


async def test_a_step_that_was_never_recorded_diverges_and_is_not_run() -> None:
    class Curious(Clerk):
        async def judge(self, run: Run, found: Any) -> None:
            await run.step("search the web", never)

    found = await rehearsed(Curious, work_of(GOOD, GOOD))
    assert (found.same, [lost.reason for lost in found.diverged]) == (
        0, ["it asks for step 'search the web', which is not recorded there"],
    )  # fmt: skip
    assert not found.changes


async def test_a_calculation_is_done_anew_and_its_answer_used() -> None:
    seen: list[Any] = []

    class Reckoning(Clerk):
        pure_steps = frozenset({"reckon"})

        async def judge(self, run: Run, found: Any) -> None:
            seen.append(await run.step("reckon", lambda: {"mood": found["mood"].upper()}))

    found = await rehearsed(Reckoning, work_of(GOOD, GOOD))
    assert (found.same, seen) == (1, [{"mood": "CALM"}])


async def test_what_was_answered_after_a_left_out_effect_is_no_answer_in_a_world_without_it() -> None:
    class Rereading(Clerk):
        def wanted(self, found: Any) -> list[Effect]:
            return []

        async def judge(self, run: Run, found: Any) -> None:
            await run.step("look again", never)

    after = [{"kind": "step", "name": "look again", "result": {"answered": True}}]
    found = await rehearsed(Rereading, work_of(GOOD, GOOD, after=after))
    assert (found.same, len(found.diverged)) == (0, 1)
    assert "it leaves out answer on answer:1" in found.diverged[0].reason
    declined = await rehearsed(Rereading, work_of(REJECTED, GOOD, after=after))
    assert not declined.diverged


async def test_another_result_is_a_change_that_nothing_calls_worse() -> None:
    class Wordy(Clerk):
        async def work(self, run: Run, agent: AgentRecord, assignment: Letter) -> object:
            return {"said": await super().work(run, agent, assignment)}

    found = await rehearsed(Wordy, work_of(GOOD, GOOD))
    assert [(one.movement, one.regression) for one in found.changes] == [("result", None)]


async def test_an_agent_that_fails_or_reaches_for_the_database_diverges() -> None:
    def failing(error: Callable[[Agent[Any]], Any]) -> type[Agent[Any]]:
        class Failing(Clerk):
            async def judge(self, run: Run, found: Any) -> None:
                await error(self)

        return Failing

    async def reads(agent: Agent[Any]) -> None:
        await agent.database.fetch_all("select 1")

    async def breaks(agent: Agent[Any]) -> None:
        raise KeyError("mood")

    for error, reason in ((reads, "reads the database"), (breaks, "it fails: KeyError")):
        found = await rehearsed(failing(error), work_of(GOOD, GOOD))
        assert (found.same, len(found.diverged)) == (0, 1)
        assert reason in found.diverged[0].reason


async def test_an_agent_cannot_swallow_that_it_diverged() -> None:
    class Stubborn(Clerk):
        async def judge(self, run: Run, found: Any) -> None:
            try:
                await run.act(Effect("delete", {}, "oops"))
            except Exception:  # noqa: BLE001 - what is tested
                return

    found = await rehearsed(Stubborn, work_of(GOOD, GOOD))
    assert (found.same, len(found.diverged)) == (0, 1)


def test_what_is_answered_is_what_the_run_was_told_then() -> None:
    # A recorded effect moves on after its run: it was told "applied" and is verified by now.
    assert Acted("e", "applied", "").is_done
