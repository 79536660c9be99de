"""What the health check measures: the database, the queue, the machine it runs on."""

import asyncio
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, Field

from bailiwick.storage import Database, Row

# Long enough for a processor share that means something, short enough for a job of every minute.
_CPU_SAMPLE_SECONDS = 0.5
_ROUND_TRIPS = 5
# Errors are looked for among at most so many of the newest tasks.
_RECENT = 50_000

_WORKERS = """
select count(*) filter (where lease_until >= now()) as alive,
       count(*) filter (where lease_until < now()) as lapsed,
       coalesce(sum(concurrency) filter (where lease_until >= now()), 0) as slots,
       (select coalesce(sum(n), 0)::bigint from installation_tasks() where state = 'executing') as executing,
       (select count(*) from workers where state = 'dead' and heartbeat_at > now() - interval '1 hour') as died
from workers where state in ('active', 'draining')"""

# Never begun, and held back by no limit. Which of them still stand there a moment later is looked at again:
# a task whose delay has just ended is old, but has not waited.
_READY = "select * from installation_ready(%(ids)s::uuid[])"

# Of our own server: since when no segment of its log could be kept, in spite of trying.
_ARCHIVE = """
select last_failed_wal || ', tried ' || failed_count || ' times' as failing from pg_stat_archiver
where current_setting('archive_mode') <> 'off'
  and last_failed_time > coalesce(last_archived_time, '-infinity'::timestamptz)"""

# The newest scheduled backup of each kind, if it failed, and the newest drill, if it found something.
_BACKUPS = """
select 'scheduled ' || kind || ': ' || problem as problem from (
    select distinct on (kind) kind, state, problem from backups where is_scheduled and state <> 'removed'
    order by kind, id desc) newest
where state = 'failed'
union all
select 'drill of ' || path || ': ' || drill_problem from (
    select path, drill_problem from backups where drilled_at is not null order by drilled_at desc limit 1) newest
where drill_problem <> ''"""


class Measured(BaseModel):
    """One look at the installation; seconds, bytes and percent as the names say.

    ``None`` where it could not be measured; ``not_measured`` says why.
    """

    model_config = ConfigDict(frozen=True)

    workers_alive: int
    workers_lapsed: int
    workers_died_last_hour: int
    worker_slots: int
    worker_load_percent: float | None
    database_round_trip_seconds: float
    database_bytes: int
    cpu_percent: float
    memory_percent: float
    disk_percent: float | None
    disk_free_bytes: int | None
    tasks_by_state: dict[str, int]
    oldest_ready_seconds: float | None
    oldest_ready_kind: str | None
    stuck_waits: int
    stuck_example: str | None
    schedules_late: int
    schedule_lag_seconds: float
    schedule_example: str | None
    breakers_open: list[str]
    ended_last_hour: int
    discarded_last_hour: int
    dead_letters_last_hour: dict[str, int]
    dead_letter_example: str | None
    rejected_last_hour: int
    rejected_example: str | None
    extensions_failed: list[str]
    archive_failing: str | None = None
    backup_problems: list[str] = Field(default_factory=list)
    not_measured: dict[str, str] = Field(default_factory=dict)


async def measure(database: Database, data_folder: Path | None, extensions_failed: list[str]) -> Measured:
    """Look at everything once; ``data_folder`` is that of the embedded server, None for an external one."""
    ready = await database.fetch_all(_READY, {"ids": None})
    cpu_percent = float(await asyncio.to_thread(psutil.cpu_percent, _CPU_SAMPLE_SECONDS))
    still = await database.fetch_all(_READY, {"ids": [row["id"] for row in ready]}) if ready else []
    workers = await _one(database, _WORKERS)
    stuck, late = await _one(database, _look("stuck")), await _one(database, _look("late_schedules"))
    ended = await _one(database, "select * from installation_ended(%s)", _RECENT)
    dead = await database.fetch_all(_look("dead_letters"))
    rejected = await _one(database, _look("rejected"))
    archive = None if data_folder is None else await database.fetch_one(_ARCHIVE)
    disk = None if data_folder is None else await asyncio.to_thread(shutil.disk_usage, data_folder)
    not_measured = {} if disk else {"disk": "the database server is an external one; watch its disk there"}
    size = await _one(database, "select pg_database_size(current_database()) as bytes")
    breakers = await database.fetch_all(_look("open_breakers"))
    return Measured(
        workers_alive=workers["alive"],
        workers_lapsed=workers["lapsed"],
        workers_died_last_hour=workers["died"],
        worker_slots=workers["slots"],
        worker_load_percent=100.0 * workers["executing"] / workers["slots"] if workers["slots"] else None,
        database_round_trip_seconds=await _round_trip_seconds(database),
        database_bytes=size["bytes"],
        cpu_percent=cpu_percent,
        memory_percent=float(psutil.virtual_memory().percent),
        disk_percent=None if disk is None else 100.0 * disk.used / (disk.used + disk.free),
        disk_free_bytes=None if disk is None else disk.free,
        tasks_by_state={row["state"]: row["n"] for row in await database.fetch_all(_look("tasks"))},
        oldest_ready_seconds=still[0]["age_seconds"] if still else None,
        oldest_ready_kind=still[0]["kind"] if still else None,
        stuck_waits=stuck["n"],
        stuck_example=stuck["example"],
        schedules_late=late["n"],
        schedule_lag_seconds=late["lag_seconds"] or 0.0,
        schedule_example=late["example"],
        breakers_open=[f"{row['subject']}: {row['reason'] or 'open'}" for row in breakers],
        ended_last_hour=ended["ended"],
        discarded_last_hour=ended["discarded"],
        dead_letters_last_hour={row["kind"]: row["n"] for row in dead},
        dead_letter_example=dead[0]["example"] if dead else None,
        rejected_last_hour=rejected["n"],
        rejected_example=rejected["example"],
        extensions_failed=extensions_failed,
        archive_failing=None if archive is None else archive["failing"],
        backup_problems=[row["problem"] for row in await database.fetch_all(_BACKUPS)],
        not_measured=not_measured,
    )


def _look(at: str) -> str:
    # Counts and ages over all organizations: nobody may read more across them.
    return f"select * from installation_{at}()"


async def _one(database: Database, sql: str, *params: Any) -> Row:
    row = await database.fetch_one(sql, params)
    if row is None:
        raise AssertionError("an aggregate always gives a row")
    return row


async def _round_trip_seconds(database: Database) -> float:
    """Return the median time of a statement that does nothing, pool and transaction included."""
    times: list[float] = []
    for _ in range(_ROUND_TRIPS):
        began = time.perf_counter()
        await database.fetch_one("select 1 as one")
        times.append(time.perf_counter() - began)
    return statistics.median(times)
