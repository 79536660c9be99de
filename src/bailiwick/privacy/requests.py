"""Requests about a person: a copy of everything, or its erasure. Each is carried out by a durable task."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.privacy.holds import LegalHolds
from bailiwick.privacy.subjects import Subjects
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.tasks import NewTask, TaskQueue
from bailiwick.vault import Vault

RequestKind = Literal["export", "erasure"]
EXPORT_KIND = "privacy.export"
ERASURE_KIND = "privacy.erase"
ARCHIVE_DAYS = 7
"""How long an archive waits to be fetched; ours."""

_ARCHIVE = "privacy.archive"
_COLUMNS = (
    "id, organization_id, subject_id, kind, state, task_id, reason, archive is not null as has_archive, archive_until, "
    "certificate is not null as has_certificate, requested_at, finished_at"
)


class RequestPayload(BaseModel):
    """Names the request and nothing else: a task's payload must not hold what an erasure looks for."""

    model_config = ConfigDict(frozen=True)

    request_id: str


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What was asked for about a person, and what became of it."""

    id: str
    organization_id: str
    subject_id: str
    kind: RequestKind
    state: Literal["pending", "done", "refused"]
    task_id: str | None
    reason: str | None
    has_archive: bool
    archive_until: datetime | None
    has_certificate: bool
    requested_at: datetime
    finished_at: datetime | None


class DataRequests:
    """The requests of all organizations."""

    def __init__(
        self,
        *,
        database: Database,
        subjects: Subjects,
        holds: LegalHolds,
        queue: TaskQueue,
        vault: Vault,
        audit: AuditLog,
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._holds = holds
        self._queue = queue
        self._vault = vault
        self._audit = audit

    async def make(self, organization_id: str, subject: str, kind: RequestKind, *, actor: Actor) -> DataRequest:
        """Ask for a copy or an erasure; a task carries it out, through whatever crashes.

        Raises:
            NotFoundError: nobody is registered under ``subject``.
            ConflictError: the person was erased already, or an erasure is under way.
            LegalHoldError: a hold stands against the erasure.
        """
        found = await self._subjects.get(organization_id, subject)
        if found.erased_at is not None:
            raise ConflictError(f"subject {found.id} was erased at {found.erased_at:%Y-%m-%d %H:%M} UTC already")
        if kind == "erasure":
            (await self._holds.standing(organization_id)).refuse_erasure(found.id)
        request_id = new_id()
        async with self._database.transaction(organization_id) as connection:
            await connection.execute("select from data_subjects where id = %s for no key update", (found.id,))
            cursor = await connection.execute(
                "select id from data_requests where subject_id = %s and kind = 'erasure' and state = 'pending'",
                (found.id,),
            )
            if await cursor.fetchone() is not None:
                raise ConflictError("this person's data is being erased already; see the pending request")
            await connection.execute(
                "insert into data_requests (id, organization_id, subject_id, kind) values (%s, %s, %s, %s)",
                (request_id, organization_id, found.id, kind),
            )
            act = Act(organization_id, f"{kind}.requested", actor, f"subject:{found.id}", after={"request": request_id})
            await self._audit.record(act, connection=connection)
        await self.carry_out(organization_id, request_id, kind)
        return await self.get(organization_id, request_id)

    async def carry_out(self, organization_id: str, request_id: str, kind: RequestKind) -> str:
        """Add the task of a request and return its id; once only, however often it is called."""
        task_kind = ERASURE_KIND if kind == "erasure" else EXPORT_KIND
        made = await self._queue.enqueue(
            organization_id,
            NewTask(task_kind, RequestPayload(request_id=request_id), priority=1, key=f"privacy:{request_id}"),
        )
        await self._database.execute(
            "update data_requests set task_id = %s where id = %s and organization_id = %s",
            (made.task_id, request_id, organization_id),
            organization_id=organization_id,
        )
        return made.task_id

    async def carry_on_forgotten(self) -> int:
        """Add the tasks of requests whose maker was stopped before it could; returns how many."""
        rows = await self._database.fetch_all("select * from data_requests_forgotten()")
        for row in rows:
            await self.carry_out(row["request_organization"], row["request"], row["request_kind"])
        return len(rows)

    async def get(self, organization_id: str, request_id: str) -> DataRequest:
        """Return a request, or raise NotFoundError."""
        row = await self._row(organization_id, request_id, _COLUMNS)
        return DataRequest(**row)

    async def list(
        self, organization_id: str, *, subject_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[DataRequest]:
        """Return a page of requests, newest first, of one person if given."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from data_requests where organization_id = %(org)s "
            "and (%(subject)s::uuid is null or subject_id = %(subject)s) "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "subject": subject_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([DataRequest(**row) for row in rows], limit)

    async def certificate(self, organization_id: str, request_id: str) -> dict[str, Any]:
        """Return the signed certificate of an erasure.

        Raises:
            NotFoundError: there is no such request, or no certificate of it (yet).
        """
        row = await self._row(organization_id, request_id, "certificate")
        if row["certificate"] is None:
            raise NotFoundError(f"request {request_id} has no certificate; an erasure gets one when it is done")
        return row["certificate"]

    async def archive(self, organization_id: str, request_id: str, *, actor: Actor) -> bytes:
        """Return the archive of an export as JSON; who fetches it is audited.

        Raises:
            NotFoundError: there is no such request, or no archive of it (any more).
        """
        row = await self._row(organization_id, request_id, "subject_id, archive, archive_until < now() as is_over")
        if row["archive"] is None or row["is_over"]:
            raise NotFoundError(f"request {request_id} has no archive (any more); ask for a new export")
        data = await self._vault.open(organization_id, bytes(row["archive"]), purpose=f"{_ARCHIVE}:{request_id}")
        target = f"subject:{row['subject_id']}"
        await self._audit.record(
            Act(organization_id, "export.fetched", actor, target, after={"request": request_id, "bytes": len(data)})
        )
        return data

    async def keep_archive(self, request: DataRequest, data: bytes) -> None:
        """Keep an export's archive for a few days, sealed under the person's key, and end the request."""
        sealed = await self._vault.seal(
            request.organization_id, data, purpose=f"{_ARCHIVE}:{request.id}", subject_id=request.subject_id
        )
        await self._database.execute(
            "update data_requests set archive = %s, archive_until = now() + make_interval(days => %s), state = 'done', "
            "finished_at = now() where id = %s and organization_id = %s",
            (sealed, ARCHIVE_DAYS, request.id, request.organization_id),
            organization_id=request.organization_id,
        )

    async def finish(self, connection: Connection, request: DataRequest, certificate: Mapping[str, Any]) -> None:
        """End an erasure with its certificate, in a transaction of the caller's."""
        await connection.execute(
            "update data_requests set certificate = %s::jsonb, state = 'done', finished_at = now() "
            "where id = %s and organization_id = %s",
            (encode(certificate, what="certificate").decode(), request.id, request.organization_id),
        )

    async def refuse(self, request: DataRequest, reason: str) -> None:
        """End a request that may not be carried out."""
        await self._database.execute(
            "update data_requests set state = 'refused', reason = %s, finished_at = now() "
            "where id = %s and organization_id = %s",
            (reason, request.id, request.organization_id),
            organization_id=request.organization_id,
        )

    async def _row(self, organization_id: str, request_id: str, columns: str) -> dict[str, Any]:
        identifier = parse_id(request_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {columns} from data_requests where id = %s and organization_id = %s",
            (identifier, organization_id),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(f"no request {request_id[:50]} in this organization")
        return row
