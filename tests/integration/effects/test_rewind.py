"""What a run did is taken back, the newest first; what cannot be is named before anything happens."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bailiwick.audit import EntryFilter
from bailiwick.effects.rewinding import KIND
from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import Run
from bailiwick.tasks.control import TaskControl
from tests.support.acting import PERSON
from tests.support.engine import AnyPayload
from tests.support.shelf import RewindingEngine, play

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def engine(login_url: str, tmp_path: Path) -> AsyncIterator[RewindingEngine]:
    async with RewindingEngine(login_url, tmp_path) as running:
        await running.staff()
        await running.work()
        yield running


async def states(engine: RewindingEngine, run: str) -> list[str]:
    """The states of a run's effects, in the order of its steps."""
    rows = await engine.inspector.fetch_all("select state from effects where task_id = %s order by seq", (run,))
    return [row["state"] for row in rows]


async def test_everything_is_taken_back_newest_first_each_by_a_verified_effect_of_its_own(
    engine: RewindingEngine,
) -> None:
    engine.shelf.folder.joinpath("a").write_text("first")
    run = await engine.play(("put", "a", "second"), ("put", "b", "new"), ("put", "a", "third"), ("take", "a", ""))
    journal = await engine.steps(run)
    result = await engine.rewind(run, reason="wrong shelf")
    assert engine.shelf.contents() == {"a": "first"}
    assert [(one["step"], one["tool"]) for one in result["undone"]] == [
        (6, "shelf.take"), (4, "shelf.put"), (2, "shelf.put"), (0, "shelf.put"),
    ]  # fmt: skip
    assert all(one["is_verified"] for one in result["undone"])
    assert (result["outcome"], result["stopped"], result["standing"]) == ("rewound", None, [])
    assert result["next"] == f"bailiwick tasks fork {run} --from-step 0"
    assert await states(engine, run) == ["reverted"] * 4
    assert await engine.steps(run) == journal
    for one in result["undone"]:
        inverse = await engine.effects.get(engine.organization_id, one["by"])
        assert (inverse.reverts, inverse.state, inverse.agent_id) == (one["effect_id"], "verified", engine.rewinder_id)
        assert "wrong shelf" in inverse.reason
        assert f"by:user:{PERSON.id}" in inverse.labels
        assert (await engine.audited(one["effect_id"]))[-1] == "effect.reverted"
    asked = await engine.audit.list(engine.organization_id, EntryFilter(action="run.rewind_requested"))
    assert [(entry.actor.id, entry.target, entry.reason) for entry in asked.items] == [
        (PERSON.id, f"task:{run}", "wrong shelf")
    ]


async def rests(engine: RewindingEngine) -> str:
    """A run that put two things on the shelf and is not over."""

    async def put_and_rest(run: Run, payload: AnyPayload) -> None:
        await play(run, payload)
        await run.sleep(3600)

    engine.handles("rest", put_and_rest)
    script = [("put", "a", "1"), ("put", "b", "2")]
    run = await engine.add("rest", {"script": script}, agent_id=engine.agent_id)
    await engine.reaches(run, "waiting")
    return run


async def test_a_run_that_is_not_over_is_not_rewound_whoever_added_the_task(engine: RewindingEngine) -> None:
    run = await rests(engine)
    by_hand = await engine.ended(await engine.add(KIND, engine.wanted(run).model_dump(), agent_id=engine.rewinder_id))
    assert (by_hand["state"], engine.shelf.contents()) == ("discarded", {"a": "1", "b": "2"})
    assert f"cancel it first: bailiwick tasks cancel {run}" in by_hand["reason"]


async def test_a_run_that_goes_on_while_it_is_rewound_stops_the_rewind(engine: RewindingEngine) -> None:
    control = TaskControl(engine.database, engine.wakeups)
    run = await rests(engine)
    await control.cancel(engine.organization_id, [run], reason="a test")

    async def revive(tool: str, boundary: str) -> None:
        if (tool, boundary) == ("shelf.take", "after"):
            await control.redrive(engine.organization_id, [run])
            await control.pause(engine.organization_id, [run])

    engine.shelf.hook = revive
    begun = await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
    assert begun.task_id is not None
    ended = await engine.ended(begun.task_id)
    assert (ended["state"], engine.shelf.contents()) == ("discarded", {"a": "1"})
    assert "cancel it first" in ended["reason"]


