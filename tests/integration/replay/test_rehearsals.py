"""Candidates over runs that really happened, with answers of people: worse ones are refused, nothing is done."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bailiwick.agents import Agent, AgentRecord
from bailiwick.audit import Actor
from bailiwick.kernel.errors import InvalidInputError, RateLimitedError
from bailiwick.kernel.ids import new_id
from bailiwick.replay.rehearsal import Bound, Bounds, RehearsalRefusedError, judge
from bailiwick.replay.rehearsals import Rehearsals, Selection
from bailiwick.storage import Database
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Effect
from tests.support.acting import ActingEngine

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
CAREFUL = """
rules:
  - {name: ask, then: approve, when: {class: [write]}}
  - {name: never-blind, then: deny, when: {tool: [folder.blind]}}
"""
SAME_AND_MORE = f"""{CAREFUL}
  - {{name: never-mail, then: deny, when: {{tool: [mail.send]}}}}
"""
LOOSE = "rules:\n  - {name: anything, then: allow}\n"
SHUT = "rules:\n  - {name: nothing, then: deny}\n"


WRITER_OF_POLICIES = Actor("user", new_id(), "Ada")
CLERK = AgentRecord(
    "a", "o", "tester", "t", {}, (), 0.0, 1, is_enabled=True, created_at=datetime(2026, 1, 1, tzinfo=UTC)
)


class Wish(BaseModel):
    texts: list[str]
    tool: str = "folder.append"


class Writer(Agent[Wish]):
    """Looks, then appends what it is given, one line after the other."""

    kind = "tester"
    assignment = Wish

    async def work(self, run: Run, agent: AgentRecord, assignment: Wish) -> object:
        await run.step("look", str, "calm")
        return [
            (await run.act(Effect(assignment.tool, {"name": "file", "text": text}, "a test wants it"))).state
            for text in self.chosen(assignment.texts)
        ]

    def chosen(self, texts: list[str]) -> list[str]:
        """Return what to append."""
        return texts


class Forgetful(Writer):
    """A worse version: it leaves out the first."""

    def chosen(self, texts: list[str]) -> list[str]:
        return texts[1:]


class Inventive(Writer):
    """A worse version: it appends what nobody wished for."""

    def chosen(self, texts: list[str]) -> list[str]:
        return ["buy now", *texts]


class Wiser(Writer):
    """A better version: it learned from a no."""

    def chosen(self, texts: list[str]) -> list[str]:
        return [text for text in texts if "spam" not in text]


class Studio(ActingEngine):
    """An acting engine whose agent is a `Writer`, and the rehearsals over what it did."""

    def __init__(self, login_url: str, folder: Path) -> None:
        super().__init__(login_url, folder)
        self.folder = folder
        self.rehearsals = Rehearsals(self.database, self.tools)
        self.knows("policy.changed")

    async def write(self, *answers: tuple[str, str], tool: str = "folder.append") -> str:
        """Let the agent wish for texts, with people's answer to each, and return the task."""
        wish = {"texts": [text for text, _ in answers], "tool": tool}
        task = await self.add("tester.work", wish, agent_id=self.agent_id)
        for _, answer in answers:
            if answer != "none":
                await self.answer(await self.asked(task), answer, **({"reason": "no"} if answer == "reject" else {}))
        ended = await self.ended(task)
        assert ended["state"] == "completed", ended["errors"]
        return task

    async def found_kept(self) -> None:
        """Have a later look find that what was done last worked."""
        await self.inspector.execute(
            'insert into outcomes (id, organization_id, effect_id, task_id, effect_class, "check", claim, state, '
            "expected_at, check_at, checked_at) select %s, organization_id, id, task_id, effect_class, 'c', 'kept', "
            "'worked', now() - interval '2 days', now(), now() from effects where state = 'verified' "
            "order by id desc limit 1",
            (new_id(),),
        )

    async def agent(self, candidate: type[Agent[Any]], **selection: Any) -> Any:
        """Rehearse a class that reaches no database."""
        made = candidate(Database(NOWHERE))
        return await self.rehearsals.agent(self.organization_id, made, Selection(**selection))


