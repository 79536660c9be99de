"""Labels on the database: stored with whatever carries them, joined by whatever a run learns, lost by nothing."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from bailiwick.audit import Actor
from bailiwick.events import EventType, NewEvent
from bailiwick.storage.database import trusted
from bailiwick.tasks import DiscardTask, Labelled, NewTask, RetryPolicy, Run, TaskKind
from bailiwick.tasks.reader import TaskReader
from bailiwick.tasks.scheduler import Scheduler
from bailiwick.tasks.schedules import NewSchedule, Schedules
from bailiwick.tasks.subscriptions import Subscription
from tests.support.engine import AnyPayload, Engine, Row, until
from tests.support.labelled_programs import Call, carried, execute

ANNA = frozenset({"by:user:anna"})
GITHUB = frozenset({"untrusted:github"})
MAIL = frozenset({"untrusted:mail"})
KEY = frozenset({"by:key:k1"})

EVERYTHING = (
    Call("step", MAIL), Call("spawn", MAIL), Call("labelled step", MAIL), Call("spawn", MAIL),
    Call("publish", frozenset({"untrusted:chat"})), Call("sleep", MAIL), Call("wait", GITHUB),
    Call("publish", frozenset()), Call("gather", KEY), Call("label", frozenset({"by:service:s"})), Call("spawn", MAIL),
    Call("label in step", frozenset({"untrusted:file"})),
)  # fmt: skip


class Programs:
    """Runs of one program: what each execution of it carried."""

    def __init__(self, engine: Engine, program: tuple[Call, ...]) -> None:
        self.engine = engine
        self.program = program
        self.executions: list[list[frozenset[str]]] = []
        engine.handles("program", self.handle)
        engine.handles("child", _nothing)
        engine.handles("learning child", _learning)
        engine.knows("told", "answered")

    async def handle(self, run: Run, payload: AnyPayload) -> list[str]:
        """Carry the program out."""
        del payload
        seen: list[frozenset[str]] = []
        self.executions.append(seen)
        return await execute(run, self.program, seen)

    async def answer(self, task_id: str) -> None:
        """Publish the events that the program waits for, each with its labels."""
        for number, call in enumerate(self.program):
            if call.kind == "wait":
                await self.engine.reaches_wait(task_id, "answered")
                await self.engine.publish("answered", f"{task_id}:{number}", labels=call.labels)


async def _nothing(run: Run, payload: AnyPayload) -> None:
    del run, payload


async def _learning(run: Run, payload: AnyPayload) -> None:
    run.label(*payload.labels)


async def children(engine: Engine, task_id: str) -> list[Row]:
    """Return the ended children of a task, oldest first."""
    rows = await engine.inspector.fetch_all(
        "select id from finished_tasks where parent_id = %s order by id", (task_id,)
    )
    return [await engine.ended(row["id"]) for row in rows]


@pytest.mark.parametrize("way", ["claimed", "handed over"])
async def test_a_run_carries_its_labels_through_every_call_and_hands_them_on(engine: Engine, way: str) -> None:
    programs = Programs(engine, EVERYTHING)
    expected = list(carried(EVERYTHING, ANNA))
    worker = await engine.work()
    if way == "handed over":
        engine.queue.hand_to(worker)
    task_id = await engine.add("program", labels=ANNA)
    await programs.answer(task_id)
    ended = await engine.ended(task_id)
    assert all(seen == expected[: len(seen)] for seen in programs.executions)
    assert programs.executions[-1] == expected
    assert (ended["labels"], ended["result_labels"]) == (sorted(ANNA), sorted(expected[-1]))
    made = await until(lambda: _when(children(engine, task_id), 4), "four children end")
    assert [set(child["labels"]) for child in made] == [ANNA, ANNA | MAIL, ANNA | MAIL | GITHUB, expected[-2]]
    told = await engine.inspector.fetch_all("select labels from events where type = 'told' order by id")
    assert [set(event["labels"]) for event in told] == [ANNA | MAIL | {"untrusted:chat"}, ANNA | MAIL | GITHUB]


async def _when(rows: Any, count: int) -> list[Row] | None:
    found = await rows
    return found if len(found) == count else None


async def test_what_carries_no_labels_stores_none(engine: Engine) -> None:
    programs = Programs(engine, (Call("step", MAIL), Call("publish", frozenset()), Call("wait", frozenset())))
    await engine.work()
    task_id = await engine.add("program")
    await programs.answer(task_id)
    ended = await engine.ended(task_id)
    assert (ended["labels"], ended["result_labels"]) == (None, None)
    assert [step["labels"] for step in await engine.steps(task_id)] == [None] * 3
    rows = await engine.inspector.fetch_all("select labels from events")
    assert [row["labels"] for row in rows] == [None, None]


async def test_a_task_that_follows_from_an_event_carries_the_labels_of_both(engine: Engine) -> None:
    seen: list[frozenset[str]] = []

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        seen.append(run.labels)

    engine.handles("follow", handler)
    engine.knows("told")
    engine.subscriptions.add(Subscription("told", "follow", lambda _: NewTask("follow", {}, labels=KEY)))
    await engine.work()
    await engine.publish("told", "x", labels=GITHUB)
    await until(lambda: _is_true(len(seen) == 1), "the task ends")
    assert seen == [GITHUB | KEY]


async def _is_true(condition: bool) -> bool:
    return condition


async def test_what_is_declared_to_come_from_outside_is_labelled_whoever_hands_it_in(engine: Engine) -> None:
    engine.types.register(EventType("issue.seen", 1, AnyPayload, outside="issues"))
    engine.kinds.register(TaskKind("read", _learning, AnyPayload, outside="issues"))
    first = await engine.publish("issue.seen", "a", labels=ANNA)
    second = await engine.publish("issue.seen", "b", labels=GITHUB)
    rows = await engine.inspector.fetch_all("select id, labels from events order by id")
    assert {row["id"]: set(row["labels"]) for row in rows} == {first: ANNA | {"untrusted:issues"}, second: set(GITHUB)}
    task_id = await engine.add("read", {"labels": []}, labels=ANNA)
    row = await engine.live(task_id)
    assert row is not None
    assert set(row["labels"]) == ANNA | {"untrusted:issues"}


async def test_a_run_begun_again_after_a_lost_worker_carries_what_it_had_learned(engine: Engine) -> None:
    seen: list[frozenset[str]] = []

    async def learned() -> Labelled[str]:
        return Labelled("text", MAIL)

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        await run.step("learn", learned)
        seen.append(run.labels)
        if len(seen) == 1:
            await engine.crash(engine.workers[0])
        await run.step("go on", lambda: 1)

    engine.handles("work", handler)
    await engine.work()
    task_id = await engine.add("work", labels=ANNA)
    await until(lambda: _is_true(len(seen) == 1), "it learned")
    await engine.work()
    ended = await engine.ended(task_id)
    assert seen == [ANNA | MAIL, ANNA | MAIL]
    assert set(ended["result_labels"]) == ANNA | MAIL


async def test_retries_redrives_and_forks_keep_labels(engine: Engine) -> None:
    seen: list[frozenset[str]] = []

    async def learned() -> Labelled[str]:
        return Labelled("text", MAIL)

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        await run.step("learn", learned)
        seen.append(run.labels)
        await run.step("more", lambda: Labelled("text", KEY))
        if len(seen) < 3:
            raise ValueError("not yet")

    engine.handles("work", handler, retry=RetryPolicy(max_attempts=2, first_delay_seconds=0.001, factor=1))
    await engine.work()
    task_id = await engine.add("work", labels=ANNA)
    ended = await engine.ended(task_id)
    assert (ended["state"], set(ended["result_labels"])) == ("discarded", ANNA | MAIL | KEY)
    await engine.control.redrive(engine.organization_id, [task_id])
    assert (await engine.ended(task_id))["state"] == "completed"
    bert = Actor("user", "bert", "Bert")
    forked = await engine.control.fork(engine.organization_id, task_id, from_step=1, actor=bert)
    ended = await engine.ended(forked)
    assert seen == [ANNA | MAIL] * 3 + [ANNA | MAIL | {"by:user:bert"}]
    assert (set(ended["labels"]), set(ended["result_labels"])) == (
        ANNA | {"by:user:bert"}, ANNA | MAIL | KEY | {"by:user:bert"},
    )  # fmt: skip


async def test_the_outcome_of_a_child_that_failed_teaches_its_parent_as_well(engine: Engine) -> None:
    async def fails(run: Run, payload: AnyPayload) -> None:
        del payload
        run.label(*MAIL)
        raise DiscardTask("the letter says: pay me")

    async def parent(run: Run, payload: AnyPayload) -> str | None:
        del payload
        (outcome,) = await run.gather([await run.spawn("fails", {})])
        assert outcome.labels == sorted(ANNA | MAIL)
        assert run.labels == ANNA | MAIL
        return outcome.reason

    engine.handles("fails", fails)
    engine.handles("parent", parent)
    await engine.work()
    ended = await engine.ended(await engine.add("parent", labels=ANNA))
    assert ended["result"] == "the letter says: pay me"
    assert set(ended["result_labels"]) == ANNA | MAIL


async def test_a_schedules_tasks_carry_who_made_it_and_a_replaced_one_who_replaced_it(engine: Engine) -> None:
    engine.handles("tick", _nothing)
    engine.kinds.register(TaskKind("read", _nothing, AnyPayload, outside="issues"))
    schedules = Schedules(engine.database, engine.kinds, engine.wakeups)
    for name, kind, labels in (
        ("a", "tick", ANNA),
        ("b", "tick", ANNA),
        ("b", "tick", KEY),
        ("c", "read", frozenset[str]()),
    ):
        await schedules.put(
            engine.organization_id, NewSchedule(name, kind, {"of": name}, interval_seconds=3600, labels=labels)
        )  # fmt: skip
    await engine.inspector.execute("update schedules set next_fire_at = %s", (datetime.now(UTC),))
    await Scheduler(engine.database, engine.wakeups).fire_due()
    rows = await engine.inspector.fetch_all("select payload ->> 'of' as of, labels from tasks")
    assert {row["of"]: row["labels"] for row in rows} == {
        "a": sorted(ANNA),
        "b": sorted(KEY),
        "c": ["untrusted:issues"],
    }
    assert (await schedules.get(engine.organization_id, "a")).labels == sorted(ANNA)


async def test_readers_show_labels_of_events_tasks_and_steps(engine: Engine) -> None:
    programs = Programs(engine, (Call("labelled step", MAIL), Call("wait", GITHUB)))
    await engine.work()
    task_id = await engine.add("program", labels=ANNA)
    reader = TaskReader(engine.database)
    await engine.reaches_wait(task_id, "answered")
    live = await reader.get(engine.organization_id, task_id)
    assert (live.labels, live.result_labels) == (sorted(ANNA), None)
    await programs.answer(task_id)
    await engine.ended(task_id)
    ended = await reader.get(engine.organization_id, task_id)
    assert (ended.labels, ended.result_labels) == (sorted(ANNA), sorted(ANNA | MAIL | GITHUB))
    steps = await reader.journal(engine.organization_id, task_id)
    assert [step.labels for step in steps] == [sorted(MAIL), sorted(GITHUB)]
    (listed,) = (await reader.list(engine.organization_id)).items
    assert listed.labels == sorted(ANNA)


async def test_an_event_that_came_before_the_wait_teaches_as_well(engine: Engine) -> None:
    seen: list[frozenset[str]] = []

    async def handler(run: Run, payload: AnyPayload) -> None:
        del payload
        await run.publish(NewEvent("answered", {}, key="k", labels=MAIL))
        seen.append(run.labels)
        await run.wait_for("answered", key="k")
        seen.append(run.labels)

    engine.handles("work", handler)
    engine.knows("answered")
    await engine.work()
    await engine.ended(await engine.add("work", labels=ANNA))
    # What a run tells it need not have learned; what it is told it has.
    assert seen == [ANNA, ANNA, ANNA | MAIL]


@pytest.mark.parametrize("table", ["events", "tasks", "finished_tasks", "steps"])
async def test_the_database_takes_no_label_away(engine: Engine, table: str) -> None:
    Programs(engine, (Call("labelled step", MAIL), Call("publish", GITHUB)))
    await engine.work()
    await engine.ended(await engine.add("program", labels=ANNA))
    await engine.add("program", labels=ANNA, delay_seconds=3600)
    partitions = await engine.inspector.fetch_all(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = %s::regclass", (table,)
    )
    for name in [table, *[row["name"] for row in partitions]]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with engine.database.transaction(engine.organization_id) as connection:
                await connection.execute(trusted(f"update {name} set labels = null"))
    rows = await engine.inspector.fetch_all(f"select labels from {table}")
    assert any(row["labels"] for row in rows)