async def test_only_what_came_from_the_step_on_is_taken_back_and_the_rest_later(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("put", "a", "2"), ("put", "a", "3"))
    await engine.rewind(run, to_step=4)
    assert engine.shelf.contents() == {"a": "2"}
    await engine.rewind(run, to_step=2)
    assert engine.shelf.contents() == {"a": "1"}
    await engine.rewind(run)
    assert engine.shelf.contents() == {}
    assert await states(engine, run) == ["reverted"] * 3


async def test_rewinding_twice_changes_nothing(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("put", "b", "2"))
    await engine.rewind(run)
    before = await engine.inspector.fetch_all("select * from effects order by id")
    again = await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
    assert (again.task_id, [one.prospect for one in again.plan.undos]) == (None, ["reverted", "reverted"])
    assert await engine.inspector.fetch_all("select * from effects order by id") == before


async def test_what_nothing_takes_back_is_named_before_anything_runs(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("burn", "b", "ash"), ("put", "c", "3"))
    with pytest.raises(ConflictError, match=r"1 of 3 effects .*step 2, shelf.burn on file:b: nothing takes back"):
        await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
    assert await states(engine, run) == ["verified"] * 3
    result = await engine.rewind(run, around=True)
    assert engine.shelf.contents() == {"b": "ash"}
    assert [(one["tool"], one["prospect"]) for one in result["standing"]] == [("shelf.burn", "no_inverse")]
    assert await states(engine, run) == ["reverted", "verified", "reverted"]


async def test_what_is_past_its_time_stays(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("put", "b", "2"))
    await engine.inspector.execute(
        "update effects set undo_until = now() - interval '1 second' where task_id = %s and seq = 0", (run,)
    )
    with pytest.raises(ConflictError, match="it could be taken back until"):
        await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
    await engine.rewind(run, around=True)
    assert engine.shelf.contents() == {"a": "1"}


async def test_what_was_changed_since_is_refused_unless_said_otherwise(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("put", "b", "2"))
    (engine.shelf.folder / "a").write_text("somebody else")
    with pytest.raises(ConflictError, match=r"file:a is not as this effect left it.*--even-moved"):
        await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
    assert engine.shelf.contents() == {"a": "somebody else", "b": "2"}
    left = await engine.rewind(run, around=True)
    assert engine.shelf.contents() == {"a": "somebody else"}
    assert [one["prospect"] for one in left["standing"]] == ["moved"]
    await engine.rewind(run, even_moved=True)
    assert engine.shelf.contents() == {}


async def test_what_another_run_built_upon_is_refused_and_rewound_after_it(engine: RewindingEngine) -> None:
    first = await engine.play(("put", "a", "1"))
    second = await engine.play(("put", "a", "2"))
    with pytest.raises(ConflictError, match=f"changed since by shelf.put of run {second}"):
        await engine.rewinding.begin(engine.organization_id, engine.wanted(first), actor=PERSON)
    await engine.rewind(second)
    await engine.rewind(first)
    assert engine.shelf.contents() == {}


async def test_what_a_later_step_built_upon_stays_with_it(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("burn", "a", "ash"), ("put", "b", "2"))
    plan = await engine.rewinding.plan(engine.organization_id, engine.wanted(run))
    assert [(one.step, one.prospect) for one in plan.undos] == [(4, "undo"), (2, "no_inverse"), (0, "moved")]
    assert plan.undos[2].why == "step 2 changed file:a later, and stays"
    await engine.rewind(run, around=True)
    assert engine.shelf.contents() == {"a": "ash"}


async def test_what_nobody_can_tell_of_is_in_the_way(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("put", "b", "2"))
    await engine.inspector.execute("update effects set state = 'unknown' where task_id = %s and seq = 2", (run,))
    engine.shelf.blind.add("a")
    plan = await engine.rewinding.plan(engine.organization_id, engine.wanted(run))
    assert [one.prospect for one in plan.undos] == ["unknown", "unknown"]
    assert "a person has to say so first" in plan.undos[0].why
    assert plan.undos[1].why == "cannot determine: how file:a stands now missing (it is dark)"