@pytest.fixture
async def studio(login_url: str, tmp_path: Path) -> AsyncIterator[Studio]:
    async with Studio(login_url, tmp_path) as running:
        await running.employ(level=4)
        await running.policies.put(running.organization_id, CAREFUL, actor=WRITER_OF_POLICIES)
        writer = Writer(running.database)

        async def handle(run: Run, payload: BaseModel) -> object:
            return await writer.work(run, CLERK, Wish.model_validate(payload.model_dump()))

        running.handles("tester.work", handle)
        await running.work()
        yield running


async def test_the_policy_in_force_and_one_that_adds_what_never_happened_change_nothing(studio: Studio) -> None:
    await studio.write(("hello", "approve"), ("spam", "reject"))
    for source in (CAREFUL, SAME_AND_MORE):
        found = await studio.rehearsals.policy(studio.organization_id, source)
        assert (found.runs, found.compared, found.same, found.diverged) == (1, 2, 2, ())
        assert judge(found, Bounds()).is_passed


async def test_what_the_ceiling_that_comes_along_refused_is_refused_again(studio: Studio) -> None:
    labels = frozenset({"untrusted:instructions"})
    await studio.ended(await studio.add("tester.work", {"texts": ["hello"]}, agent_id=studio.agent_id, labels=labels))
    found = await studio.rehearsals.policy(studio.organization_id, LOOSE)
    assert (found.compared, found.same, found.diverged) == (1, 1, ())


async def test_a_worse_policy_is_refused_by_the_gate_and_nothing_is_done(studio: Studio) -> None:
    await studio.write(("hello", "approve"), ("spam", "reject"))
    await studio.found_kept()
    before = (studio.folder / "file").read_text()
    organization_id = studio.organization_id
    found = await studio.rehearsals.policy(organization_id, LOOSE)
    assert [(one.movement, one.regression) for one in found.changes] == [
        ("loosened", "it would be done without asking, and people rejected it"), ("loosened", None),
    ]  # fmt: skip
    assert found.changes[0].old.rule == "ask"
    assert found.by_class == {"write": {"loosened": 2}}
    with pytest.raises(RehearsalRefusedError, match="people rejected it"):
        await studio.rehearsals.require_policy(organization_id, LOOSE, Bounds(), is_ceiling=False)
    await studio.rehearsals.require_policy(organization_id, LOOSE, Bounds(Bound(1)), is_ceiling=False)
    with pytest.raises(RehearsalRefusedError, match="it turned out to work"):
        await studio.rehearsals.require_policy(organization_id, SHUT, Bounds(), is_ceiling=False)
    assert (studio.folder / "file").read_text() == before
    assert len((await studio.approvals.list(organization_id, state="waiting")).items) == 0


async def test_what_a_rule_refused_may_not_be_let_through_unasked(studio: Studio) -> None:
    await studio.write(("hello", "none"), tool="folder.blind")
    found = await studio.rehearsals.policy(studio.organization_id, LOOSE)
    assert [one.regression for one in found.changes] == ["it would be done without asking, and never-blind refused it"]


async def test_a_level_is_rehearsed_like_a_policy(studio: Studio) -> None:
    await studio.policies.put(studio.organization_id, "rules: []\n", actor=WRITER_OF_POLICIES)
    await studio.autonomy.set_level(
        studio.organization_id, studio.agent_id, "write", 2, actor=WRITER_OF_POLICIES, reason="ask first"
    )
    await studio.write(("hello", "approve"), ("spam", "reject"))
    arguments = (studio.organization_id, studio.agent_id, "write")
    found = await studio.rehearsals.level(*arguments, 3)
    assert len(found.regressions) == 1
    with pytest.raises(RehearsalRefusedError):
        await studio.rehearsals.require_level(*arguments, 3, Bounds())
    same = await studio.rehearsals.level(*arguments, 2)
    assert (same.compared, same.same) == (2, 2)


