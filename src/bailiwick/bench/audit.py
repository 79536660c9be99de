"""``bailiwick bench audit``: how fast acts are recorded beside bare inserts, and how long verification takes."""

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.audit.canonical import ZERO, canonical, digest, entry_content, root_content
from bailiwick.audit.ed25519 import new_key
from bailiwick.audit.lines import end_line, entry_line, header_line, root_line
from bailiwick.audit.verifying import verify_file
from bailiwick.bench.report import Bound, Report, ratio
from bailiwick.bench.server import bench_server
from bailiwick.kernel.errors import InternalError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database, migrate
from bailiwick.storage.roles import application_url

_ORGANIZATIONS = 50
_CALLERS = 64
_SECONDS = 3.0
_ENTRIES = 200_000
_ROOT_EVERY = 2_000
# An act must cost little beside what it records: a task's whole life is about a millisecond.
_LIMIT_PER_SECOND = 1_000.0
_LIMIT_VERIFY_SECONDS = 60.0
_ACTOR = Actor("user", "0199b6ff-b66f-7000-8000-000000000001", "Anna", "192.0.2.7")

_BARE_TABLE = (
    "create table bench_acts (id uuid primary key, organization_id uuid, act text, at timestamptz default now())"
)
_BARE_INSERT = "insert into bench_acts (id, organization_id, act) values (%s, %s, %s)"

Record = Callable[[str], Awaitable[None]]


async def measure_audit(*, say: Callable[[str], None]) -> Report:
    """Record with one caller and with many, in one chain and in many, beside bare inserts; then verify an export."""
    figures: dict[str, float | None] = {}
    async with bench_server() as server, _database(server.url) as database:
        log = AuditLog(database)
        await log.open()
        one, many = [new_id()], [new_id() for _ in range(_ORGANIZATIONS)]
        say(f"recording for {_SECONDS:g} s each: alone, {_CALLERS} callers on one chain, on {_ORGANIZATIONS} chains")
        figures["appends_per_second_one_caller"] = await _rate(_recorder(log), one, callers=1)
        figures["appends_per_second_one_organization"] = await _rate(_recorder(log), one, callers=_CALLERS)
        figures["appends_per_second_many_organizations"] = await _rate(_recorder(log), many, callers=_CALLERS)
        say("the same number of callers with bare inserts, each its own commit")
        figures["bare_inserts_per_second_one_caller"] = await _rate(_inserter(database), one, callers=1)
        figures["bare_inserts_per_second"] = await _rate(_inserter(database), many, callers=_CALLERS)
        await log.close()
    figures["appends_to_bare_inserts_one_caller"] = ratio(
        figures["appends_per_second_one_caller"], figures["bare_inserts_per_second_one_caller"]
    )
    figures["appends_to_bare_inserts"] = ratio(
        figures["appends_per_second_one_organization"], figures["bare_inserts_per_second"]
    )
    say(f"verifying an export of {_ENTRIES:,} entries")
    seconds, size = await asyncio.to_thread(_verify)
    figures["verify_seconds_per_million_entries"] = round(seconds * 1_000_000 / _ENTRIES, 2)
    figures["verify_entries_measured"] = float(_ENTRIES)
    figures["export_mib_per_million_entries"] = round(size * 1_000_000 / _ENTRIES / 2**20, 1)
    bounds = [
        Bound(
            "appends per second, one organization", figures["appends_per_second_one_organization"],
            _LIMIT_PER_SECOND, at_least=True,
        ),
        Bound(
            "seconds to verify a million entries", figures["verify_seconds_per_million_entries"],
            _LIMIT_VERIFY_SECONDS, at_least=False,
        ),
    ]  # fmt: skip
    details = {"callers": _CALLERS, "organizations": _ORGANIZATIONS, "verification": "scaled from the entries measured"}
    return Report("audit", figures, bounds, details)


def _recorder(log: AuditLog) -> Record:
    async def record(organization_id: str) -> None:
        await log.record(
            Act(
                organization_id,
                "limit.changed",
                _ACTOR,
                "limit:organization",
                before={"rate": 1.5},
                after={"rate": 2.5},
            )
        )

    return record


def _inserter(database: Database) -> Record:
    act = canonical(
        {"action": "limit.changed", "actor": "Anna", "before": {"rate": 1.5}, "after": {"rate": 2.5}}
    ).decode()

    async def insert(organization_id: str) -> None:
        await database.execute(_BARE_INSERT, (new_id(), organization_id, act))

    return insert


async def _rate(record: Record, organizations: list[str], *, callers: int) -> float:
    """Return how many calls a second are answered while ``callers`` call without a pause."""
    done = 0
    until = time.perf_counter() + _SECONDS

    async def call(number: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await record(organizations[(number + done) % len(organizations)])
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*[call(number) for number in range(callers)])
    return round(done / (time.perf_counter() - began), 1)


@asynccontextmanager
async def _database(url: str) -> AsyncGenerator[Database]:
    """Yield an open pool on a migrated database of this run's own."""
    name = f"bench_audit_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    own = make_conninfo(url, dbname=name)
    try:
        await asyncio.to_thread(migrate, own)
        with psycopg.connect(own, autocommit=True) as admin:
            admin.execute(_BARE_TABLE)
            admin.execute("grant insert on bench_acts to bailiwick")
        database = Database(application_url(own), max_connections=16)
        await database.open()
        try:
            yield database
        finally:
            await database.close()
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _verify() -> tuple[float, int]:
    """Write an export, verify it, and return the seconds that took and the file's size."""
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-bench-"))
    try:
        path = folder / "audit.jsonl"
        _write_export(path)
        began = time.perf_counter()
        verdict = verify_file(path)
        seconds = time.perf_counter() - began
        if not verdict.is_intact or verdict.entries != _ENTRIES:
            raise InternalError(f"the benchmark's own export does not verify: {verdict.error}")
        return seconds, path.stat().st_size
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_export(path: Path) -> None:
    now = datetime.now(UTC)
    key, public = new_key(None, now)
    organization_id = new_id()
    overall = hashlib.sha256()
    previous = root_previous = ZERO
    roots = 0
    actor = {"kind": _ACTOR.kind, "id": _ACTOR.id, "name": _ACTOR.name, "address": _ACTOR.address}
    with path.open("wb") as file:

        def put(line: bytes) -> None:
            overall.update(line)
            file.write(line)

        put(header_line(organization_id=organization_id, slug="bench", exported_at=now.isoformat(), keys=[public]))
        for seq in range(1, _ENTRIES + 1):
            act = canonical({
                "id": new_id(), "action": "limit.changed", "actor": actor, "target": "limit:organization",
                "before": {"rate": 1.5}, "after": {"rate": 2.5}, "reason": None,
            })  # fmt: skip
            content = entry_content(organization_id, seq, act, previous, now)
            previous = digest(content)
            put(entry_line(content, previous))
            if seq % _ROOT_EVERY == 0:
                roots += 1
                signed = root_content(
                    organization_id, number=roots, seq=seq, entry_hash=previous, previous=root_previous, kid=key.kid,
                    at=now,
                )  # fmt: skip
                root_previous = digest(signed)
                put(root_line(signed, root_previous, key.sign(signed)))
        file.write(
            end_line(
                organization_id=organization_id, digest=overall.hexdigest(), entries=_ENTRIES, roots=roots, key=key
            )
        )