async def test_an_inverse_that_is_lost_sight_of_waits_for_a_person(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("lay", "b", "2"))

    async def lose(tool: str, boundary: str) -> None:
        if (tool, boundary) == ("shelf.drop", "after"):
            raise OSError("the line broke")

    engine.shelf.hook = lose
    begun = await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
    assert begun.task_id is not None
    await engine.reaches_wait(begun.task_id, "effect.settled")
    assert await states(engine, run) == ["verified", "verified"]
    inverse = await engine.effect_of(begun.task_id)
    await engine.effects.settle_unknown(
        engine.organization_id, inverse.id, "applied", actor=PERSON, reason="the file is gone, I looked"
    )
    result = (await engine.ended(begun.task_id))["result"]
    assert [(one["target"], one["is_verified"]) for one in result["undone"]] == [("file:b", False), ("file:a", True)]
    assert await states(engine, run) == ["reverted", "reverted"]
    assert engine.shelf.contents() == {}


async def test_runs_that_it_spawned_are_named_and_not_touched(engine: RewindingEngine) -> None:
    async def parent(run: Run, payload: AnyPayload) -> None:
        child = await run.spawn("play", {"script": payload.script}, agent_id=engine.agent_id)
        await run.gather([child])
        await run.spawn("play", {"script": []}, agent_id=engine.agent_id)

    engine.handles("parent", parent)
    run = await engine.add("parent", {"script": [("put", "a", "1")]}, agent_id=engine.agent_id)
    await engine.ended(run)
    child = (await engine.inspector.fetch_all("select task_id::text from effects"))[0]["task_id"]
    assert (await engine.rewinding.plan(engine.organization_id, engine.wanted(run))).children == (child,)
    assert (await engine.rewinding.plan(engine.organization_id, engine.wanted(run, to_step=1))).children == ()


async def test_an_inverse_that_fails_stops_there_and_says_what_stands(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("put", "b", "2"), ("put", "c", "3"))
    engine.shelf.refused.add("b")
    result = await engine.rewind(run)
    assert result["outcome"] == "stopped"
    assert (result["stopped"]["target"], "nailed to the shelf" in result["stopped"]["why"]) == ("file:b", True)
    assert [one["target"] for one in result["undone"]] == ["file:c"]
    assert [one["target"] for one in result["standing"]] == ["file:b", "file:a"]
    assert engine.shelf.contents() == {"a": "1", "b": "2"}
    assert await states(engine, run) == ["verified", "verified", "reverted"]
    engine.shelf.refused.clear()
    await engine.rewind(run)
    assert engine.shelf.contents() == {}


async def test_an_inverse_whose_work_does_not_stand_stops_there(engine: RewindingEngine) -> None:
    run = await engine.play(("put", "a", "1"), ("put", "b", "2"))

    async def lie(tool: str, boundary: str) -> None:
        if (tool, boundary) == ("shelf.take", "after"):
            engine.shelf.lies.add("b")

    engine.shelf.hook = lie
    result = await engine.rewind(run)
    assert (result["outcome"], result["stopped"]["target"]) == ("stopped", "file:b")
    assert "does not stand" in result["stopped"]["why"]
    # Only what a verified inverse took back is marked.
    assert await states(engine, run) == ["verified", "verified"]
    assert engine.shelf.contents() == {"a": "1"}


async def test_an_inverse_that_is_not_allowed_stops_there(login_url: str, tmp_path: Path) -> None:
    async with RewindingEngine(login_url, tmp_path) as engine:
        await engine.staff(level=1)
        await engine.work()
        run = await engine.play(("put", "a", "1"))
        result = await engine.rewind(run)
        assert result["outcome"] == "stopped"
        assert result["stopped"]["why"].startswith("the inverse is declined: level:1")
        assert engine.shelf.contents() == {"a": "1"}


async def test_people_are_asked_as_for_any_other_effect(login_url: str, tmp_path: Path) -> None:
    async with RewindingEngine(login_url, tmp_path) as engine:
        await engine.staff(level=2)
        await engine.work()
        run = await engine.play(("put", "a", "1"))
        begun = await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
        assert begun.task_id is not None
        approval = await engine.asked(begun.task_id)
        assert engine.shelf.contents() == {"a": "1"}
        await engine.answer(approval)
        assert (await engine.ended(begun.task_id))["result"]["outcome"] == "rewound"
        assert engine.shelf.contents() == {}


