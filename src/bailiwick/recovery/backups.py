"""The backups of an installation: made, recorded, thinned and drilled."""

import asyncio
import errno
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.kernel.errors import BailiwickError, CannotDetermineError, DiskFullError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.kernel.loading import load
from bailiwick.recovery import archive
from bailiwick.recovery.errors import BackupFailedError
from bailiwick.recovery.folder import BackupFolder
from bailiwick.recovery.keeping import KeepRule, kept
from bailiwick.recovery.making import Origin, make_base, make_dump
from bailiwick.recovery.manifest import Kind, Manifest, Progress
from bailiwick.recovery.programs import Halt
from bailiwick.recovery.records import BackupRecord, BackupRecords
from bailiwick.storage import Database

if TYPE_CHECKING:
    from bailiwick.recovery.drilling import DrillReport

Result = TypeVar("Result")
# Few processes ever drill, and every one starts.
_DRILLING = "bailiwick.recovery.drilling"
SETTING = "BAILIWICK_BACKUP_DIR"


def _say_nothing(what: str, done: float) -> None:
    """Take a progress report and drop it."""


class Backups:
    """Makes backups of one installation and keeps account of them.

    ``folder`` is where they go unless told otherwise, None where none is set.
    ``migrations`` are the extensions' versions, which a drill must know.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        origin: Origin,
        *,
        folder: Path | None,
        rule: KeepRule,
        migrations: Sequence[Path] = (),
    ) -> None:
        self._audit = audit
        self._origin = origin
        self._rule = rule
        self._migrations = tuple(migrations)
        self.records = BackupRecords(database)
        self.folder = None if folder is None else BackupFolder(folder)

    @property
    def can_rewind(self) -> bool:
        """Tell whether the server's files can be copied, too: it is ours, and there is a place for its log."""
        return self._origin.data_dir is not None and self.folder is not None

    async def make(
        self,
        kind: Kind = "dump",
        *,
        actor: Actor,
        out: Path | None = None,
        include_key: bool = False,
        is_scheduled: bool = False,
        progress: Progress = _say_nothing,
    ) -> BackupRecord:
        """Make a backup, record it with its outcome, and return the record.

        Only one that ``is_scheduled`` may be removed by the rule.

        Raises:
            CannotDetermineError: no folder is set and none is given.
            DiskFullError, BackupFailedError, DatabaseUnavailableError, ConflictError: it is recorded, and nothing
                was left behind.
        """
        folder = self._folder(out)
        began_at = datetime.now(UTC)

        def work(halt: Halt) -> tuple[Path, Manifest]:
            if kind == "base":
                return make_base(self._origin, folder, is_scheduled=is_scheduled, progress=progress, halt=halt)
            return make_dump(
                self._origin, folder, include_key=include_key, is_scheduled=is_scheduled, progress=progress, halt=halt
            )

        try:
            path, manifest = await _in_thread(work)
        except BailiwickError as error:
            await self.records.add_failed(
                kind, str(error), began_at=began_at, ended_at=datetime.now(UTC), is_scheduled=is_scheduled
            )
            raise
        record = await self.records.add_made(
            path, manifest, began_at=began_at, ended_at=datetime.now(UTC), is_scheduled=is_scheduled
        )
        told = {"kind": kind, "path": str(path), "bytes": manifest.bytes, "includes_key": include_key}
        await self._audit.record(Act(INSTALLATION, "backup.made", actor, f"backup:{record.id}", after=told))
        return record

    async def prune(self, *, actor: Actor) -> list[str]:
        """Remove what the rule does not keep, and each server's log before the oldest copy of its files.

        Only in the folder that is set, and only backups that the schedule made;
        returns their names.
        """
        if self.folder is None:
            return []
        removed: list[str] = []
        clusters = _first_segments(self.folder).keys()
        for kind in ("dump", "base"):
            found = [one for one in self.folder.list(kind) if one.manifest.is_scheduled]
            stay = kept((one.manifest.made_at for one in found), self._rule)
            for one in found:
                if one.manifest.made_at not in stay:
                    await asyncio.to_thread(self.folder.remove, one.path)
                    await self.records.note_removed(one.path)
                    removed.append(one.path.name)
        # Archives without any copy from the start are left alone: the first copy may be in the making.
        needed = _first_segments(self.folder)
        for cluster in clusters:
            await asyncio.to_thread(archive.prune, self.folder.archive_of(cluster), needed.get(cluster))
        if removed:
            told = {"removed": removed}
            await self._audit.record(Act(INSTALLATION, "backup.pruned", actor, "backup:rule", after=told))
        return removed

    async def drill(
        self, name: str | None = None, *, actor: Actor, kind: Kind = "dump", progress: Progress = _say_nothing
    ) -> "DrillReport":
        """Prove a backup, by default the newest dump, by starting it; records what was found.

        Raises:
            NotFoundError: there is no such backup.
            DiskFullError, DatabaseUnavailableError: the drill could not be made here.
        """
        folder = self.folder if self.folder is not None or name is None else BackupFolder(Path.cwd())
        if folder is None:
            raise CannotDetermineError(f"the folder of backups (set {SETTING}, or name a backup)")
        path = folder.find(name, kind if name is None else None)

        def prove(halt: Halt) -> "DrillReport":
            return load(_DRILLING).drill(path, migrations=self._migrations, progress=progress, halt=halt)

        report = await _in_thread(prove)
        await self.records.note_drill(path, datetime.now(UTC), "; ".join(report.problems))
        told = {"is_good": report.is_good, "problems": report.problems[:10]}
        await self._audit.record(Act(INSTALLATION, "backup.drilled", actor, f"backup:{path.name}", after=told))
        return report

    def _folder(self, out: Path | None) -> BackupFolder:
        if out is not None:
            return BackupFolder(out)
        if self.folder is None:
            raise CannotDetermineError(f"the folder for backups (give --out DIR, or set {SETTING})")
        return self.folder


def _first_segments(folder: BackupFolder) -> dict[str, str]:
    """Return the first segment that the copies of each cluster's files need, by its system identifier."""
    first: dict[str, str] = {}
    for found in folder.list("base"):
        if (base := found.manifest.base) is not None:
            cluster = base.system_identifier
            first[cluster] = min(base.first_segment, first.get(cluster, base.first_segment), key=archive.position)
    return first


def _told(work: Callable[[Halt], Result], halt: Halt) -> Result:
    try:
        return work(halt)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError("the disk is full, or a file may not grow further; nothing was kept of this") from error
        raise BackupFailedError(f"{error.filename or 'a file'} cannot be used: {error.strerror or error}") from error


async def _in_thread(work: Callable[[Halt], Result]) -> Result:
    """Run blocking work; when the caller is cancelled, the program it runs is ended and waited for."""
    halt = Halt()
    running = asyncio.ensure_future(asyncio.to_thread(_told, work, halt))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        halt.halt()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # taken note of; the cancellation is what counts
        raise
