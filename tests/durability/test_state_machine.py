"""Whatever is called in whatever order, the database functions do what the model says."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bailiwick.kernel.ids import id_at, new_id, time_of
from bailiwick.tasks.run import _LATE_BY
from tests.support.engine_machine import CheckedEngine
from tests.support.engine_model import Due, ModelTask

pytestmark = [pytest.mark.durability, pytest.mark.timeout(180)]

_KINDS = ("copy", "file")
_KEYS = ("red", "blue")
_MOST = 3
_LONG_SECONDS = 3600.0

fences = st.sampled_from([0, 0, 0, 0, -1, 1])
due = st.sampled_from(["later", "due"])


class EngineMachine(CheckedEngine):
    """Calls the functions as workers, doors and upkeep do, late and twice included."""

    # ruff: noqa: PLR0917 - rules are called by name

    # Doors

    @rule(
        organization=st.integers(0, 2),
        kind=st.sampled_from(_KINDS),
        priority=st.integers(0, 3),
        deadline=st.none() | st.integers(1, 3),
        key=st.none() | st.sampled_from(_KEYS),
        run_at=st.none() | due,
        count=st.integers(1, 4),
    )
    def enqueue(
        self,
        organization: int,
        kind: str,
        priority: int,
        deadline: int | None,
        key: str | None,
        run_at: Due | None,
        count: int,
    ) -> None:
        for _ in range(count):
            task = ModelTask(new_id(), self.organizations[organization], kind, priority, deadline)
            # Due at once means available; "due" would be a moment that passed already.
            task.state, task.run_at = ("scheduled", "later") if run_at == "later" else ("available", None)
            row: dict[str, Any] = {"i": 0, "id": task.id, "org": task.organization, "kind": kind}
            row |= {"pri": priority, "key": key}
            row["deadline"] = None if deadline is None else f"2100-01-0{deadline}T00:00:00Z"
            row["delay"] = {"later": _LONG_SECONDS, "due": -1.0, None: None}[run_at]
            self.sent.append(row)
            answers = self.rows("task_enqueue", row)
            holder = self.model.enqueue(task, key)
            if key is not None:
                assert answers == [{"ordinal": 0, "task_id": holder, "is_new": holder == task.id}]

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def enqueue_again_after_a_lost_answer(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.sent))
        self.sql("select * from task_enqueue(%s::jsonb, true)", json.dumps([row]))

    @rule(
        organization=st.integers(0, 1),
        key=st.sampled_from(_KEYS),
        dedupe=st.none() | st.none() | st.sampled_from(_KEYS),
        has_task=st.booleans(),
        is_crash=st.booleans(),
    )
    def publish(self, organization: int, key: str, dedupe: str | None, has_task: bool, is_crash: bool) -> None:
        event, owner = new_id(), self.organizations[organization]
        row = {"i": 0, "id": event, "org": owner, "type": "e", "version": 1, "key": key, "payload": {}}
        row |= {"occurred": "2026-01-01T00:00:00Z", "dedupe": dedupe}
        task = ModelTask(new_id(), owner, "copy", 2, None)
        tasks = [{"id": task.id, "org": owner, "kind": "copy", "event": event}] if has_task else []
        answers = self.sql("select * from events_append(%s::jsonb, %s::jsonb)", json.dumps([row]), json.dumps(tasks))
        holder = self.model.publish(event, owner, key, dedupe)
        if dedupe is not None:
            assert answers == [{"ordinal": 0, "event_id": holder, "is_duplicate": holder != event}]
        if has_task and holder == event:
            self.model.enqueue(task, None)
        if not is_crash and holder == event:
            self.sql("select task_wake_by_events(%s::uuid[])", [event])
            self.model.wake_by_event(event)

    # Workers

    @initialize(
        data=st.data(),
        tasks=st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 3), st.none() | st.integers(1, 3)), min_size=4, max_size=12
        ),
    )
    def begin_with_work(self, data: st.DataObject, tasks: list[tuple[int, int, int | None]]) -> None:
        self.register()
        for organization, priority, deadline in tasks:
            self.enqueue(organization, "copy", priority, deadline, None, None, 1)
        self.claim(data, len(tasks) // 2, _KINDS, False, 3)

    @rule()
    def register(self) -> None:
        if sum(state == "active" for state in self.model.workers.values()) >= 3:
            return
        worker = new_id()
        self.connection.execute(
            "insert into workers (id, name, host, pid, state, code_version, concurrency, lease_until) "
            "values (%s, 'w', 'h', 1, 'active', 'v', 10, now() + interval '1 hour')",
            (worker,),
        )
        self.model.workers[worker] = "active"

    @rule(
        data=st.data(),
        limit=st.integers(1, 24),
        kinds=st.sampled_from([_KINDS, _KINDS, ("copy",)]),
        has_rooms=st.booleans(),
        start=st.integers(0, 3),
    )
    def claim(self, data: st.DataObject, limit: int, kinds: tuple[str, ...], has_rooms: bool, start: int) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.workers)))
        rooms = {o: data.draw(st.integers(0, 3)) for o in self.organizations[:2]} if has_rooms else {}
        after = "00000000-0000-0000-0000-000000000000" if start == 3 else self.organizations[start]
        before = self.model.claimable(kinds)
        lane_rooms = {lane: self.model.room(*lane) for lane in before}
        call = partial(
            self.sql,
            "select * from task_claim(%s, %s, %s, %s, '', %s::uuid[], %s::int[], 'v')",
            worker, limit, list(kinds), after, list(rooms), list(rooms.values()),
        )  # fmt: skip
        if self.model.workers[worker] != "active":
            with pytest.raises(psycopg.Error, match="is not active"):
                call()
            return
        rows = call()
        assert all(row["task_id"] is not None for row in rows)
        self.check_claim(rows, limit, before, lane_rooms, rooms)
        self.model.claim(worker, [row["task_id"] for row in rows])
        for row in rows:
            assert row["token"] == self.model.live[row["task_id"]].fence

    @precondition(lambda self: self.in_state("executing"))
    @rule(data=st.data(), off=fences, seq=st.integers(0, 3), value=st.integers())
    def journal(self, data: st.DataObject, off: int, seq: int, value: int) -> None:
        task = self.pick(data, "executing")
        row = {"t": task.id, "f": task.fence + off, "s": seq, "k": "step", "n": "n", "r": value, "ms": 1}
        held = self.sql("select task_journal(%s::jsonb) as id", json.dumps([row]))
        assert bool(held) == self.model.journal(task.id, task.fence + off, seq, value)

    @precondition(lambda self: self.in_state())
    @rule(data=st.data(), seq=st.integers(0, 3), value=st.integers())
    def journal_after_the_task_was_let_go(self, data: st.DataObject, seq: int, value: int) -> None:
        task = self.pick(data)
        row = {"t": task.id, "f": task.fence, "s": seq, "k": "step", "n": "n", "r": value, "ms": 1}
        held = self.sql("select task_journal(%s::jsonb) as id", json.dumps([row]))
        assert bool(held) == self.model.journal(task.id, task.fence, seq, value)

    @precondition(lambda self: self.in_state())
    @rule(data=st.data(), off=fences, state=st.sampled_from(["completed", "completed", "discarded"]))
    def finish(self, data: st.DataObject, off: int, state: str) -> None:
        task = self.pick(data, "executing") if self.in_state("executing") else self.pick(data)
        fence = task.fence + off
        rows = self.rows("task_finish", {"t": task.id, "f": fence, "st": state, "p": task.parent})
        assert bool(rows) == self.model.finish(task.id, fence, state)

    @precondition(lambda self: self.in_state())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task = self.pick(data)
        rows = self.rows("task_finish", {"t": task.id, "st": "cancelled", "why": "w", "p": task.parent})
        assert len(rows) == self.model.finish(task.id, None, "cancelled") == 1

    @precondition(lambda self: self.in_state("executing"))
    @rule(data=st.data(), off=fences, state=st.sampled_from(["retryable", "available"]), run_at=due)
    def release(self, data: st.DataObject, off: int, state: str, run_at: Due) -> None:
        task = self.pick(data, "executing")
        fence, failed = task.fence + off, state == "retryable"
        row: dict[str, Any] = {"t": task.id, "f": fence, "st": state}
        if failed:
            row |= {"delay": _LONG_SECONDS if run_at == "later" else 0, "e": {"m": 1}}
        rows = self.rows("task_release", row)
        assert bool(rows) == self.model.release(task.id, fence, state, run_at, failed=failed)

    @precondition(lambda self: self.in_state("executing"))
    @rule(data=st.data(), off=fences, seq=st.integers(4, 6), run_at=due)
    def sleep(self, data: st.DataObject, off: int, seq: int, run_at: Due) -> None:
        task = self.pick(data, "executing")
        fence = task.fence + off
        row = {"t": task.id, "f": fence, "st": "waiting", "ss": seq, "sk": "sleep", "sn": "s"}
        self.rows("task_release", row | {"delay": _LONG_SECONDS if run_at == "later" else 0})
        self.model.wait(task.id, fence, seq, run_at=run_at)

    @precondition(lambda self: self.in_state("executing"))
    @rule(
        data=st.data(), off=fences, seq=st.integers(4, 9), key=st.sampled_from(_KEYS),
        run_at=st.none() | due, is_crash=st.booleans(),
    )  # fmt: skip
    def wait_for_event(
        self, data: st.DataObject, off: int, seq: int, key: str, run_at: Due | None, is_crash: bool
    ) -> None:
        task = self.pick(data, "executing", rather=self.has_had_an_event)
        fence = task.fence + off
        had = {str(step.result) for step in self.model.steps[task.id].values() if isinstance(step.result, str)}
        after = id_at(time_of(max([task.id, *had])) - _LATE_BY)
        row = {
            "t": task.id, "f": fence, "st": "waiting", "ss": seq, "sk": "wait", "sn": "e", "ev": "e", "key": key,
            "after": after, "seen": sorted(had), "delay": {"later": _LONG_SECONDS, "due": 0, None: None}[run_at],
        }  # fmt: skip
        self.rows("task_release", row)
        self.model.wait(task.id, fence, seq, run_at=run_at, key=key, seen=frozenset(had))
        if not is_crash:
            self.sql("select task_wake_from_history(%s::uuid[])", [task.id])
            self.model.wake_from_history([task.id])

    def has_had_an_event(self, task: ModelTask) -> bool:
        return any(isinstance(step.result, str) for step in self.model.steps[task.id].values())

    @precondition(lambda self: self.in_state("executing"))
    @rule(data=st.data(), off=fences, key=st.sampled_from(_KEYS), count=st.integers(1, 3))
    def spawn(self, data: st.DataObject, off: int, key: str, count: int) -> None:
        task = self.pick(data, "executing")
        for n in range(count):
            child = ModelTask(new_id(), task.organization, "copy", task.priority, None, task.id)
            row = {"i": 0, "id": child.id, "org": task.organization, "kind": "copy", "pri": task.priority}
            row |= {"parent": task.id, "pf": task.fence + off, "key": f"spawn:{task.id}:{key}:{n}"}
            answers = self.rows("task_enqueue", row)
            holder = self.model.enqueue(child, str(row["key"]), task.fence + off)
            assert [answer["task_id"] for answer in answers] == ([] if holder is None else [holder]) or off

    @precondition(lambda self: self.in_state("executing"))
    @rule(data=st.data(), off=fences, seq=st.integers(10, 12))
    def gather(self, data: st.DataObject, off: int, seq: int) -> None:
        task = self.pick(data, "executing")
        fence = task.fence + off
        ended = [t for t, _ in self.model.finished.values()]
        children = [t.id for t in [*self.model.live.values(), *ended] if t.parent == task.id]
        row = {"t": task.id, "f": fence, "st": "waiting", "ss": seq, "sk": "gather", "sn": "g", "ch": children}
        self.rows("task_release", row)
        self.model.wait(task.id, fence, seq, children=children)

    @rule(data=st.data())
    def lapse_and_reap(self, data: st.DataObject) -> None:
        active = sorted(worker for worker, state in self.model.workers.items() if state == "active")
        lapsed = data.draw(st.lists(st.sampled_from(active), unique=True)) if active else []
        self.connection.execute("update workers set lease_until = heartbeat_at where id = any(%s::uuid[])", (lapsed,))
        [row] = self.sql("select * from worker_reap(%s, %s)", new_id(), _MOST)
        assert set(row["dead"]) == set(lapsed)
        assert (row["recovered"], row["poisoned"]) == self.model.reap(lapsed, _MOST)

    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.workers)))
        [row] = self.sql("select worker_heartbeat(%s, 3600) as held", worker)
        if self.model.workers[worker] == "dead":
            assert row["held"] is None
        else:
            assert set(row["held"]) == {task.id for task in self.model.live.values() if task.worker == worker}

    @precondition(lambda self: self.in_state("executing"))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.workers)))
        task = self.pick(data, "executing")
        [row] = self.sql("select worker_return(%s, %s::uuid[]) as n", worker, [task.id])
        assert row["n"] == self.model.give_back(worker, [task.id])

    # Upkeep and people

    @rule()
    def promote(self) -> None:
        [row] = self.sql("select * from task_promote(1000)")
        assert row["promoted"] == self.model.promote()

    @precondition(lambda self: any(task.run_at == "later" for task in self.model.live.values()))
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        tasks = sorted(task.id for task in self.model.live.values() if task.run_at == "later")
        for task in data.draw(st.lists(st.sampled_from(tasks), min_size=1, unique=True)):
            self.connection.execute("update tasks set run_at = now() - interval '1 second' where id = %s", (task,))
            self.model.live[task].run_at = "due"

    @rule()
    def sweep(self) -> None:
        self.sql("select task_wake_from_history(null)")
        self.model.wake_from_history(None)

    @precondition(lambda self: self.in_state())
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        self.move(data, "task_pause", self.model.pause)

    @precondition(lambda self: any(task.is_paused for task in self.model.live.values()))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        paused = sorted(task.id for task in self.model.live.values() if task.is_paused)
        task = self.model.live[data.draw(st.sampled_from(paused))]
        rows = self.sql("select task_resume(%s, %s::uuid[])", task.organization, [task.id])
        assert bool(rows) == self.model.resume(task.id)

    def move(self, data: st.DataObject, function: str, modelled: Callable[[str], bool]) -> None:
        task = self.pick(data, rather=lambda task: task.state == "waiting")
        stranger = next(o for o in self.organizations if o != task.organization)
        assert self.sql(f"select {function}(%s, %s::uuid[])", stranger, [task.id]) == []
        rows = self.sql(f"select {function}(%s, %s::uuid[])", task.organization, [task.id])
        assert bool(rows) == modelled(task.id)

    @precondition(lambda self: self.model.finished)
    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        identifier = data.draw(st.sampled_from(sorted(self.model.finished)))
        task, _ = self.model.finished[identifier]
        rows = self.sql("select task_redrive(%s, %s::uuid[])", task.organization, [identifier])
        assert bool(rows) == self.model.redrive(identifier)

    @precondition(lambda self: self.model.live or self.model.finished)
    @rule(data=st.data(), before=st.integers(0, 12))
    def fork(self, data: st.DataObject, before: int) -> None:
        identifier = data.draw(st.sampled_from(sorted([*self.model.live, *self.model.finished])))
        task = self.model.live.get(identifier) or self.model.finished[identifier][0]
        new = new_id()
        [row] = self.sql("select task_fork(%s, %s, %s, %s) as made", task.organization, identifier, new, before)
        assert row["made"] == self.model.fork(identifier, new, before)

    @rule(
        organization=st.integers(0, 2),
        subject=st.sampled_from(["organization", "kind:copy"]),
        most=st.none() | st.integers(0, 3),
    )
    def limit(self, organization: int, subject: str, most: int | None) -> None:
        owner = self.organizations[organization]
        self.connection.execute("delete from limits where organization_id = %s and subject = %s", (owner, subject))
        self.model.limits.pop((owner, subject), None)
        if most is not None:
            self.connection.execute(
                "insert into limits (organization_id, subject, max_concurrency) values (%s, %s, %s)",
                (owner, subject, most),
            )
            self.model.limits[owner, subject] = most
        self.sql("select task_relane(%s)", owner)
        self.model.relane(owner)


def test_the_database_functions_do_what_the_model_says(login_url: str) -> None:
    EngineMachine.url = login_url
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=120, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