async def test_a_run_that_is_not_over_or_not_there_is_not_rewound(engine: RewindingEngine) -> None:
    with pytest.raises(NotFoundError):
        await engine.rewinding.begin(engine.organization_id, engine.wanted(new_id()), actor=PERSON)

    waiting = await engine.add("play", {"script": []}, delay_seconds=3600)
    with pytest.raises(ConflictError, match=f"bailiwick tasks cancel {waiting}"):
        await engine.rewinding.begin(engine.organization_id, engine.wanted(waiting), actor=PERSON)


async def test_two_rewinds_at_once_are_one(login_url: str, tmp_path: Path) -> None:
    async with RewindingEngine(login_url, tmp_path) as engine:
        await engine.staff()
        first = await engine.work()
        run = await engine.play(("put", "a", "1"))
        await first.stop()
        engine.workers.remove(first)
        begun = await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
        with pytest.raises(ConflictError, match=f"is being rewound by task {begun.task_id}"):
            await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)


@pytest.mark.parametrize("seed", range(4))
async def test_the_dry_run_is_what_happens(engine: RewindingEngine, seed: int) -> None:
    """Random scripts, rewound to a random step: in reverse order, as planned, to what stood there before."""
    chance = random.Random(seed)  # noqa: S311 - the same script for the same seed
    (engine.shelf.folder / "a").write_text("old")
    tools = ["put", "put", "put", "take", "burn"] if seed % 2 else ["put", "put", "take"]
    snapshots, script = [engine.shelf.contents()], list[tuple[str, str, str]]()
    for number in range(6):
        script.append((chance.choice(tools), chance.choice("abc"), f"text {number}"))
    runs: list[str] = []
    step = 2 * chance.randrange(6)
    run = await engine.play(*script)
    runs.append(run)
    if seed == 3:
        (engine.shelf.folder / "b").write_text("somebody else")
    plan = await engine.rewinding.plan(engine.organization_id, engine.wanted(run, step))
    steps = [one.step for one in plan.undos]
    assert steps == sorted(steps, reverse=True)
    assert set(steps) <= set(range(step, 12, 2))
    if not plan.has_work:
        return
    result = await engine.rewind(run, step, around=True)
    assert [one["step"] for one in result["undone"]] == [one.step for one in plan.undos if one.prospect == "undo"]
    assert [one["step"] for one in result["standing"]] == [one.step for one in plan.in_the_way]
    expected = dict(snapshots[0])
    for tool, name, text in script[: step // 2]:
        _do(expected, tool, name, text)
    if not plan.in_the_way:
        assert engine.shelf.contents() == expected


def _do(contents: dict[str, str], tool: str, name: str, text: str) -> None:
    if tool == "take":
        contents.pop(name, None)
    else:
        contents[name] = text


@pytest.mark.durability
@pytest.mark.parametrize("boundary", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_rewind_that_is_killed_goes_on_where_it_was(
    login_url: str, tmp_path: Path, boundary: str, number: int
) -> None:
    async with RewindingEngine(login_url, tmp_path) as engine:
        await engine.staff()
        victim = await engine.work()
        run = await engine.play(("put", "a", "1"), ("put", "a", "2"), ("put", "b", "3"))
        reached, calls = asyncio.Event(), list[str]()

        async def stop(tool: str, at: str) -> None:
            if at == boundary:
                calls.append(tool)
            if at == boundary and len(calls) == number and not reached.is_set():
                reached.set()
                await asyncio.Event().wait()

        engine.shelf.hook = stop
        begun = await engine.rewinding.begin(engine.organization_id, engine.wanted(run), actor=PERSON)
        assert begun.task_id is not None
        await reached.wait()
        await engine.crash(victim)
        await engine.work()
        result = (await engine.ended(begun.task_id, seconds=30))["result"]
        assert (result["outcome"], [one["step"] for one in result["undone"]]) == ("rewound", [4, 2, 0])
        assert engine.shelf.contents() == {}
        assert await states(engine, run) == ["reverted"] * 3
        rows = await engine.inspector.fetch_all("select reverts from effects where reverts is not null")
        assert len({row["reverts"] for row in rows}) == len(rows) == 3
