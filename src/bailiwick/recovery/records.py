"""The table of backups that were tried, and what became of them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bailiwick.kernel.ids import new_id
from bailiwick.recovery.manifest import Kind, Manifest
from bailiwick.storage import Database
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """A backup that was tried.

    ``state`` is made, failed (see ``problem``) or removed by the rule;
    ``drill_problem`` is empty where the drill found nothing.
    """

    id: str
    kind: str
    path: str | None
    is_scheduled: bool
    state: str
    began_at: datetime
    ended_at: datetime
    bytes: int | None
    problem: str | None
    drilled_at: datetime | None
    drill_problem: str | None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_at - self.began_at).total_seconds()


_COLUMNS = "id, kind, path, is_scheduled, state, began_at, ended_at, bytes, problem, drilled_at, drill_problem"


class BackupRecords:
    """Writes and reads the table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_made(
        self, path: Path, manifest: Manifest, *, began_at: datetime, ended_at: datetime, is_scheduled: bool
    ) -> BackupRecord:
        """Note a finished backup."""
        return await self._add(
            (manifest.id, manifest.kind, str(path), is_scheduled, "made", began_at, ended_at, manifest.bytes, None)
        )

    async def add_failed(
        self, kind: Kind, problem: str, *, began_at: datetime, ended_at: datetime, is_scheduled: bool
    ) -> BackupRecord:
        """Note one that was not finished, and why."""
        return await self._add((new_id(), kind, None, is_scheduled, "failed", began_at, ended_at, None, problem))

    async def note_drill(self, path: Path, moment: datetime, problem: str) -> None:
        """Note what a drill found; an empty problem is a good backup."""
        await self._database.execute(
            "update backups set drilled_at = %s, drill_problem = %s where path = %s and state = 'made'",
            (moment, problem, str(path)),
        )

    async def note_removed(self, path: Path) -> None:
        """Note that a backup was removed by the rule."""
        await self._database.execute("update backups set state = 'removed' where path = %s", (str(path),))

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[BackupRecord]:
        """Return a page of backups, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from backups where (%(after)s::uuid is null or id < %(after)s) "
            "order by id desc limit %(limit)s",
            {"after": after_cursor(cursor), "limit": limit + 1},
        )
        return page_of([BackupRecord(**row) for row in rows], limit)

    async def _add(self, values: tuple[object, ...]) -> BackupRecord:
        row = await self._database.fetch_one(
            "insert into backups (id, kind, path, is_scheduled, state, began_at, ended_at, bytes, problem) "
            f"values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning {_COLUMNS}",
            values,
        )
        assert row is not None
        return BackupRecord(**row)