async def test_runs_are_selected_by_kind_agent_time_and_number(studio: Studio) -> None:
    for _ in range(3):
        await studio.write(("hello", "approve"))
    organization_id = studio.organization_id

    async def runs(**selection: Any) -> int:
        found = await studio.rehearsals.policy(organization_id, CAREFUL, Selection(**selection))
        return found.runs

    assert await runs() == 3
    assert await runs(runs=2) == 2
    assert await runs(kind="tester.work", agent_id=studio.agent_id) == 3
    assert await runs(kind="another") == await runs(agent_id=new_id()) == 0
    assert await runs(since=datetime(2200, 1, 1, tzinfo=UTC)) == await runs(until=datetime(2000, 1, 1, tzinfo=UTC)) == 0
    empty = await studio.rehearsals.policy(organization_id, CAREFUL, Selection(kind="another"))
    assert not judge(empty, Bounds()).is_passed


async def test_an_unchanged_agent_is_the_same_and_a_better_one_passes(studio: Studio) -> None:
    await studio.write(("hello", "approve"), ("spam", "reject"))
    same = await studio.agent(Writer)
    assert (same.compared, same.same, same.baseline) == (1, 1, 1)
    better = await studio.agent(Wiser)
    assert [(one.movement, one.regression) for one in better.changes] == [("dropped", None)]
    assert judge(better, Bounds()).is_passed


async def test_worse_agents_are_refused_and_no_tool_is_called(studio: Studio) -> None:
    await studio.write(("hello", "approve"))
    # That it was there at once is no proof that it worked.
    assert [one.regression for one in (await studio.agent(Forgetful)).changes] == [None]
    await studio.found_kept()
    before = (studio.folder / "file").read_text()
    forgetful = await studio.agent(Forgetful)
    assert [one.regression for one in forgetful.regressions] == ["it no longer proposes what turned out to work"]
    inventive = await studio.agent(Inventive)
    assert (inventive.same, len(inventive.diverged), inventive.changes[0].movement) == (0, 1, "added")
    for found in (forgetful, inventive):
        assert not judge(found, Bounds()).is_passed
    assert (studio.folder / "file").read_text() == before


async def test_an_effect_that_was_proposed_anew_is_one_effect(studio: Studio) -> None:
    task = await studio.add("tester.work", {"texts": ["hello"]}, agent_id=studio.agent_id)
    first = await studio.asked(task)
    (studio.folder / "file").write_text("somebody else was here\n")
    await studio.answer(first)
    await studio.answer(await studio.asked(task))
    await studio.ended(task)
    found = await studio.agent(Writer)
    assert (found.compared, found.same, found.changes) == (1, 1, ())


async def test_what_a_person_edited_is_followed(studio: Studio) -> None:
    task = await studio.add("tester.work", {"texts": ["hello"]}, agent_id=studio.agent_id)
    await studio.answer(await studio.asked(task), "edit", arguments={"name": "file", "text": "kinder words"})
    await studio.answer(await studio.asked(task))
    await studio.ended(task)
    found = await studio.agent(Writer)
    assert (found.compared, found.same, found.diverged) == (1, 1, ())


async def test_more_than_two_at_once_of_an_organization_are_refused_and_nobody_else_is_held_up(studio: Studio) -> None:
    await studio.write(("hello", "approve"))
    other = new_id()
    asked = [studio.rehearsals.policy(one, SAME_AND_MORE) for one in [studio.organization_id] * 4 + [other] * 2]
    found = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in found if isinstance(one, RateLimitedError)]
    assert [isinstance(one, RateLimitedError) for one in found] == [False, False, True, True, False, False]
    assert [one.retry_after_seconds > 0 and "wait until one has ended" in str(one) for one in refused] == [True, True]
    again = await studio.rehearsals.policy(studio.organization_id, SAME_AND_MORE)
    assert again.compared == 1


async def test_a_rehearsal_that_fails_gives_its_turn_back(studio: Studio) -> None:
    for _ in range(5):
        with pytest.raises(InvalidInputError):
            await studio.rehearsals.policy(studio.organization_id, "rules: 7")
