"""Workers and PostgreSQL die, stop and come back; nothing acknowledged is lost or done twice."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from bailiwick.kernel.ids import new_id
from bailiwick.storage import migrate
from bailiwick.storage.embedded import EmbeddedServer
from tests.support.engine import Engine, Row, until
from tests.support.history import Note, Recorder, read, state_of, violations
from tests.support.processes import process
from tests.support.recorded_work import RecordedWork

# Only so that what hangs for good ends: how long a loaded machine takes is not what is tested.
pytestmark = [pytest.mark.durability, pytest.mark.timeout(300)]

LEASE_SECONDS = 2.0


@pytest.fixture
def door(engine: Engine, tmp_path: Path) -> Iterator[Recorder]:
    """Notes what the test itself adds; the engine knows the kinds of the worker processes."""
    recorder = Recorder(tmp_path, "door")
    engine.handles("work", RecordedWork(recorder).handle)
    engine.handles("poison", RecordedWork(recorder).kill_own_process)
    yield recorder
    recorder.close()


async def add(engine: Engine, door: Recorder, **payload: object) -> str:
    task = await engine.add("work", payload)
    door.note("enqueued", task)
    return task


async def as_long_as_anybody_gets_on(folder: Path, condition: Callable[[], Any], what: str) -> Any:
    """Return what ``condition`` returns once that is true; fail where nobody notes anything for 30 s.

    How long everything takes is the machine's affair, that somebody gets on is not.
    """
    size, since = -1, time.monotonic()
    while not (found := await asyncio.to_thread(condition)):
        noted = await asyncio.to_thread(_bytes_noted, folder)
        if noted != size:
            size, since = noted, time.monotonic()
        assert time.monotonic() - since < 30, f"nobody gets on, and it is not so that {what}"
        await asyncio.sleep(0.05)
    return found


def _bytes_noted(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.jsonl"))


async def noted(folder: Path, who: str, what: str, count: int) -> list[Note]:
    def look() -> list[Note]:
        notes = [note for note in read(folder) if (note.who, note.what) == (who, what)]
        return notes if len(notes) >= count else []

    return await as_long_as_anybody_gets_on(folder, look, f"{who} notes {count} times {what}")


async def workers_of(engine: Engine, name: str) -> list[Row]:
    return await engine.inspector.fetch_all("select * from workers where name = %s order by id", (name,))


async def test_a_killed_worker_is_replaced_within_its_lease(engine: Engine, door: Recorder, tmp_path: Path) -> None:
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(process("work", engine.login_url, tmp_path, name, lease_seconds=LEASE_SECONDS))
            for name in ("first", "second")
        }
        task = await add(engine, door, steps=40, seconds=0.05)

        async def holder() -> str | None:
            done = [note.who for note in read(tmp_path) if note.what == "step_acknowledged"]
            return done[0] if len(done) >= 5 else None

        victim = workers[await until(holder, "five steps are done")]
        row = await engine.inspector.fetch_one("select clock_timestamp() as now")
        assert row is not None
        victim.kill()
        ended = await engine.ended(task, seconds=30)
    resumed = [step for step in await engine.steps(task) if step["fence"] > 1]
    waited = (resumed[0]["started_at"] - row["now"]).total_seconds()
    assert waited <= LEASE_SECONDS + 0.5
    assert (ended["state"], ended["recoveries"]) == ("completed", 1)
    assert violations(read(tmp_path), state_of(engine.login_url)) == []


async def test_a_stopped_worker_that_wakes_writes_nothing_and_works_on(
    engine: Engine, door: Recorder, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(process("work", engine.login_url, tmp_path, "first", lease_seconds=1.0))
        tasks = [await add(engine, door, steps=12, seconds=0.05) for _ in range(8)]
        await noted(tmp_path, "first", "step_acknowledged", 3)
        first.send_signal(signal.SIGSTOP)
        second = stack.enter_context(process("work", engine.login_url, tmp_path, "second", lease_seconds=1.0))
        await engine.all_ended(tasks, seconds=30)
        woken = await engine.inspector.fetch_one("select clock_timestamp() as at")
        assert woken is not None
        first.send_signal(signal.SIGCONT)

        async def is_back() -> bool:
            return [row["state"] for row in await workers_of(engine, "first")] == ["dead", "active"]

        await until(is_back, "the first worker registers anew")
        # What it had sent before it was stopped may have been acknowledged to it only now.
        written = await engine.inspector.fetch_all("select 1 from steps where finished_at > %s", (woken["at"],))
        ended = await engine.inspector.fetch_all("select 1 from finished_tasks where finished_at > %s", (woken["at"],))
        assert written + ended == []
        second.terminate()
        assert second.wait(20) == 0
        late = await add(engine, door, steps=2)
        await engine.ended(late)

        async def ended_by() -> set[str]:
            return {note.who for note in read(tmp_path) if note.task == late and note.what == "ended"}

        assert await until(ended_by, "the end is noted") == {"first"}
    assert violations(read(tmp_path), state_of(engine.login_url)) == []


async def test_sigterm_gives_work_back_and_ends_the_process(engine: Engine, door: Recorder, tmp_path: Path) -> None:
    with process("work", engine.login_url, tmp_path, "first") as first:
        task = await add(engine, door, steps=200, seconds=0.05)
        await noted(tmp_path, "first", "step_acknowledged", 3)
        first.terminate()
        assert first.wait(20) == 0, (tmp_path / "first.log").read_text()
    row = await engine.live(task)
    assert row is not None
    assert (row["state"], row["recoveries"], row["failures"]) == ("available", 0, 0)
    assert [worker["state"] for worker in await workers_of(engine, "first")] == ["stopped"]
    assert violations(read(tmp_path), state_of(engine.login_url)) == []


async def test_a_task_that_kills_its_workers_is_discarded_with_the_reason(
    engine: Engine, door: Recorder, tmp_path: Path
) -> None:
    del door
    with ExitStack() as stack:
        victims = [
            stack.enter_context(process("work", engine.login_url, tmp_path, f"victim-{n}", lease_seconds=0.6))
            for n in range(6)
        ]
        poison = await engine.add("poison")
        ended = await engine.ended(poison, seconds=40)
        survivors = [victim for victim in victims if victim.poll() is None]
    assert (ended["state"], ended["recoveries"]) == ("discarded", 5)
    assert "lost its worker 5 times" in ended["reason"]
    assert len(survivors) == 1


async def test_the_loss_of_every_connection_during_load_costs_nothing(
    engine: Engine, door: Recorder, tmp_path: Path
) -> None:
    with (
        process("work", engine.login_url, tmp_path, "first", lease_seconds=LEASE_SECONDS),
        process("work", engine.login_url, tmp_path, "second", lease_seconds=LEASE_SECONDS),
    ):
        tasks: list[str] = []
        for _ in range(12):
            tasks += await asyncio.gather(*[add(engine, door, steps=4, seconds=0.01) for _ in range(15)])
            # The pool of this test is spared: it does the killing.
            await engine.inspector.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and application_name like 'bailiwick %%'",
                {},
            )
        ended = await engine.all_ended(tasks, seconds=40)
    assert {row["state"] for row in ended} == {"completed"}
    assert violations(read(tmp_path), state_of(engine.login_url)) == []


def kill_tree(server: EmbeddedServer) -> None:
    """Kill PostgreSQL and all its processes in one go."""
    assert server.server_pid
    root = psutil.Process(server.server_pid)
    tree = [root, *root.children(recursive=True)]
    for member in tree:
        os.kill(member.pid, signal.SIGKILL)
    psutil.wait_procs(tree, timeout=20)


async def test_a_crash_of_postgresql_loses_nothing_and_workers_go_on(data_dir: Path, tmp_path: Path) -> None:
    with EmbeddedServer(data_dir) as server, ExitStack() as stack:
        migrate(server.admin_url)
        workers = [
            stack.enter_context(process("work", server.admin_url, tmp_path, f"worker-{n}", lease_seconds=LEASE_SECONDS))
            for n in range(2)
        ]
        door = stack.enter_context(
            process("enqueue", server.admin_url, tmp_path, "door", organization=new_id(), count=700, at_once=40)
        )
        _go(door)
        for crash in range(2):
            await noted(tmp_path, "door", "enqueued", 100 + 400 * crash)
            kill_tree(server)
            await asyncio.to_thread(_restarted, server)
        assert await asyncio.to_thread(door.wait, 60) == 0, (tmp_path / "door.log").read_text()
        assert all(worker.poll() is None for worker in workers)

        def is_idle() -> bool:
            with psycopg.connect(server.admin_url) as connection:
                return connection.execute("select not exists (select from tasks)").fetchone() == (True,)

        await as_long_as_anybody_gets_on(tmp_path, is_idle, "everything acknowledged is done")
        state = state_of(server.admin_url)
        notes = read(tmp_path)
    acknowledged = {note.task for note in notes if note.what == "enqueued"}
    assert len(acknowledged) == 700
    assert {state.finished[task][0]["state"] for task in acknowledged} == {"completed"}
    assert violations(notes, state) == []


def _restarted(server: EmbeddedServer) -> None:
    """Start PostgreSQL again as its owner does."""
    assert server._process
    server._process._child.wait(20)
    assert server.ensure_running()


def _go(started: subprocess.Popen[str]) -> None:
    """Let a process that waits for it begin."""
    assert started.stdin
    started.stdin.write("go\n")
    started.stdin.flush()


async def test_the_same_deliveries_from_two_processes_are_one_event_and_one_task_each(
    engine: Engine, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        doors = [
            stack.enter_context(
                process(
                    "publish", engine.login_url, tmp_path, f"door-{n}", organization=engine.organization_id, count=150
                )
            )
            for n in range(2)
        ]
        for door in doors:
            _go(door)
        for door in doors:
            assert await asyncio.to_thread(door.wait, 30) == 0
    answers: dict[int, set[str]] = {}
    for note in read(tmp_path):
        answers.setdefault(note.value, set()).add(note.task)
    assert len(answers) == 150
    assert all(len(events) == 1 for events in answers.values())
    events = await engine.inspector.fetch_all("select id from events")
    assert {row["id"] for row in events} == set().union(*answers.values())
    causes = await engine.inspector.fetch_all("select cause_id, payload from tasks")
    assert {row["cause_id"] for row in causes} == {row["id"] for row in events}
    assert sorted(row["payload"]["number"] for row in causes) == list(range(150))


async def test_the_same_keys_from_two_processes_are_one_task_each(engine: Engine, tmp_path: Path) -> None:
    with ExitStack() as stack:
        options = {"organization": engine.organization_id, "count": 150, "keyed": True, "at_once": 150}
        doors = [
            stack.enter_context(process("enqueue", engine.login_url, tmp_path, f"door-{n}", **options))
            for n in range(2)
        ]
        for door in doors:
            _go(door)
        for door in doors:
            assert await asyncio.to_thread(door.wait, 30) == 0
    answers: dict[int, set[str]] = {}
    for note in read(tmp_path):
        answers.setdefault(note.value, set()).add(note.task)
    assert all(len(tasks) == 1 for tasks in answers.values())
    tasks = await engine.inspector.fetch_all("select id from tasks")
    assert {row["id"] for row in tasks} == set().union(*answers.values())
    assert len(tasks) == 150


async def test_polling_covers_lost_notifications(engine: Engine, door: Recorder, tmp_path: Path) -> None:
    with process("work", engine.login_url, tmp_path, "deaf", is_deaf=True):
        tasks = [await add(engine, door, steps=1) for _ in range(5)]
        assert {row["state"] for row in await engine.all_ended(tasks, seconds=10)} == {"completed"}
    assert violations(read(tmp_path), state_of(engine.login_url)) == []
