"""Connections to outside systems: what is polled, how far it got, what went wrong last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.connectors.credentials import Credentials
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.telemetry.redacting import redacted
from bailiwick.vault import Vault

ConnectionState = Literal["active", "paused", "refused"]

_COLUMNS = (
    "id, organization_id, kind, target, configuration, cursor, state, next_poll_at, last_polled_at, last_error, "
    "created_at"
)


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """One connected system. ``configuration`` says where secrets are, never what they are.

    ``refused`` is the state after the other side said no for good: nothing is
    polled until a person has changed something and resumed it.
    """

    id: str
    organization_id: str
    kind: str
    target: str
    configuration: dict[str, Any]
    cursor: dict[str, Any] | None
    state: ConnectionState
    next_poll_at: datetime
    last_polled_at: datetime | None
    last_error: str | None
    created_at: datetime


class Connections:
    """The connections of all organizations."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self.credentials = Credentials(database, vault)
        self._database = database
        self._audit = AuditLog(database)

    async def add(
        self,
        organization_id: str,
        kind: str,
        target: str,
        configuration: Mapping[str, Any],
        *,
        credentials: Mapping[str, str] | None = None,
        actor: Actor = SYSTEM,
    ) -> ConnectionRecord:
        """Connect a system; it is polled at once. ``credentials`` are sealed, under the names that `sealed` lists.

        Raises:
            ConflictError: the organization has this connection already.
        """
        connection_id = new_id()
        sealed = None
        if credentials:
            sealed = await self.credentials.seal(organization_id, connection_id, credentials)
            configuration = {**configuration, "sealed": sorted(credentials)}
        document = encode(configuration, what="configuration").decode()
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                trusted(
                    "insert into connections (id, organization_id, kind, target, configuration, credentials) "
                    "values (%s, %s, %s, %s, %s::jsonb, %s) "
                    f"on conflict (organization_id, kind, target) do nothing returning {_COLUMNS}"
                ),
                (connection_id, organization_id, kind, target, document, sealed),
            )
            row = await cursor.fetchone()
            if row is None:
                raise ConflictError(f"{kind} {target} is connected already; remove it first to connect it differently")
            # Without the configuration, which may say where a secret is found.
            act = Act(organization_id, "connection.added", actor, f"connection:{row['id']}",
                      after={"kind": kind, "target": target})  # fmt: skip
            await self._audit.record(act, connection=connection)
        return _record(row)

    async def get(self, organization_id: str, reference: str) -> ConnectionRecord:
        """Return a connection by id or target, or raise NotFoundError."""
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from connections where organization_id = %s and (id = %s::uuid or target = %s) limit 1",
            (organization_id, parse_id(reference), reference),
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no connection {reference!r} in this organization")
        return _record(row)

    async def find_by_id(self, connection_id: str) -> ConnectionRecord | None:
        """Return a connection of whichever organization, or None: for a delivery that names nothing else.

        It proves nothing about who asks; the delivery's signature does.
        """
        identifier = parse_id(connection_id)
        if identifier is None:
            return None
        owner = await self._database.fetch_one("select connection_organization(%s) as id", (identifier,))
        if owner is None or owner["id"] is None:
            return None
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from connections where id = %s", (identifier,), organization_id=owner["id"]
        )
        return None if row is None else _record(row)

    async def due(self, organization_id: str) -> list[ConnectionRecord]:
        """Return the active connections whose time to be polled has come, the longest waiting first."""
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from connections where organization_id = %s and state = 'active' "
            "and next_poll_at <= now() order by next_poll_at limit 100",
            (organization_id,),
            organization_id=organization_id,
        )
        return [_record(row) for row in rows]

    async def save_poll(
        self, connection: ConnectionRecord, cursor: Mapping[str, Any], next_poll_at: datetime, *, problem: str | None
    ) -> None:
        """Keep where polling stands; ``problem`` is what ended the poll early, None clears the last one."""
        await self._database.execute(
            "update connections set cursor = %s::jsonb, next_poll_at = %s, last_polled_at = now(), last_error = %s "
            "where id = %s and organization_id = %s",
            (
                encode(cursor, what="cursor").decode(), next_poll_at, problem and redacted(problem), connection.id,
                connection.organization_id,
            ),
            organization_id=connection.organization_id,
        )  # fmt: skip

    async def save_error(self, connection: ConnectionRecord, error: str, *, is_final: bool) -> None:
        """Keep what went wrong; a final error stops polling until the connection is resumed."""
        await self._database.execute(
            "update connections set last_error = %s, last_polled_at = now(), "
            "state = case when %s then 'refused' else state end where id = %s and organization_id = %s",
            (redacted(error)[:2000], is_final, connection.id, connection.organization_id),
            organization_id=connection.organization_id,
        )

    async def set_state(
        self, organization_id: str, reference: str, state: ConnectionState, *, actor: Actor = SYSTEM
    ) -> ConnectionRecord:
        """Pause or resume a connection; a resumed one is polled at once."""
        found = await self.get(organization_id, reference)
        async with self._database.transaction(organization_id) as connection:
            await connection.execute(
                "update connections set state = %s, "
                "last_error = case when %s = 'active' then null else last_error end, "
                "next_poll_at = case when %s = 'active' then now() else next_poll_at end "
                "where id = %s and organization_id = %s",
                (state, state, state, found.id, organization_id),
            )
            action = "connection.resumed" if state == "active" else "connection.paused"
            act = Act(organization_id, action, actor, f"connection:{found.id}", before={"state": found.state},
                      after={"state": state, "target": found.target})  # fmt: skip
            await self._audit.record(act, connection=connection)
        return await self.get(organization_id, found.id)

    async def remove(self, organization_id: str, reference: str, *, actor: Actor = SYSTEM) -> ConnectionRecord:
        """Forget a connection; events that came through it stay."""
        found = await self.get(organization_id, reference)
        async with self._database.transaction(organization_id) as connection:
            await connection.execute(
                "delete from connections where id = %s and organization_id = %s", (found.id, organization_id)
            )
            act = Act(organization_id, "connection.removed", actor, f"connection:{found.id}",
                      before={"kind": found.kind, "target": found.target, "state": found.state})  # fmt: skip
            await self._audit.record(act, connection=connection)
        return found

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[ConnectionRecord]:
        """Return a page of connections, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from connections where organization_id = %(org)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_record(row) for row in rows], limit)


def _record(row: Row) -> ConnectionRecord:
    return ConnectionRecord(**row)
