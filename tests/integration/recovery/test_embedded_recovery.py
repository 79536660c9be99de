"""The way back of a whole installation on the embedded server: it goes on working, at the moment that was asked for."""

import asyncio
import base64
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.installation import Installation
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.recovery.folder import BackupFolder, Found
from bailiwick.recovery.manifest import read_manifest
from bailiwick.recovery.restoring import Wanted, place_key, restore_dump
from bailiwick.recovery.rewinding import rewind
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.storage.embedded_archive import archive_settings, system_identifier
from bailiwick.tasks import NewTask
from bailiwick.vault import MasterKeyError
from tests.integration.recovery.conftest import Notes, embedded, path_of, wanted
from tests.support.engine import until

# Several servers are started one after another, on a machine that may be busy with other tests.
pytestmark = pytest.mark.timeout(240)


async def test_a_restored_installation_finishes_what_was_at_work(place: Path) -> None:
    notes = Notes()
    notes.is_open = False
    async with embedded(place / "old", place / "backups", notes=notes) as installation:
        organization = await installation.ensure_organization("acme")
        added = [
            (await installation.queue.enqueue(organization.id, NewTask("note.keep", {"text": str(n)}))).task_id
            for n in range(5)
        ]
        async with installation.run_worker():

            async def all_begun() -> bool:
                return notes.begun == len(added)

            await until(all_begun, "every task is at work")
            backup = path_of(await installation.backups.make(actor=SYSTEM))
    await asyncio.to_thread(restore_dump, backup, place / "new", wanted())

    async with embedded(place / "new", None, notes=Notes()) as installation, installation.run_worker():

        async def all_finished() -> bool:
            states = [(await installation.tasks.get(organization.id, task_id)).state for task_id in added]
            return set(states) == {"completed"}

        await until(all_finished, "the tasks of the dead worker finish", seconds=30)


@pytest.mark.slow
async def test_what_was_sealed_opens_only_with_the_key_it_was_sealed_with(place: Path) -> None:
    async with embedded(place / "old", place / "backups") as installation:
        organization = await installation.ensure_organization("acme")
        sealed = await installation.vault.seal(organization.id, b"the token", purpose="test")
        backup = path_of(await installation.backups.make(actor=SYSTEM))
        with_key = path_of(await installation.backups.make(actor=SYSTEM, include_key=True))
    key = place / "old" / "master.key"
    other = place / "other.key"
    other.write_bytes(base64.b64encode(os.urandom(32)))

    def restore(source: Path, how: Wanted) -> None:
        restore_dump(source, place / "new", how)

    assert not (backup / "master.key").exists()
    with pytest.raises(ConflictError, match="it is not there"):
        await asyncio.to_thread(restore, backup, wanted())
    with pytest.raises(ConflictError, match="another one is there"):
        await asyncio.to_thread(restore, backup, wanted(key_file=other))
    other.write_text("no key at all")
    with pytest.raises(InvalidInputError, match=f"{other} holds no master key"):
        await asyncio.to_thread(restore, backup, wanted(key_file=other))
    assert not (place / "new" / "postgres").exists()

    await asyncio.to_thread(restore, backup, wanted(key_file=key))
    async with embedded(place / "new", None) as installation:
        assert await installation.vault.open(organization.id, sealed, purpose="test") == b"the token"
    third = place / "third"
    await asyncio.to_thread(third.mkdir)
    place_key(with_key, read_manifest(with_key), third, third, wanted())
    assert (third / "master.key").read_bytes() == key.read_bytes()
    assert (third / "master.key").stat().st_mode & 0o777 == 0o600
    await asyncio.to_thread(restore_dump, backup, place / "fourth", wanted(without_key=True))
    async with embedded(place / "fourth", None) as installation:
        with pytest.raises(MasterKeyError):
            await installation.vault.open(organization.id, sealed, purpose="test")


