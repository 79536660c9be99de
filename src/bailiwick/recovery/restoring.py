"""Brings a dump back: into a data folder that is empty, or into an empty external database."""

import shutil
import tempfile
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from bailiwick.audit import SYSTEM, Actor
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from bailiwick.recovery.folder import sync
from bailiwick.recovery.making import DUMP_FILE
from bailiwick.recovery.manifest import Manifest, Progress, check_files, read_manifest
from bailiwick.recovery.noting import note_restored
from bailiwick.recovery.programs import Halt, run_program
from bailiwick.storage.binaries import BINARIES_VARIABLE, find_postgres_binaries
from bailiwick.storage.connections import unavailable
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.storage.embedded_folder import DataFolder
from bailiwick.storage.migrating import known_revisions
from bailiwick.storage.roles import provide_roles
from bailiwick.vault.errors import MasterKeyError
from bailiwick.vault.key_file import KEY_FILE_NAME, KeyFile

_STAGING = ".restoring-"
_CLUSTER = "postgres"
# pg_restore of 17 and later begins with a setting that older servers do not know.
_MAJOR_WITH_TRANSACTION_TIMEOUT = 17


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to restore: what the program knows, which master keys are at hand, and how to tell and to stop.

    ``migrations`` are the extensions' folders of versions. ``key_file`` is put
    beside the data. ``without_key`` restores although sealed values will stay
    sealed. ``other_keys`` are the ids of keys that are in no file. ``replace``
    moves away what is there. ``actor`` is who restores.
    """

    migrations: Sequence[Path] = ()
    key_file: Path | None = None
    other_keys: Collection[str] = ()
    without_key: bool = False
    replace: bool = False
    actor: Actor = SYSTEM
    progress: Progress = field(default=lambda _what, _done: None)
    halt: Halt = field(default_factory=Halt)


def restore_dump(backup: Path, data_dir: Path, wanted: Wanted) -> Manifest:
    """Make a data folder that an installation can be started on, of a dump; whole or not at all.

    Raises:
        BackupDamagedError: the backup is not what it was.
        ConflictError: the folder is in use or not empty, or the master key is another one.
        InvalidInputError: a newer Bailiwick made the backup.
        DatabaseUnavailableError, DiskFullError, BackupFailedError: nothing was left behind.
    """
    manifest = checked(backup, "dump", wanted)
    with staged_data(data_dir, wanted.replace) as staging:
        place_key(backup, manifest, staging, data_dir, wanted)
        with EmbeddedServer(staging) as server:
            load(backup, server.admin_url, wanted)
            note_restored(server.admin_url, manifest, wanted.actor)
    return manifest


def restore_dump_outside(backup: Path, admin_url: str, wanted: Wanted) -> Manifest:
    """Fill an empty external database from a dump, in one transaction.

    Raises:
        As `restore_dump`; ConflictError where the database holds something.
    """
    manifest = checked(backup, "dump", wanted)
    _check_keys(
        manifest, set(wanted.other_keys), wanted, "set BAILIWICK_MASTER_KEY or BAILIWICK_MASTER_KEY_FILE_NAME to it"
    )
    load(backup, admin_url, wanted, options=("--single-transaction",))
    note_restored(admin_url, manifest, wanted.actor)
    return manifest


def checked(backup: Path, kind: str, wanted: Wanted) -> Manifest:
    """Return a backup's manifest once its files are proven unchanged and its schema is known here."""
    manifest = read_manifest(backup)
    if manifest.kind != kind:
        raise InvalidInputError(
            f"{backup} is a copy of the server's files; say to which moment: bailiwick restore --to-time TIME"
            if manifest.kind == "base"
            else f"{backup} is a dump, which holds one moment only; leave --to-time away"
        )
    check_files(backup, manifest, wanted.progress)
    unknown = set(manifest.contents.revisions) - known_revisions(wanted.migrations)
    if unknown:
        raise InvalidInputError(
            f"{backup} was made by Bailiwick {manifest.bailiwick}, whose schema ({', '.join(sorted(unknown))}) is "
            "newer than this program's; install that version, or the extensions that were installed then"
        )
    return manifest


def load(backup: Path, admin_url: str, wanted: Wanted, *, options: Sequence[str] = ("--exit-on-error",)) -> None:
    """Make the roles and load a dump into an empty database.

    Raises:
        ConflictError: it is not empty.
        InvalidInputError: its server is too old for the programs here.
        BackupFailedError: the dump does not load; the message says why.
    """
    binaries = find_postgres_binaries()
    try:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            major = admin.info.server_version // 10_000
            if major < _MAJOR_WITH_TRANSACTION_TIMEOUT <= binaries.major:
                raise InvalidInputError(
                    f"the programs of PostgreSQL {binaries.major} cannot restore into a server {major}; set "
                    f"{BINARIES_VARIABLE} to a folder with PostgreSQL {major}'s programs, or use a newer server"
                )
            _check_empty(admin)
            provide_roles(admin)
            if options == ("--single-transaction",):
                admin.execute(sql.SQL("grant bailiwick_engine to current_user"))
    except psycopg.OperationalError as error:
        raise unavailable(error) from error
    row = 0

    def follow(line: str) -> None:
        nonlocal row
        if "processing data for table" in line:
            row += 1
            wanted.progress("loading rows", min(0.95, row / (row + 10)))

    arguments = [*options, "--verbose", str(backup / DUMP_FILE)]
    run_program(binaries, "pg_restore", arguments, url=admin_url, halt=wanted.halt, on_line=follow)
    wanted.progress("loading rows", 1.0)


