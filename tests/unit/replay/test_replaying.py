"""The present code over a recorded journal: the same, or the first difference; never a guess, never an act."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.events import NewEvent
from bailiwick.kernel.errors import CannotDetermineError, DatabaseUnavailableError
from bailiwick.replay.recording import RecordedChild, RecordedEvent
from bailiwick.tasks import Run
from tests.support.engine import AnyPayload
from tests.support.replay import recording, replayed

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
# What a handler may do, as a program: a call with its recorded answer.
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.text(min_size=1, max_size=8), JSON),
        st.tuples(st.just("spawn"), st.sampled_from(["work", "check"]), st.uuids().map(str)),
        st.tuples(st.just("publish"), st.sampled_from(["a.done", "b.done"]), st.uuids().map(str)),
        st.tuples(st.just("sleep"), st.just("sleep"), st.none()),
        st.tuples(st.just("patch"), st.text(min_size=1, max_size=4), st.just(value=True)),
    ),
    max_size=8,
)


def never() -> Any:
    raise AssertionError("a replay ran a step")


async def perform(run: Run, calls: list[tuple[str, str, Any]]) -> list[Any]:
    """Make the calls of a program and return what they answered."""
    answers: list[Any] = []
    for kind, name, _ in calls:
        if kind == "step":
            answers.append(await run.step(name, never))
        elif kind == "spawn":
            answers.append(await run.spawn(name, {"made": True}))
        elif kind == "publish":
            answers.append(await run.publish(NewEvent(name, {"made": True})))
        elif kind == "sleep":
            answers.append(await run.sleep(60))
        else:
            answers.append(await run.patched(name))
    return answers


def recorded(calls: list[tuple[str, str, Any]]) -> Any:
    steps = [{"kind": kind, "name": name, "result": result} for kind, name, result in calls]
    return recording("program", {}, steps, result=[result for _, _, result in calls])


@given(CALLS)
async def test_an_unchanged_handler_over_its_own_journal_is_always_the_same(calls: Any) -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        del payload
        return await perform(run, calls)

    found = await replayed(recorded(calls), handler)
    assert (found.outcome, found.agreed, found.is_cut) == ("same", len(calls), False)


@given(CALLS, st.data())
async def test_a_call_more_less_or_another_one_is_never_the_same(calls: Any, data: st.DataObject) -> None:
    changed = list(calls)
    place = data.draw(st.integers(0, len(calls)))
    how = data.draw(st.sampled_from(["more", "less", "other"])) if place < len(calls) else "more"
    other = ("step", "never recorded", None)
    if how == "more":
        changed.insert(place, other)
    elif how == "less":
        del changed[place]
    else:
        changed[place] = other

    async def handler(run: Run, payload: AnyPayload) -> Any:
        del payload
        return await perform(run, changed)

    # A patch asked for behind what is recorded keeps the old path, so leaving one out may lead to the same calls.
    was_patch = how == "less" and calls[place][0] == "patch"
    found = await replayed(recorded(calls), handler)
    assert found.outcome == "diverged" or was_patch
    assert found.detail


async def test_another_result_is_told_with_both_sides() -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        return {"total": await run.step("price", never) + payload.extra}

    made = recording("order", {"extra": 2}, [{"kind": "step", "name": "price", "result": 3}], result={"total": 4})
    found = await replayed(made, handler)
    assert (found.outcome, found.seq, found.recorded, found.now) == ("diverged", None, {"total": 4}, {"total": 5})


async def test_a_child_given_something_else_diverges_and_one_given_the_same_does_not() -> None:
    steps = [{"kind": "spawn", "name": "work", "result": "child"}]
    made = recording("x", {}, steps, children={"child": RecordedChild("work", {"n": 1, "filled in": None})})

    async def handler(run: Run, payload: AnyPayload) -> None:
        await run.spawn("work", {"n": payload.n})

    assert (await replayed(replace(made, task=made.task._replace(payload={"n": 1})), handler)).is_same
    found = await replayed(replace(made, task=made.task._replace(payload={"n": 2})), handler)
    assert (found.outcome, found.seq, found.now) == ("diverged", 0, {"n": 2})


async def test_an_event_saying_something_else_diverges() -> None:
    steps = [{"kind": "publish", "name": "a.done", "result": "event"}]
    made = recording("x", {}, steps, events={"event": RecordedEvent("a.done", "k", {"n": 1})})

    async def handler(run: Run, payload: AnyPayload) -> None:
        await run.publish(NewEvent("a.done", {"n": 1}, key=payload.key))

    assert (await replayed(replace(made, task=made.task._replace(payload={"key": "k"})), handler)).is_same
    assert not (await replayed(replace(made, task=made.task._replace(payload={"key": "other"})), handler)).is_same


async def test_a_handler_that_swallows_errors_cannot_hide_a_difference() -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        del payload
        try:
            await run.step("tool that was never called", never)
        except Exception:  # noqa: BLE001 - what is tested
            return 3
        return 3

    found = await replayed(recording("x", {}, [], result=3), handler)
    assert found.outcome == "diverged"


async def test_a_run_that_was_cut_short_is_the_same_only_as_far_as_it_was_recorded() -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        del payload
        await run.step("first", never)
        return await run.step("second", never)

    made = recording("x", {}, [{"kind": "step", "name": "first", "result": 1}], state="cancelled")
    found = await replayed(made, handler)
    assert (found.outcome, found.is_cut, found.agreed) == ("same", True, 1)


async def test_a_waiting_run_is_the_same_up_to_its_wait() -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        del payload
        return await run.wait_for("order.paid", key="k")

    step = {"kind": "wait", "name": "order.paid", "result": None, "is_open": True}
    found = await replayed(recording("x", {}, [step], state="waiting"), handler)
    assert (found.outcome, found.is_cut) == ("same", True)


async def test_a_failure_is_the_same_only_if_it_fails_in_the_same_way() -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        del run
        raise CannotDetermineError(payload.missing)

    made = recording("x", {"missing": "unit"}, [], state="discarded")
    failed = replace(
        made, reason="no", error={"error": "cannot_determine", "message": "cannot determine: unit missing"}
    )
    assert (await replayed(failed, handler)).is_same
    other = replace(failed, error={"error": "ValueError", "message": "no"})
    assert (await replayed(other, handler)).outcome == "diverged"
    assert (await replayed(recording("x", {"missing": "unit"}, []), handler)).outcome == "diverged"


async def test_a_handler_that_needs_the_database_outside_of_a_step_cannot_be_judged() -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        del run, payload
        raise DatabaseUnavailableError("nobody answers")

    found = await replayed(recording("x", {}, []), handler)
    assert found.outcome == "undetermined"
    assert not found.is_same


async def test_a_payload_that_no_longer_fits_diverges_at_the_beginning() -> None:
    from pydantic import BaseModel  # noqa: PLC0415 - a schema of this test's own

    from bailiwick.replay.replaying import replay  # noqa: PLC0415 - as above

    class Strict(BaseModel):
        needed: int

    async def handler(run: Run, payload: Strict) -> int:
        del run
        return payload.needed

    found = await replay(recording("x", {"other": 1}, [], result=1), handler, Strict)
    assert (found.outcome, found.seq) == ("diverged", 0)
    assert "needed" in found.now


@pytest.mark.parametrize("extra", [1, 2])
async def test_more_work_behind_the_end_of_a_complete_journal_diverges(extra: int) -> None:
    async def handler(run: Run, payload: AnyPayload) -> Any:
        del payload
        for number in range(extra):
            await run.step(f"step {number}", never)

    found = await replayed(recording("x", {}, [{"kind": "step", "name": "step 0", "result": 1}]), handler)
    assert found.is_same is (extra == 1)