@pytest.mark.slow
async def test_one_can_go_back_to_between_two_changes(place: Path) -> None:
    backup_dir = place / "back ups 100%"
    async with embedded(place / "old", backup_dir) as installation:
        await installation.backups.make("base", actor=SYSTEM)
        await installation.organizations.create("First")
        between = await _moment(installation)
        await installation.organizations.create("Second")
        await _archived(installation)
        report = await installation.backups.drill(actor=SYSTEM, kind="base")
        assert report.problems == []
    folder = BackupFolder(backup_dir)

    await asyncio.to_thread(rewind, folder, place / "between", between, wanted())
    assert _slugs(place / "between") >= {"first"}
    assert "second" not in _slugs(place / "between")

    await asyncio.to_thread(rewind, folder, place / "latest", None, wanted())
    assert _slugs(place / "latest") >= {"first", "second"}

    with pytest.raises(NotFoundError, match="archive of the write-ahead log ends before"):
        await asyncio.to_thread(rewind, folder, place / "never", datetime(2090, 1, 1, tzinfo=UTC), wanted())
    with pytest.raises(NotFoundError, match="only later moments"):
        await asyncio.to_thread(rewind, folder, place / "never", datetime(2020, 1, 1, tzinfo=UTC), wanted())
    assert not (place / "never" / "postgres").exists()


@pytest.mark.slow
async def test_an_installation_that_went_back_goes_on_and_can_go_back_again(place: Path) -> None:
    backup_dir = place / "backups"
    async with embedded(place / "one", backup_dir) as installation:
        await installation.backups.make("base", actor=SYSTEM)
        between = await _moment(installation)
        await installation.organizations.create("Lost")
        await _archived(installation)
    folder = BackupFolder(backup_dir)
    await asyncio.to_thread(rewind, folder, place / "two", between, wanted())
    async with embedded(place / "two", backup_dir) as installation:
        await installation.organizations.create("Regained")
        await _archived(installation)
    await asyncio.to_thread(rewind, folder, place / "three", None, wanted())
    slugs = _slugs(place / "three")
    assert "regained" in slugs
    assert "lost" not in slugs


async def test_the_log_before_the_oldest_kept_copy_is_removed(place: Path) -> None:
    async with embedded(place / "old", place / "backups") as installation:
        await _archived(installation)
        await installation.backups.make("base", actor=SYSTEM)
        folder = installation.backups.folder
        assert folder is not None
        log = folder.archive_of(system_identifier(place / "old" / "postgres"))
        before = {path.name for path in log.glob("*.gz")}
        await installation.backups.prune(actor=SYSTEM)
        left = {path.name for path in log.glob("*.gz")}
        (base,) = folder.list("base")
        assert base.manifest.base is not None
        assert "000000010000000000000001.gz" in before - left
        assert all(name >= base.manifest.base.first_segment for name in left)
    await asyncio.to_thread(rewind, BackupFolder(place / "backups"), place / "new", None, wanted())


async def test_a_restored_dump_archives_beside_the_cluster_it_came_from(place: Path) -> None:
    backup_dir = place / "backups"
    async with embedded(place / "old", backup_dir) as installation:
        await installation.backups.make("base", actor=SYSTEM)
        await installation.organizations.create("Old")
        backup = path_of(await installation.backups.make(actor=SYSTEM))
        await _archived(installation)
    old = system_identifier(place / "old" / "postgres")
    kept_before = _files(backup_dir / "wal" / old)
    await asyncio.to_thread(restore_dump, backup, place / "new", wanted())

    async with embedded(place / "new", backup_dir) as installation:
        new = system_identifier(place / "new" / "postgres")
        row = await installation.database.fetch_one("select system_identifier::text as known from pg_control_system()")
        assert row is not None
        assert row["known"] == new != old
        await installation.organizations.create("New")
        await _archived(installation)
        counts = await installation.database.fetch_one("select failed_count from pg_stat_archiver")
        assert counts is not None
        assert counts["failed_count"] == 0
        # The names that both have are what used to stop the archiving.
        assert kept_before.keys() & _files(backup_dir / "wal" / new).keys()
        assert _files(backup_dir / "wal" / old) == kept_before
        await installation.backups.make("base", actor=SYSTEM)
        await installation.backups.prune(actor=SYSTEM)
        await _archived(installation)
    newest, oldest = BackupFolder(backup_dir).list("base")
    assert (_cluster_of(newest), _cluster_of(oldest)) == (new, old)
    assert oldest.manifest.base is not None
    first = oldest.manifest.base.first_segment
    assert _files(backup_dir / "wal" / old) == {name: kept_before[name] for name in kept_before if name >= first}

    await asyncio.to_thread(rewind, BackupFolder(backup_dir), place / "latest", None, wanted())
    assert {"old", "new"} <= _slugs(place / "latest")
    await asyncio.to_thread(newest.path.rename, place / "elsewhere")
    await asyncio.to_thread(rewind, BackupFolder(backup_dir), place / "before", None, wanted())
    assert system_identifier(place / "before" / "postgres") == old
    assert "old" in _slugs(place / "before")
    assert "new" not in _slugs(place / "before")


