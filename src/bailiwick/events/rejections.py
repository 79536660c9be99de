"""Records that a door refused: kept as they came, listed, and marked once they were redriven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.storage.rows import RowFields, batch

_COLUMNS = (
    "id, organization_id, source, line, reason, convert_from(raw, 'UTF8') as raw, is_truncated, context, "
    "rejected_at, redriven_at"
)


@dataclass(frozen=True, slots=True)
class NewRejection:
    """A record to keep. ``context`` is what its reader was told beside it, needed to read it again."""

    source: str
    line: int | None
    reason: str
    raw: str
    is_truncated: bool = False
    context: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refused record. A truncated one has to be taken from its source again."""

    id: str
    organization_id: str
    source: str
    line: int | None
    reason: str
    raw: str
    is_truncated: bool
    context: dict[str, Any]
    rejected_at: datetime
    redriven_at: datetime | None


class Rejections:
    """The rejected list of each organization."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit = AuditLog(database)

    async def keep(self, organization_id: str, records: Sequence[NewRejection]) -> int:
        """Keep records in one transaction and return how many were new.

        The same record of the same source that still waits is not kept twice:
        importing a file again repeats its rejections.
        """
        rows: list[RowFields] = [
            {
                "id": new_id(), "org": organization_id, "source": record.source, "line": record.line,
                "reason": record.reason, "raw": record.raw, "truncated": record.is_truncated,
                "context": dict(record.context or {}),
            }
            for record in records
        ]  # fmt: skip
        return await self._database.execute(
            "insert into rejected_records (id, organization_id, source, line, reason, raw, is_truncated, context) "
            "select r.id, r.org, r.source, r.line, r.reason, convert_to(r.raw, 'UTF8'), r.truncated, r.context "
            "from jsonb_to_recordset(%s::jsonb) as r (id uuid, org uuid, source text, line bigint, reason text, "
            "raw text, truncated boolean, context jsonb) on conflict do nothing",
            (batch(rows),),
            organization_id=organization_id,
        )

    async def get(self, organization_id: str, rejection_id: str) -> Rejection:
        """Return one rejected record, or raise NotFoundError."""
        identifier = parse_id(rejection_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {_COLUMNS} from rejected_records where id = %s and organization_id = %s",
            (identifier, organization_id),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(f"no rejected record {rejection_id} in this organization")
        return Rejection(**row)

    async def count(self, organization_id: str) -> int:
        """Return how many rejected records wait to be mended."""
        row = await self._database.fetch_one(
            "select count(*) as n from rejected_records where organization_id = %s and redriven_at is null",
            (organization_id,),
            organization_id=organization_id,
        )
        return 0 if row is None else int(row["n"])

    async def mark_redriven(
        self, organization_id: str, rejection_id: str, *, is_mended: bool = False, actor: Actor = SYSTEM
    ) -> None:
        """Note that a record was read again with success; it leaves the list."""
        act = Act(organization_id, "record.redriven", actor, f"record:{rejection_id}", after={"is_mended": is_mended})
        async with self._database.transaction(organization_id) as connection:
            await connection.execute(
                "update rejected_records set redriven_at = now() where id = %s and organization_id = %s",
                (rejection_id, organization_id),
            )
            await self._audit.record(act, connection=connection)

    async def list(
        self, organization_id: str, *, with_redriven: bool = False, limit: int = 50, cursor: str | None = None
    ) -> Page[Rejection]:
        """Return a page of rejected records, newest first; those redriven only if asked for."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from rejected_records where organization_id = %(org)s "
            "and (%(all)s or redriven_at is null) and (%(after)s::uuid is null or id < %(after)s) "
            "order by id desc limit %(limit)s",
            {"org": organization_id, "all": with_redriven, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([Rejection(**row) for row in rows], limit)
