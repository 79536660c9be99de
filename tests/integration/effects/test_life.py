"""The life of an effect, from ``run.act`` to what is kept of it."""

from pathlib import Path

import pytest

from bailiwick.effects import Verdict
from bailiwick.kernel.errors import BailiwickError, ConflictError, InvalidInputError
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Effect
from tests.support.acting import PERSON, ActingEngine
from tests.support.engine import AnyPayload


async def test_what_is_allowed_is_done_recorded_and_verified(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ()
    await engine.work()
    ended = await engine.ended(await engine.act())
    assert ended["state"] == "completed", [error["message"] for error in ended["errors"]]
    effect = await engine.effects.get(engine.organization_id, ended["result"]["effect_id"])
    assert (ended["result"]["state"], effect.result) == ("verified", {"lines": 1})
    assert (tmp_path / "file").read_text() == f"{effect.id} hello\n"
    assert await engine.states(effect.id) == ["proposed", "executing", "applied", "verified"]
    assert await engine.audited(effect.id) == ["effect.applied"]
    events = await engine.inspector.fetch_all("select type from events where key = %s order by id", (effect.id,))
    assert [event["type"] for event in events] == ["effect.proposed", "effect.applied", "effect.verified"]
    assert effect.evidence[0]["evidence"] == {"lines": [f"{effect.id} hello"]}
    assert effect.undo == {
        "tool": "folder.append", "arguments": {"name": "file", "text": "undone"}, "limits": "adds a line",
    }  # fmt: skip


async def test_what_is_denied_is_not_done_but_recorded_with_the_reason(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.work()
    ended = await engine.ended(await engine.act())
    assert ended["result"]["state"] == "declined"
    assert "not one of this organization" in ended["result"]["reason"]
    effect = await engine.effect_of(ended["id"])
    assert (effect.state, effect.decision_id is not None, effect.calls) == ("declined", True, 0)
    assert not (tmp_path / "file").exists()


async def test_a_yes_of_people_lets_the_effect_go_on(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    approval = await engine.asked(task)
    assert not (tmp_path / "file").exists()
    assert approval.undo == "a line can be added to file for a day"
    # One word for what waits for people, whichever listing shows it.
    effect = await engine.effect_of(task)
    assert effect.state == approval.state == "waiting"
    told = await engine.inspector.fetch_one("select payload from events where key = %s", (effect.id,))
    assert told is not None
    assert told["payload"]["state"] == "waiting"
    await engine.answer(approval)
    ended = await engine.ended(task)
    assert ended["result"]["state"] == "verified"
    effect = await engine.effect_of(task)
    assert (effect.approval_id, effect.digest) == (approval.id, approval.digest)
    assert await engine.states(effect.id) == ["waiting", "executing", "applied", "verified"]


async def test_a_no_of_people_ends_it(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    await engine.answer(await engine.asked(task), "reject", reason="not today")
    ended = await engine.ended(task)
    assert (ended["result"]["state"], ended["result"]["reason"]) == ("declined", "people said no")
    assert not (tmp_path / "file").exists()


async def test_a_target_that_moved_voids_the_yes_and_is_proposed_anew(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    first = await engine.asked(task)
    (tmp_path / "file").write_text("somebody else was here\n")
    await engine.answer(first)
    second = await engine.asked(task)
    assert second.digest != first.digest
    assert (await engine.approvals.get(engine.organization_id, first.id)).state == "stale"
    await engine.answer(second)
    ended = await engine.ended(task)
    assert ended["result"]["state"] == "verified"
    effects = (await engine.effects.list(engine.organization_id)).items
    assert [(one.round, one.state) for one in effects] == [(2, "verified"), (1, "declined")]
    assert effects[1].problem == "stale: file:file has moved since"


async def test_a_target_that_never_rests_is_given_up(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    for number in range(3):
        approval = await engine.asked(task)
        (tmp_path / "file").write_text(f"moved {number} times\n")
        await engine.answer(approval)
    ended = await engine.ended(task)
    assert ended["result"]["state"] == "declined"
    assert ended["result"]["reason"].endswith("given up after 3 proposals")
    assert (tmp_path / "file").read_text() == "moved 2 times\n"


async def test_what_a_person_edited_is_proposed_with_another_digest(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    first = await engine.asked(task)
    await engine.answer(first, "edit", arguments={"name": "file", "text": "kinder words"})
    second = await engine.asked(task)
    assert (second.arguments["text"], second.digest == first.digest) == ("kinder words", False)
    await engine.answer(second)
    ended = await engine.ended(task)
    assert ended["result"]["state"] == "verified"
    assert (tmp_path / "file").read_text().endswith(" kinder words\n")


async def test_who_edited_a_proposal_does_not_approve_what_comes_of_it(engine: ActingEngine) -> None:
    await engine.employ(level=2)
    await engine.work()
    task, editor, other = await engine.act(), await engine.person(), await engine.person()
    first = await engine.asked(task)
    await engine.say(first, "edit", by=editor, arguments={"name": "file", "text": "kinder words"})
    second = await engine.asked(task)
    with pytest.raises(BailiwickError, match="asked for"):
        await engine.say(second, by=editor)
    await engine.say(second, by=other)
    assert (await engine.ended(task))["result"]["state"] == "verified"


async def test_silence_means_what_the_terms_say(engine: ActingEngine) -> None:
    await engine.employ(level=2)
    await engine.work()
    task = await engine.act()
    approval = await engine.asked(task)
    await engine.inspector.execute(
        "update approvals set expires_at = now() - interval '1 minute' where id = %s", (approval.id,)
    )
    await engine.inspector.execute("update tasks set run_at = now() where id = %s", (task,))
    ended = await engine.ended(task)
    assert (ended["result"]["state"], ended["result"]["reason"]) == (
        "declined", "nobody answered in time, and silence means no",
    )  # fmt: skip


async def test_a_read_leaves_no_events_but_a_trail(engine: ActingEngine) -> None:
    await engine.employ()
    await engine.work()
    ended = await engine.ended(await engine.act("folder.read"))
    effect = await engine.effect_of(ended["id"])
    assert ended["result"]["result"] == {"lines": 0}
    assert await engine.audited(effect.id) == ["effect.applied"]
    assert await engine.inspector.fetch_all("select 1 from events where key = %s", (effect.id,)) == []


async def test_no_such_tool_and_arguments_that_do_not_fit_are_the_handlers_error(engine: ActingEngine) -> None:
    raised: list[InvalidInputError] = []

    async def handle(run: Run, payload: AnyPayload) -> None:
        for tool, arguments in (("nothing.such", {}), ("folder.append", {"name": "../up", "text": ""})):
            try:
                await run.act(Effect(tool, arguments, "a test wants it"))
            except InvalidInputError as error:
                raised.append(error)

    engine.handles("wrong", handle)
    await engine.employ()
    await engine.work()
    await engine.ended(await engine.add("wrong", agent_id=engine.agent_id))
    assert [error.code for error in raised] == ["kind.unknown", "payload.invalid"]
    assert (await engine.effects.list(engine.organization_id)).items == []


async def test_secrets_are_struck_out_of_what_is_kept(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ()
    await engine.work()
    secret = "ghp_" + "a" * 36

    async def handle(run: Run, payload: AnyPayload) -> str:
        text = f"token {secret}"
        return (await run.act(Effect("folder.append", {"name": "file", "text": text}, "a test wants it"))).state

    engine.handles("leak", handle)
    ended = await engine.ended(await engine.add("leak", agent_id=engine.agent_id))
    assert ended["result"] == "verified"
    assert secret in (tmp_path / "file").read_text()
    effect = await engine.effect_of(ended["id"])
    assert effect.arguments["text"] == "token ghp_***"
    assert secret not in str(effect)


async def test_a_verdict_is_written_once(engine: ActingEngine) -> None:
    await engine.employ()
    await engine.work()
    ended = await engine.ended(await engine.act())
    effect = await engine.effect_of(ended["id"])
    async with engine.database.transaction(engine.organization_id) as connection:
        assert not await engine.effects.settle(effect.id, Verdict("refuted", {}), connection=connection)
    assert (await engine.effect_of(ended["id"])).state == "verified"


async def test_what_was_done_is_taken_back_by_an_effect_of_its_own(engine: ActingEngine, tmp_path: Path) -> None:
    async def take_back(run: Run, payload: AnyPayload) -> str:
        inverse = await engine.effects.undo(engine.organization_id, payload.effect_id, reason="it was wrong")
        return (await run.act(inverse)).effect_id

    engine.handles("undo", take_back)
    await engine.employ()
    await engine.work()
    done = (await engine.ended(await engine.act()))["result"]["effect_id"]
    inverse = (await engine.ended(await engine.add("undo", {"effect_id": done}, agent_id=engine.agent_id)))["result"]
    assert (tmp_path / "file").read_text() == f"{done} hello\n{inverse} undone\n"
    assert await engine.states(done) == ["proposed", "executing", "applied", "verified", "reverted"]
    assert await engine.audited(done) == ["effect.applied", "effect.reverted"]
    with pytest.raises(ConflictError, match="only what stands outside"):
        await engine.effects.undo(engine.organization_id, done, reason="again")
    with pytest.raises(ConflictError, match="only one that is unknown"):
        await engine.effects.settle_unknown(engine.organization_id, done, "applied", actor=PERSON, reason="no")


async def test_nothing_is_taken_back_twice(engine: ActingEngine, tmp_path: Path) -> None:
    async def take_back(run: Run, payload: AnyPayload) -> list[str]:
        inverse = await engine.effects.undo(engine.organization_id, payload.effect_id, reason="it was wrong")
        return [(await run.act(inverse)).state, (await run.act(inverse)).reason]

    engine.handles("undo", take_back)
    await engine.employ()
    await engine.work()
    done = (await engine.ended(await engine.act()))["result"]["effect_id"]
    state, reason = (await engine.ended(await engine.add("undo", {"effect_id": done}, agent_id=engine.agent_id)))[
        "result"
    ]
    assert (state, reason.startswith("another effect has taken back the same")) == ("verified", True)
    assert (tmp_path / "file").read_text().count("undone") == 1
