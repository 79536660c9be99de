"""Makes backups: a portable dump of any server, or a copy of the embedded server's files."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg

from bailiwick import __version__
from bailiwick.kernel.errors import DatabaseUnavailableError, NotFoundError
from bailiwick.kernel.ids import new_id
from bailiwick.recovery.contents import Guard, check_sees_all, look, prepare, summary
from bailiwick.recovery.folder import BackupFolder, write_manifest
from bailiwick.recovery.manifest import (
    BaseStart,
    Contents,
    Kind,
    Manifest,
    Progress,
    describe_files,
)
from bailiwick.recovery.programs import Halt, run_program
from bailiwick.storage.binaries import BINARIES_VARIABLE, PostgresBinaries, find_postgres_binaries
from bailiwick.storage.connections import unavailable
from bailiwick.storage.embedded_folder import PASSWORDS_FILE
from bailiwick.vault.key_file import KEY_FILE_NAME

DUMP_FILE = "database.dump"
_LOCK_WAIT = "60s"


@dataclass(frozen=True, slots=True)
class Origin:
    """What is backed up: the address of who sees everything, the data folder of an embedded server, the key's file."""

    admin_url: str
    data_dir: Path | None = None
    key_file: Path | None = None


def make_dump(
    origin: Origin, folder: BackupFolder, *, include_key: bool, is_scheduled: bool, progress: Progress, halt: Halt
) -> tuple[Path, Manifest]:
    """Write a dump of one moment while everybody goes on working; return where it is and its manifest.

    Rows, their counts and the ends of the audit chains are of one snapshot.
    Other schema changes wait for it. Reads the database twice, writes about a
    fifth of its size.

    Raises:
        DatabaseUnavailableError, DiskFullError, BackupFailedError, ConflictError: nothing was left behind.
        NotFoundError: the key's file was asked for and there is none.
    """
    binaries = find_postgres_binaries()
    with _guard(origin.admin_url, binaries) as guard:
        name, name_id = _named("dump")
        with folder.staged(name) as staging:
            guard.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            guard.read_only = True
            guard.autocommit = False
            row = guard.execute("select pg_export_snapshot(), clock_timestamp()").fetchone()
            assert row is not None
            _dump(
                guard, url=origin.admin_url, binaries=binaries, target=staging / DUMP_FILE, snapshot=row[0],
                progress=progress, halt=halt,
            )  # fmt: skip
            contents = look(guard, lambda what, done: progress(what, 0.5 + 0.45 * done))
            halt.check()
            _copy_key(origin, staging, include_key=include_key)
            manifest = _manifest(
                "dump", name_id, row[1], contents,
                guard=guard, binaries=binaries, staging=staging, include_key=include_key, is_scheduled=is_scheduled,
            )  # fmt: skip
            write_manifest(staging, manifest)
            progress("writing", 1.0)
    return folder.root / name, manifest


def make_base(
    origin: Origin, folder: BackupFolder, *, is_scheduled: bool, progress: Progress, halt: Halt
) -> tuple[Path, Manifest]:
    """Copy the embedded server's files while it runs; with the archive, every moment after it can be gone to.

    Raises:
        DatabaseUnavailableError, DiskFullError, BackupFailedError, ConflictError: nothing was left behind.
    """
    if origin.data_dir is None:
        raise NotFoundError("only the embedded server's files can be copied; use the external server's own means")
    binaries = find_postgres_binaries()
    with _guard(origin.admin_url, binaries) as guard:
        name, name_id = _named("base")
        with folder.staged(name) as staging:
            progress("copying the server's files", 0.0)
            run_program(
                binaries, "pg_basebackup",
                ["-D", staging, "--format=tar", "--compress=gzip:1", "--wal-method=stream", "--checkpoint=fast",
                 "--manifest-checksums=SHA256", f"--label={name}"],
                url=origin.admin_url, halt=halt,
            )  # fmt: skip
            # Without them nobody can log in to the copy; they open nothing that the copy does not hold anyway.
            shutil.copy2(origin.data_dir / PASSWORDS_FILE, staging / PASSWORDS_FILE)
            row = guard.execute("select clock_timestamp()").fetchone()
            assert row is not None
            manifest = _manifest(
                "base", name_id, row[0], summary(guard),
                guard=guard, binaries=binaries, staging=staging, include_key=False, is_scheduled=is_scheduled,
            )  # fmt: skip
            write_manifest(staging, manifest.model_copy(update={"base": _base_start(guard, staging)}))
            progress("writing", 1.0)
    return folder.root / name, manifest


