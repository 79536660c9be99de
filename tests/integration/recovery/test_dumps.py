"""Dumps: whole while others write, refused where they would not be, proven by drills."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.kernel.errors import (
    CannotDetermineError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidInputError,
    NotFoundError,
)
from bailiwick.recovery import BackupDamagedError, BackupFailedError, Backups, KeepRule
from bailiwick.recovery.contents import differences
from bailiwick.recovery.making import Origin
from bailiwick.recovery.manifest import Contents, read_manifest, sha256_of
from bailiwick.recovery.restoring import restore_dump, restore_dump_outside
from bailiwick.storage.embedded import EmbeddedServer
from tests.integration.recovery.conftest import Kept, contents_of, names, wanted
from tests.support.engine import until


async def test_a_dump_made_while_others_write_is_of_one_moment(kept: Kept, empty_database_url: str) -> None:
    numbers = count(100)

    async def write() -> None:
        while True:
            await kept.act(next(numbers))

    writers = [asyncio.create_task(write()) for _ in range(3)]
    backup = await kept.dump()
    for writer in writers:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
    manifest = read_manifest(backup)
    entries = manifest.contents.tables["audit_entries"].rows
    now = contents_of(kept.login_url)
    assert 3 < entries < now.tables["audit_entries"].rows
    (head,) = manifest.contents.chains
    assert head.seq == entries

    await asyncio.to_thread(restore_dump_outside, backup, empty_database_url, wanted())
    _check_same_but_for_the_note(manifest.contents, empty_database_url)


def _check_same_but_for_the_note(before: Contents, url: str) -> None:
    """All is as it was, but for the audit entry that says it was restored."""
    after = contents_of(url)
    assert after.tables["audit_entries"].rows == before.tables["audit_entries"].rows + 1
    assert [chain.seq for chain in after.chains] == [chain.seq + 1 for chain in before.chains]
    told = {problem.split()[1] for problem in differences(before, after) if problem.startswith("table")}
    assert told == {"audit_entries", "audit_chains"}
    with psycopg.connect(url) as superuser:
        row = superuser.execute("select action from audit_entries order by seq desc limit 1").fetchone()
        assert row == ("installation.restored",)


async def test_a_drill_starts_the_copy_and_verifies_its_audit_log(kept: Kept) -> None:
    await kept.dump()
    report = await kept.backups.drill(actor=SYSTEM)
    assert report.problems == []
    # The three of the fixture; that of the backup itself came after its moment.
    assert (report.audit_chains, report.audit_entries) == (1, 3)
    (record,) = (await kept.backups.records.list()).items
    assert record.drilled_at is not None
    assert record.drill_problem == ""


@pytest.mark.parametrize("damage", ["truncated", "was changed"])
async def test_a_damaged_dump_fails_its_drill_with_the_reason(kept: Kept, damage: str) -> None:
    dump = await kept.dump() / "database.dump"
    content = bytearray(dump.read_bytes())
    if damage == "truncated":
        del content[-100:]
    else:
        content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    report = await kept.backups.drill(actor=SYSTEM)
    assert not report.is_good
    assert damage in report.problems[0]
    (record,) = (await kept.backups.records.list()).items
    assert damage in (record.drill_problem or "")


async def test_a_dump_that_lost_rows_fails_its_drill_though_its_files_are_whole(kept: Kept) -> None:
    backup = await kept.dump()
    path = backup / "manifest.json"
    document = json.loads(path.read_text())
    document["contents"]["tables"]["audit_entries"]["rows"] += 1
    document["contents"]["chains"][0]["seq"] += 1
    path.write_text(json.dumps(document))
    report = await kept.backups.drill(actor=SYSTEM)
    assert any("audit_entries holds 3 rows instead of 4" in problem for problem in report.problems)
    assert any("does not end with entry 4" in problem for problem in report.problems)


async def test_an_audit_log_that_was_falsified_before_the_backup_fails_the_drill(kept: Kept) -> None:
    with psycopg.connect(kept.login_url, autocommit=True) as superuser:
        superuser.execute("alter table audit_entries disable trigger append_only")
        superuser.execute("update audit_entries set act = replace(act, '\"number\":1', '\"number\":7') where seq = 2")
        superuser.execute("alter table audit_entries enable trigger append_only")
    await kept.dump()
    report = await kept.backups.drill(actor=SYSTEM)
    assert any("entry 2" in problem for problem in report.problems)


async def test_a_restored_data_folder_is_whole_and_a_second_restore_into_it_is_refused(kept: Kept, place: Path) -> None:
    backup = await kept.dump()
    target = place / "data"
    await asyncio.to_thread(restore_dump, backup, target, wanted())
    with EmbeddedServer(target) as server:
        _check_same_but_for_the_note(read_manifest(backup).contents, server.admin_url)
        with psycopg.connect(server.url) as application:
            assert application.execute("select count(*) from audit_entries").fetchone() == (0,), (
                "nothing without tenant"
            )
        with pytest.raises(ConflictError, match="stop it first"):
            await asyncio.to_thread(restore_dump, backup, target, wanted(replace=True))
    with pytest.raises(ConflictError, match="not empty"):
        await asyncio.to_thread(restore_dump, backup, target, wanted())
    (target / "note").write_text("keep me")
    await asyncio.to_thread(restore_dump, backup, target, wanted(replace=True))
    (aside,) = names(place, "data.before-*")
    assert (place / aside / "note").read_text() == "keep me"
    assert not (target / "note").exists()


async def test_a_restore_that_fails_leaves_no_installation_behind(kept: Kept, data_dir: Path) -> None:
    backup = await kept.dump()
    dump = backup / "database.dump"
    path = backup / "manifest.json"
    # Damaged, and a manifest made to fit: only loading it tells.
    content = dump.read_bytes()[:-5000]
    dump.write_bytes(content)
    document = json.loads(path.read_text())
    document["files"]["database.dump"] = {"bytes": len(content), "sha256": sha256_of(dump)}
    path.write_text(json.dumps(document))
    with pytest.raises(BackupFailedError, match="pg_restore failed"):
        await asyncio.to_thread(restore_dump, backup, data_dir, wanted())
    assert names(data_dir) == []


async def test_a_newer_schema_than_the_programs_is_refused(kept: Kept, empty_database_url: str) -> None:
    with psycopg.connect(kept.login_url, autocommit=True) as superuser:
        superuser.execute("insert into alembic_version values ('9999')")
    backup = await kept.dump()
    with pytest.raises(InvalidInputError, match=r"9999.*newer"):
        await asyncio.to_thread(restore_dump_outside, backup, empty_database_url, wanted())


async def test_a_database_that_holds_something_is_not_restored_into(kept: Kept) -> None:
    backup = await kept.dump()
    with pytest.raises(ConflictError, match="not empty"):
        await asyncio.to_thread(restore_dump_outside, backup, kept.login_url, wanted())


async def test_a_login_that_does_not_see_everything_is_refused(kept: Kept, database_url: str) -> None:
    blind = Backups(kept.database, kept.audit, Origin(database_url), folder=kept.folder, rule=KeepRule())
    with pytest.raises(DatabaseUnavailableError, match="does not see the rows of all organizations"):
        await blind.make(actor=SYSTEM)
    (record,) = (await blind.records.list()).items
    assert (record.state, record.path) == ("failed", None)
    assert "alter role bailiwick bypassrls" in (record.problem or "")


async def test_without_a_folder_it_says_what_is_missing(kept: Kept) -> None:
    nowhere = Backups(kept.database, kept.audit, Origin(kept.login_url), folder=None, rule=KeepRule())
    with pytest.raises(CannotDetermineError, match="BAILIWICK_BACKUP_DIR"):
        await nowhere.make(actor=SYSTEM)
    with pytest.raises(NotFoundError):
        await kept.backups.drill(actor=SYSTEM)


async def test_the_rule_removes_older_backups_and_says_so(kept: Kept) -> None:
    for day in (1, 2, 3):
        _date(await kept.dump(is_scheduled=True), f"2026-01-0{day}T00:00:00Z")
    removed = await kept.backups.prune(actor=SYSTEM)
    assert len(removed) == 1
    assert [one.manifest.made_at.day for one in kept.backups.folder.list()] == [3, 2]  # type: ignore[union-attr]
    states = sorted(record.state for record in (await kept.backups.records.list()).items)
    assert states == ["made", "made", "removed"]
    assert await kept.backups.prune(actor=SYSTEM) == []


async def test_what_a_person_made_stays_until_a_person_removes_it(kept: Kept) -> None:
    by_hand = await kept.dump()
    _date(by_hand, "2026-01-03T02:12:00Z")
    scheduled = [await kept.dump(is_scheduled=True) for _ in range(3)]
    for day, path in enumerate(scheduled, 1):
        _date(path, f"2026-01-0{day}T02:15:00Z")
    assert await kept.backups.prune(actor=SYSTEM) == [scheduled[0].name]
    assert read_manifest(by_hand).is_scheduled is False
    assert read_manifest(scheduled[1]).is_scheduled is True
    states = {record.path: record.state for record in (await kept.backups.records.list()).items}
    assert states[str(by_hand)] == "made"


def _date(backup: Path, moment: str) -> None:
    path = backup / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"made_at": moment}))


def _command(login_url: str, folder: Path, *, file_bytes: int | None = None) -> subprocess.Popen[str]:
    limit = None if file_bytes is None else (file_bytes, file_bytes)
    return subprocess.Popen(
        [sys.executable, "-m", "bailiwick.main", "backup", "--out", str(folder)],
        env={**os.environ, "BAILIWICK_DATABASE_URL": login_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),  # noqa: PLW1509 - the child is single-threaded
    )


async def test_a_killed_backup_leaves_nothing_that_looks_like_one(kept: Kept) -> None:
    with psycopg.connect(kept.login_url) as blocker:
        # Of no use to anybody but pg_dump, which must wait for it.
        blocker.execute("create table obstacle ()")
        blocker.commit()
        blocker.execute("lock table obstacle in access exclusive mode")
        backup = _command(kept.login_url, kept.folder)

        def waiting() -> int:
            row = blocker.execute(
                "select count(*) from pg_stat_activity where application_name = 'pg_dump' "
                "and datname = current_database()"
            ).fetchone()
            assert row is not None
            return row[0]

        async def begun() -> bool:
            blocker.execute("select pg_stat_clear_snapshot()")
            return waiting() > 0 and any(kept.folder.glob(".partial-*"))

        async def gone() -> bool:
            blocker.execute("select pg_stat_clear_snapshot()")
            return waiting() == 0

        await until(begun, "pg_dump waits for the lock", seconds=30)
        backup.send_signal(signal.SIGKILL)
        await asyncio.to_thread(backup.communicate)
        await until(gone, "pg_dump ended with its parent", seconds=30)
    assert kept.backups.folder is not None
    assert kept.backups.folder.list() == []
    made = await kept.dump()
    assert names(kept.folder) == [made.name]


async def test_a_full_disk_leaves_nothing_that_looks_like_a_backup(kept: Kept) -> None:
    backup = _command(kept.login_url, kept.folder, file_bytes=64 * 1024)
    _, said = await asyncio.to_thread(backup.communicate)
    assert backup.returncode == 75, said
    assert "disk is full" in said
    assert names(kept.folder) == []
    (record,) = (await kept.backups.records.list()).items
    assert record.state == "failed"
    assert "disk is full" in (record.problem or "")


async def test_a_truncated_dump_is_refused_before_anything_is_made(kept: Kept, data_dir: Path) -> None:
    backup = await kept.dump()
    with (backup / "database.dump").open("r+b") as dump:
        dump.truncate(1000)
    with pytest.raises(BackupDamagedError, match="truncated"):
        await asyncio.to_thread(restore_dump, backup, data_dir, wanted())
    assert names(data_dir) == []