@contextmanager
def staged_data(data_dir: Path, replace: bool) -> Generator[Path]:
    """Yield a hidden folder in a data folder; when the block ends, what it made becomes the data folder's content.

    The cluster is moved last, so that an interrupted move is no installation.

    Raises:
        ConflictError: the data folder is not empty, or somebody uses it.
    """
    target = DataFolder(data_dir)
    if replace:
        _move_away(target)
    _check_free(target)
    target.prepare()
    if not target.owner_lock.acquire():
        raise ConflictError(f"a process uses {target.root}; stop it first")
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=target.root))
    try:
        DataFolder(staging).prepare()
        yield staging
        for path in sorted(staging.iterdir(), key=lambda one: one.name == _CLUSTER):
            if path.name not in ("owner.lock", "server.lock", "server.json"):
                sync(path)
                path.rename(target.root / path.name)
        sync(target.root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        target.owner_lock.release()


def place_key(backup: Path, manifest: Manifest, staging: Path, data_dir: Path, wanted: Wanted) -> None:
    """Put the master key beside the data, from where it was named or from the backup, and check that it fits."""
    source = wanted.key_file or (backup / KEY_FILE_NAME if manifest.includes_key else None)
    present = data_dir.expanduser() / KEY_FILE_NAME
    if source is not None:
        if not source.is_file():
            raise InvalidInputError(f"there is no key file {source}")
        if present.is_file() and present.read_bytes().strip() != source.read_bytes().strip():
            raise ConflictError(f"{present} is another key than {source}; move it away first, nothing is overwritten")
        try:
            KeyFile(source, may_create=False).at_hand()
        except MasterKeyError as error:
            raise InvalidInputError(f"{source} holds no master key; name the file that was kept of it") from error
        shutil.copyfile(source, staging / KEY_FILE_NAME)
        (staging / KEY_FILE_NAME).chmod(0o600)
        sync(staging / KEY_FILE_NAME)
    used = KeyFile(present if source is None else staging / KEY_FILE_NAME, may_create=False)
    at_hand = {*(key.id for key in used.at_hand()), *wanted.other_keys}
    _check_keys(manifest, at_hand, wanted, f"name its file with --key-file; it will be put into {data_dir}")


def _check_keys(manifest: Manifest, at_hand: set[str], wanted: Wanted, how: str) -> None:
    missing = [key for key in manifest.contents.master_keys if key not in at_hand]
    if missing and not wanted.without_key:
        there = f"another one is there ({', '.join(sorted(at_hand))})" if at_hand else "it is not there"
        raise ConflictError(
            f"what was sealed in this backup opens only with the master key {', '.join(missing)}, and {there}; "
            f"{how}, or restore with --without-key: then those values stay sealed"
        )


def _check_empty(admin: psycopg.Connection) -> None:
    row = admin.execute(
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'S')"
    ).fetchone()
    if row is not None and row[0]:
        raise ConflictError(
            f"the database is not empty: {row[0]} tables and the like are in it; make an empty one and name it in "
            "BAILIWICK_DATABASE_URL"
        )


def _check_free(target: DataFolder) -> None:
    if not target.root.exists():
        return
    there = []
    for path in target.root.iterdir():
        if path.name.startswith(_STAGING):
            shutil.rmtree(path, ignore_errors=True)  # of a restore that was killed
        elif path.name not in ("owner.lock", KEY_FILE_NAME):
            there.append(path.name)
    if there:
        raise ConflictError(
            f"the data folder {target.root} is not empty ({', '.join(sorted(there)[:4])}); name an empty one with "
            "--into, or say --replace to move what is there aside"
        )


def _move_away(target: DataFolder) -> None:
    if not target.root.is_dir() or not any(target.root.iterdir()):
        return
    if not target.owner_lock.acquire() or not target.server_lock.is_free():
        target.owner_lock.release()
        raise ConflictError(f"a process uses {target.root}; stop it first, then restore")
    try:
        aside = target.root.with_name(f"{target.root.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        target.root.rename(aside)
        # The key is not of the past: sealed values of any age open with it.
        if (aside / KEY_FILE_NAME).is_file():
            DataFolder(target.root).prepare()
            shutil.copy2(aside / KEY_FILE_NAME, target.root / KEY_FILE_NAME)
    finally:
        target.owner_lock.release()