@contextmanager
def _guard(url: str, binaries: PostgresBinaries) -> Generator[Guard]:
    try:
        with psycopg.connect(url, autocommit=True, application_name="bailiwick backup") as guard:
            server = guard.info.server_version // 10_000
            if server > binaries.major:
                raise DatabaseUnavailableError(
                    f"the server is PostgreSQL {server} and the programs here are {binaries.major}, which cannot read "
                    f"it; install PostgreSQL {server}'s client programs and set {BINARIES_VARIABLE} to their folder"
                )
            check_sees_all(guard)
            prepare(guard)
            yield guard
    except psycopg.OperationalError as error:
        raise unavailable(error) from error


def _named(kind: Kind) -> tuple[str, str]:
    identifier = new_id()
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{kind}-{identifier[-6:]}", identifier


def _dump(
    guard: Guard, *, url: str, binaries: PostgresBinaries, target: Path, snapshot: str, progress: Progress, halt: Halt
) -> None:
    row = guard.execute(
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    ).fetchone()
    tables, begun = (row[0] if row else 0) or 1, 0

    def follow(line: str) -> None:
        nonlocal begun
        if "dumping contents of table" in line:
            begun += 1
            progress("copying rows", 0.5 * min(1.0, begun / tables))

    run_program(
        binaries, "pg_dump",
        ["--format=custom", f"--snapshot={snapshot}", "--verbose", f"--file={target}",
         f"--lock-wait-timeout={_LOCK_WAIT}"],
        url=url, halt=halt, on_line=follow,
    )  # fmt: skip
    target.chmod(0o600)


def _copy_key(origin: Origin, staging: Path, *, include_key: bool) -> None:
    if not include_key:
        return
    if origin.key_file is None or not origin.key_file.is_file():
        raise NotFoundError(
            "the master key is in no file here, so it cannot be put into the backup; leave --include-key away "
            "and keep the key where it is kept"
        )
    shutil.copyfile(origin.key_file, staging / KEY_FILE_NAME)
    (staging / KEY_FILE_NAME).chmod(0o600)


def _manifest(
    kind: Kind, identifier: str, moment: datetime, contents: Contents, *,
    guard: Guard, binaries: PostgresBinaries, staging: Path, include_key: bool, is_scheduled: bool,
) -> Manifest:  # fmt: skip
    row = guard.execute("select pg_database_size(current_database())").fetchone()
    return Manifest(
        kind=kind,
        id=identifier,
        made_at=moment.astimezone(UTC),
        bailiwick=__version__,
        postgres=guard.info.server_version // 10_000,
        programs=binaries.major,
        database_bytes=row[0] if row else 0,
        contents=contents,
        includes_key=include_key,
        is_scheduled=is_scheduled,
        files=describe_files(staging),
    )


def _base_start(guard: Guard, staging: Path) -> BaseStart:
    described = orjson.loads((staging / "backup_manifest").read_bytes())
    first = min(described["WAL-Ranges"], key=lambda one: int(one["Timeline"]))
    row = guard.execute(
        "select system_identifier::text, (select setting::bigint from pg_settings where name = 'wal_segment_size') "
        "from pg_control_system()"
    ).fetchone()
    assert row is not None
    high, low = (int(part, 16) for part in first["Start-LSN"].split("/"))
    segment = ((high << 32) | low) // row[1]
    per_id = 0x1_0000_0000 // row[1]
    return BaseStart(
        system_identifier=row[0],
        first_segment=f"{first['Timeline']:08X}{segment // per_id:08X}{segment % per_id:08X}",
        segment_bytes=row[1],
    )
