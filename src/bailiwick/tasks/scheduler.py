"""The scheduler: turns due schedules into tasks, on time and once."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from random import random
from typing import Any, cast

import psycopg
import structlog

from bailiwick.kernel.errors import BailiwickError
from bailiwick.kernel.ids import new_id
from bailiwick.kernel.loops import end
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.rows import RowFields, batch
from bailiwick.storage.waking import SCHEDULES, TAKEN, TASKS, Wakeups
from bailiwick.tasks.timetable import Timetable
from bailiwick.telemetry.metrics import SCHEDULE_LAG_SECONDS

log = structlog.get_logger(__name__)

# A firing later than this, or than half its period, was missed: nothing ran when it was due.
_LATE = timedelta(seconds=60)


class Scheduler:
    """Fires what is due. Any number may run: rows are locked, firings carry keys."""

    def __init__(self, database: Database, wakeups: Wakeups, *, poll_seconds: float = 2.0) -> None:
        self._database = database
        self._wakeups = wakeups
        self._poll_seconds = poll_seconds
        self._changed = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start firing."""
        self._wakeups.listen(SCHEDULES, lambda _: self._changed.set())
        self._loop = asyncio.create_task(self._forever())

    async def stop(self) -> None:
        """Stop firing; a batch under way is committed or rolled back whole."""
        if self._loop is not None:
            await end(self._loop)

    async def fire_due(self) -> int:
        """Make the tasks of all due schedules, at most 500; return how many are made."""
        async with self._database.transaction() as connection:
            schedules = await (await connection.execute("select * from schedules_due(500)")).fetchall()
            if not schedules:
                return 0
            tasks: list[RowFields] = []
            moves: list[RowFields] = []
            # With their organizations.
            cancelled: list[tuple[str, str]] = []
            for schedule in schedules:
                made, move = _fire_or_stop(schedule)
                if made and schedule["unfinished_id"] is not None and schedule["overlap"] == "cancel":
                    cancelled.append((schedule["organization_id"], schedule["unfinished_id"]))
                tasks += made
                moves.append(move)
            tasks = await _affordable(connection, tasks, moves)
            await _write(connection, tasks, moves, cancelled)
        for _, task_id in cancelled:
            self._wakeups.announce(TAKEN, task_id)
        if tasks:
            self._wakeups.announce(TASKS)
            for move in moves:
                if isinstance(move.get("lag"), float) and move["task"] is not None:
                    SCHEDULE_LAG_SECONDS.observe(cast("float", move["lag"]))
        return len(tasks)

    async def _forever(self) -> None:
        while True:
            self._changed.clear()
            try:
                while await self.fire_due() >= 500:
                    pass
                row = await self._database.fetch_one("select schedules_next() as seconds")
            except (psycopg.Error, BailiwickError) as error:
                log.warning("scheduling failed; trying again", error=str(error))
                row = {"seconds": 1.0}
            except Exception:
                # A fault of ours: seen, and the schedules of everybody else fire all the same.
                log.exception("scheduling failed")
                row = {"seconds": 1.0}
            seconds = None if row is None or row["seconds"] is None else max(0.0, float(row["seconds"]))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds if seconds is None else min(seconds, self._poll_seconds)):
                    await self._changed.wait()


def _fire_or_stop(schedule: Row) -> tuple[list[RowFields], RowFields]:
    """Fire one schedule; one that can fire no more is stopped with the reason, so that the others go on."""
    try:
        return _fire(schedule)
    except (BailiwickError, OverflowError) as error:
        log.warning("schedule stopped", schedule_id=schedule["id"], error=str(error))
        move: RowFields = {"id": schedule["id"], "next": None, "skipped": 0, "task": None, "problem": str(error)}
        return [], move


def _fire(schedule: Row) -> tuple[list[RowFields], RowFields]:
    """Return the tasks one due schedule makes now, and how its row moves on."""
    timetable = Timetable(
        schedule["cron"], schedule["interval_seconds"], schedule["timezone"], anchor_at=schedule["anchor_at"]
    )
    now: datetime = schedule["now"]
    firings, following = timetable.due(schedule["next_fire_at"], now)
    wanted = firings[-1:]
    if schedule["catch_up"] == "all":
        wanted = firings
    elif schedule["catch_up"] == "none" and now - firings[-1] > min(_LATE, (following - firings[-1]) / 2):
        wanted = []
    if schedule["overlap"] != "allow":
        wanted = wanted[-1:]
    if schedule["overlap"] == "skip" and schedule["unfinished_id"] is not None:
        wanted = []
    tasks = [_task(schedule, firing) for firing in wanted]
    jitter = timedelta(seconds=schedule["jitter_seconds"] * random())  # noqa: S311 - spreads load
    move: RowFields = {
        "id": schedule["id"],
        "next": (following + jitter).isoformat(),
        "skipped": len(firings) - len(wanted),
        "fired": now.isoformat() if wanted else None,
        "task": tasks[-1]["id"] if tasks else None,
        "lag": (now - firings[-1]).total_seconds(),
    }
    return tasks, move


def _task(schedule: Row, firing: datetime) -> RowFields:
    row: dict[str, Any] = {
        "id": new_id(),
        "org": schedule["organization_id"],
        "kind": schedule["kind"],
        "payload": schedule["payload"],
        "pri": schedule["priority"],
        # Two schedulers, or one that was cut off after its commit, make one task.
        "key": f"schedule:{schedule['id']}:{firing.isoformat()}",
        "i": 0,
    }
    if schedule["agent_id"] is not None:
        row["agent"] = schedule["agent_id"]
    if schedule["labels"] is not None:
        row["labels"] = schedule["labels"]
    return row


async def _affordable(connection: Connection, tasks: list[RowFields], moves: list[RowFields]) -> list[RowFields]:
    """Leave out what an organization's quota has no room for, so that one without room stops nobody's schedules."""
    if not tasks:
        return tasks
    # As the database counts them: were one of them counted after all, the whole batch would be refused.
    rows = await (
        await connection.execute(
            "select kind from unmetered_kinds where kind = any(%s)", (list({task["kind"] for task in tasks}),)
        )
    ).fetchall()
    unmetered = {row["kind"] for row in rows}
    organizations = list({str(task["org"]) for task in tasks if task["kind"] not in unmetered})
    if not organizations:
        return tasks
    rows = await (await connection.execute("select * from quota_rooms(%s::uuid[])", (organizations,))).fetchall()
    rooms = {row["org"]: int(row["room"]) for row in rows}
    kept: list[RowFields] = []
    for task in tasks:
        organization_id = str(task["org"])
        if organization_id in rooms and task["kind"] not in unmetered:
            if rooms[organization_id] == 0:
                log.warning("schedule made no task: the quota is used up", organization_id=organization_id)
                continue
            rooms[organization_id] -= 1
        kept.append(task)
    made = {task["id"] for task in kept}
    for move in moves:
        if move["task"] is not None and move["task"] not in made:
            move |= {"task": None, "fired": None, "skipped": cast("int", move["skipped"]) + 1}
    return kept


async def _write(
    connection: Connection, tasks: list[RowFields], moves: list[RowFields], cancelled: list[tuple[str, str]]
) -> None:
    for organization_id, task_id in cancelled:
        await connection.execute(
            "select task_cancel(%s, array[%s::uuid], %s)", (organization_id, task_id, "its schedule fired again")
        )
    if tasks:
        await connection.execute("select task_enqueue(%s::jsonb)", (batch(tasks),))
    await connection.execute("select schedules_move_on(%s::jsonb)", (batch(moves),))
