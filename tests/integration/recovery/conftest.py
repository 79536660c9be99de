"""Backups of a database of the test's own, and of an embedded server of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel

from bailiwick.audit import SYSTEM, Act, AuditLog
from bailiwick.extensions import Registrar, find_extensions
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.recovery import BackupRecord, Backups, KeepRule
from bailiwick.recovery.contents import look, prepare
from bailiwick.recovery.making import Origin
from bailiwick.recovery.manifest import Contents
from bailiwick.recovery.restoring import Wanted
from bailiwick.storage import Database
from bailiwick.storage.binaries import BINARIES_VARIABLE
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.tasks import Run, TaskKind


class Note(BaseModel):
    """What a task of these tests is asked with."""

    text: str


class Notes:
    """One kind of task that ends once the gate is open."""

    name = "notes"
    version = "1"
    migrations: Path | None = None

    def __init__(self) -> None:
        self.is_open = True
        self.begun = 0

    def register(self, registrar: Registrar) -> None:
        async def keep(run: Run, note: Note) -> object:
            self.begun += 1
            if not self.is_open:
                await asyncio.Event().wait()
            return {"kept": note.text}

        registrar.task_kind(TaskKind("note.keep", keep, Note))


class Kept:
    """A database, its audit log and its backups."""

    def __init__(self, database: Database, login_url: str, folder: Path) -> None:
        self.database = database
        self.login_url = login_url
        self.audit = AuditLog(database)
        self.folder = folder
        self.backups = Backups(
            database, self.audit, Origin(login_url), folder=folder, rule=KeepRule(daily=2, weekly=0, monthly=0)
        )

    async def act(self, number: int) -> None:
        """Append one entry to the installation's audit chain."""
        await self.audit.record(Act(INSTALLATION, "test.acted", SYSTEM, f"number:{number}", after={"number": number}))

    async def dump(self, *, is_scheduled: bool = False) -> Path:
        """Make a dump and return its folder."""
        return path_of(await self.backups.make(actor=SYSTEM, is_scheduled=is_scheduled))


def path_of(record: BackupRecord) -> Path:
    """The folder of a backup that was made."""
    assert record.path is not None
    return Path(record.path)


def contents_of(url: str) -> Contents:
    """What a database holds, as its superuser sees it."""
    with psycopg.connect(url, autocommit=True) as connection:
        prepare(connection)
        return look(connection, lambda _what, _done: None)


@pytest.fixture
async def kept(database: Database, login_url: str, tmp_path: Path) -> Kept:
    """A migrated database with three audit entries."""
    made = Kept(database, login_url, tmp_path / "backups")
    for number in range(3):
        await made.act(number)
    return made


@pytest.fixture(autouse=True)
def _programs_of_all_tests(postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the copy of PostgreSQL's programs that the tests' server made, where it had to make one (as root)."""
    for programs in postgres.data_dir.glob("engine/*/*/*/bin"):
        monkeypatch.setenv(BINARIES_VARIABLE, str(programs))


@pytest.fixture
def place(data_dir: Path) -> Path:
    """A folder for data folders and backups, which the server's account may pass through."""
    data_dir.chmod(0o711)
    return data_dir


def wanted(**fields: Any) -> Wanted:
    """How to restore, knowing the schemas of the installed extensions."""
    found, _failed = find_extensions()
    return Wanted(migrations=[one.migrations for one in found if one.migrations is not None], **fields)


def names(folder: Path, pattern: str = "*") -> list[str]:
    """The names in a folder, but for locks."""
    return sorted(path.name for path in folder.glob(pattern) if path.name not in (".lock", "owner.lock"))


@asynccontextmanager
async def embedded(
    data_dir: Path, backup_dir: Path | None, *, notes: Notes | None = None
) -> AsyncGenerator[Installation]:
    """An installation on an embedded server of its own."""
    settings = Settings(
        data_dir=data_dir, backup_dir=backup_dir, worker_lease_seconds=1.0, drain_seconds=0.1, warm_start=False
    )
    async with Installation.open(settings, extra=[] if notes is None else [notes]) as installation:
        yield installation
