"""Goes back to a point in time: a copy of the server's files, and the write-ahead log from there on."""

import gzip
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from bailiwick.kernel.errors import DatabaseUnavailableError, InvalidInputError, NotFoundError
from bailiwick.recovery import archive
from bailiwick.recovery.errors import BackupDamagedError
from bailiwick.recovery.folder import BackupFolder, Found
from bailiwick.recovery.manifest import Manifest, read_manifest
from bailiwick.recovery.noting import note_restored
from bailiwick.recovery.restoring import Wanted, checked, place_key, staged_data
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.storage.embedded_account import ServerAccount
from bailiwick.storage.embedded_archive import quoted
from bailiwick.storage.embedded_folder import PASSWORDS_FILE, DataFolder

_LOG = "wal-restore"
_OVERRIDES = "postgresql.auto.conf"
# Replaying a day of a busy installation takes minutes; nobody is served by giving up early.
_PATIENCE_SECONDS = 24 * 3600.0


def rewind(
    folder: BackupFolder, data_dir: Path, moment: datetime | None, wanted: Wanted, *, base: Path | None = None
) -> Manifest:
    """Make a data folder as it was at a moment, the last the archive knows if it is None; whole or not at all.

    Everything committed until ``moment`` is there, nothing after it. Begins with
    ``base``, else with the newest base backup before it.

    Raises:
        NotFoundError: no base backup is old enough, or the archive ends before the moment.
        Otherwise as `restore_dump`.
    """
    found = _start(folder, moment) if base is None else Found(base, read_manifest(base))
    manifest = checked(found.path, "base", wanted)
    assert manifest.base is not None
    with staged_data(data_dir, wanted.replace) as staging:
        place_key(found.path, manifest, staging, data_dir, wanted)
        account = DataFolder(staging).prepare()
        cluster, log = staging / "postgres", staging / _LOG
        wanted.progress("unpacking the server's files", 0.2)
        _unpack_cluster(found.path, cluster, account)
        shutil.copy2(found.path / PASSWORDS_FILE, staging / PASSWORDS_FILE)
        log.mkdir(mode=0o700)
        account.give(log)
        wanted.progress("unpacking the write-ahead log", 0.4)
        kept_log = folder.archive_of(manifest.base.system_identifier)
        archive.unpack(kept_log, log, manifest.base.first_segment, account.give)
        wanted.progress("replaying the write-ahead log", 0.6)
        _replay(staging, manifest, moment, wanted, account)
        shutil.rmtree(log)
        wanted.progress("done", 1.0)
    return manifest


def _start(folder: BackupFolder, moment: datetime | None) -> Found:
    bases = folder.list("base")
    for found in bases:
        if moment is None or found.manifest.made_at <= moment:
            return found
    if not bases:
        raise NotFoundError(
            f"there is no copy of a server's files in {folder.root} to begin with; see: bailiwick backup list"
        )
    raise NotFoundError(
        f"the oldest copy of the server's files in {folder.root} is of "
        f"{bases[-1].manifest.made_at:%Y-%m-%d %H:%M:%S} UTC; only later moments can be gone to"
    )


def _unpack_cluster(backup: Path, cluster: Path, account: ServerAccount) -> None:
    try:
        for name, target in (("base.tar.gz", cluster), ("pg_wal.tar.gz", cluster / "pg_wal")):
            with tarfile.open(backup / name) as packed:
                packed.extractall(target, filter="tar")
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise BackupDamagedError(f"{backup} cannot be unpacked ({error}); use another backup") from error
    cluster.chmod(0o700)
    for path in (cluster, *cluster.rglob("*")):
        account.give(path)


def _replay(staging: Path, manifest: Manifest, moment: datetime | None, wanted: Wanted, account: ServerAccount) -> None:
    cluster, log = staging / "postgres", staging / _LOG
    overrides = cluster / _OVERRIDES
    before = overrides.read_text()
    path = str(log).replace("%", "%%")
    if '"' in path or "$" in path or "`" in path or "\\" in path:
        raise InvalidInputError(
            f"a restore cannot be made into {staging.parent}: its path holds a sign a shell would read"
        )
    settings = {
        "restore_command": f'cp "{path}/%f" "%p"',
        "recovery_target_action": "promote",
        # Nobody is let in before the moment is reached.
        "hot_standby": "off",
        "archive_mode": "off",
    }
    if moment is not None:
        settings["recovery_target_time"] = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f+00}"
    lines = "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())
    overrides.write_text(before + lines)
    signal_file = cluster / "recovery.signal"
    signal_file.touch(mode=0o600)
    account.give(signal_file)
    server = EmbeddedServer(staging, recovery_seconds=_PATIENCE_SECONDS)
    try:
        server.start()
        note_restored(server.admin_url, manifest, wanted.actor, moment=moment)
    except DatabaseUnavailableError as error:
        said = (staging / "server.log").read_text(errors="replace") if (staging / "server.log").exists() else ""
        if "recovery ended before configured recovery target was reached" in said:
            raise NotFoundError(
                "the archive of the write-ahead log ends before that moment; go to an earlier one, or say "
                "--to-time latest for the last that it knows"
            ) from error
        raise
    finally:
        server.stop()
    overrides.write_text(before)
    _announce_timelines(cluster / "pg_wal", account)


def _announce_timelines(log: Path, account: ServerAccount) -> None:
    """Have the server archive where its timeline branched off, once it archives again; its log alone leads nowhere."""
    for history in log.glob("*.history"):
        ready = log / "archive_status" / f"{history.name}.ready"
        if not ready.with_suffix(".done").exists():
            ready.touch(mode=0o600)
            account.give(ready)