async def test_a_drill_proves_the_copy_that_was_named_and_no_newer_one(place: Path) -> None:
    async with embedded(place / "old", place / "backups") as installation:
        older = path_of(await installation.backups.make("base", actor=SYSTEM))
        await installation.backups.make("base", actor=SYSTEM)
        (older / "base.tar.gz").write_bytes(b"")
        report = await installation.backups.drill(older.name, actor=SYSTEM)
    assert any("truncated" in problem for problem in report.problems)


async def test_the_log_goes_with_the_last_copy_that_the_rule_removes(place: Path) -> None:
    backup_dir = place / "backups"
    async with embedded(place / "old", backup_dir) as installation:
        made = path_of(await installation.backups.make("base", actor=SYSTEM, is_scheduled=True))
        await _archived(installation)
        folder = installation.backups.folder
        assert folder is not None
        # Of another cluster, whose log is not to be touched, and newer: the rule keeps the newest of a day.
        newer = json.loads((made / "manifest.json").read_text())
        newer["made_at"] = (datetime.fromisoformat(newer["made_at"]) + timedelta(microseconds=1)).isoformat()
        newer["base"]["system_identifier"] = "1"
        await asyncio.to_thread(shutil.copytree, made, backup_dir / "another")
        (backup_dir / "another" / "manifest.json").write_text(json.dumps(newer))
        for cluster in ("1", "2"):
            (folder.archive_of(cluster)).mkdir()
            (folder.archive_of(cluster) / f"{newer['base']['first_segment']}.gz").write_bytes(b"log")
        log = folder.archive_of(system_identifier(place / "old" / "postgres"))
        assert _files(log)
        assert await installation.backups.prune(actor=SYSTEM) == [made.name]
        assert not [name for name in _files(log) if len(name) == 27]
        assert _files(folder.archive_of("1"))
        assert _files(folder.archive_of("2"))


async def test_an_archive_that_cannot_be_written_stops_nothing_and_is_told(place: Path) -> None:
    blocked = place / "blocked"
    blocked.write_text("a file where the folder should be")
    told: list[str] = []
    (place / "data").mkdir()
    with (
        EmbeddedServer(place / "data", progress=told.append, archive=blocked / "wal") as server,
        psycopg.connect(server.admin_url, autocommit=True) as admin,
    ):
        assert any("not archived" in sentence for sentence in told)
        admin.execute("create table t ()")
        admin.execute("select pg_switch_wal()")

        async def failed() -> bool:
            admin.execute("select pg_stat_clear_snapshot()")
            row = admin.execute("select failed_count from pg_stat_archiver").fetchone()
            return row is not None and row[0] > 0

        await until(failed, "the server notes that archiving failed", seconds=30)


def test_without_a_folder_nothing_is_archived() -> None:
    assert archive_settings(None) == {"archive_mode": "off"}


async def _moment(installation: Installation) -> datetime:
    row = await installation.database.fetch_one("select clock_timestamp() as now")
    assert row is not None
    return row["now"]


async def _archived(installation: Installation) -> None:
    """Wait until everything until now is in the archive."""
    with psycopg.connect(installation.admin_url, autocommit=True) as admin:
        row = admin.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        wanted = row[0]

        async def there() -> bool:
            admin.execute("select pg_stat_clear_snapshot()")
            last = admin.execute("select last_archived_wal from pg_stat_archiver").fetchone()
            return last is not None and last[0] is not None and last[0][:24] >= wanted

        await until(there, f"{wanted} is archived", seconds=30)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.gz")}


def _cluster_of(found: Found) -> str:
    assert found.manifest.base is not None
    return found.manifest.base.system_identifier


def _slugs(data_dir: Path) -> set[str]:
    with EmbeddedServer(data_dir) as server, psycopg.connect(server.admin_url) as admin:
        return {slug for (slug,) in admin.execute("select slug from organizations")}
