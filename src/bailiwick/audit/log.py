"""Writes and reads the audit log."""

from collections.abc import AsyncIterator
from typing import Any, LiteralString
from uuid import UUID

import orjson

from bailiwick.audit.canonical import canonical
from bailiwick.audit.model import Act, Actor, Entry, EntryFilter
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database, Row
from bailiwick.storage.batching import Batcher
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of
from bailiwick.telemetry.redacting import redacted_json

# How long a caller waits for a database that is away before it hears of it.
PATIENCE_SECONDS = 10.0

_APPEND = "select audit_append(%s::uuid[], %s::uuid[], %s::text[])"
_FIELDS = "seq, id, organization_id, act, recorded_at, encode(previous, 'hex') as previous, encode(hash, 'hex') as hash"
_BLOCK = 1000
_ACTOR_NAMES = ("kind", "id", "name", "address")

# An organization, the entry's id, and the canonical act.
_Item = tuple[str, str, str]


class AuditLog:
    """The audit logs of all organizations: append-only, one hash chain each.

    ``record`` works at any time. Between ``open`` and ``close`` independent
    records share transactions, which makes many of them cheap.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[_Item, None] | None = None

    async def open(self) -> None:
        """Begin to group what is recorded; belongs to the running event loop."""
        self._batcher = Batcher(self._flush, patience_seconds=PATIENCE_SECONDS)
        self._batcher.start()

    async def close(self) -> None:
        """Write what is under way; later records travel alone."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await batcher.close()

    async def record(self, act: Act, *, connection: Connection | None = None) -> None:
        """Append an act; with a ``connection``, in the transaction that performs it.

        The chain's end stays locked until that transaction is over, so record
        last in it. Without a connection the act is durable on return.

        Raises:
            InvalidPayloadError, PayloadTooLargeError: the act holds what JSON or PostgreSQL cannot.
            DatabaseUnavailableError, DiskFullError: nothing was recorded.
        """
        item = _item_of(act)
        if connection is not None:
            await connection.execute(_APPEND, _columns([item]))
        elif self._batcher is not None:
            await self._batcher.put(item)
        else:
            await self._database.execute(_APPEND, _columns([item]))

    async def rows(self, organization_id: str, *, until: int | None = None) -> AsyncIterator[Row]:
        """Yield a chain's rows from its beginning, at most ``until``, a block at a time; no snapshot is held."""
        seq = 0
        while until is None or seq < until:
            rows = await self._database.fetch_all(
                f"select {_FIELDS} from audit_entries where organization_id = %s and seq > %s "
                "and (%s::bigint is null or seq <= %s) order by seq limit %s",
                (organization_id, seq, until, until, _BLOCK),
                organization_id=organization_id,
            )
            for row in rows:
                yield row
            if len(rows) < _BLOCK:
                return
            seq = rows[-1]["seq"]

    async def _flush(self, items: list[_Item]) -> list[None]:
        await self._database.execute(_APPEND, _columns(items))
        return [None] * len(items)

    async def list(
        self,
        organization_id: str,
        wanted: EntryFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Entry]:
        """Return a page of an organization's entries, newest first; INSTALLATION has a chain too."""
        limit = checked_limit(limit)
        conditions, params = _conditions(wanted or EntryFilter())
        after = after_cursor(cursor)
        if after is not None:
            conditions += " and seq < %(below)s"
            # A cursor is an id, and a place in a chain is a number: it travels as one.
            params["below"] = min(UUID(after).int, 2**63 - 1)
        rows = await self._database.fetch_all(
            f"select {_FIELDS} from audit_entries where organization_id = %(org)s{conditions} "
            "order by seq desc limit %(limit)s",
            {**params, "org": organization_id, "limit": limit + 1},
            organization_id=organization_id,
        )
        found = [_entry(row) for row in rows[:limit]]
        return Page(found, cursor_of(str(UUID(int=found[-1].seq))) if len(rows) > limit else None)


def _item_of(act: Act) -> _Item:
    identifier = new_id()
    document: dict[str, Any] = {
        "id": identifier,
        "action": act.action,
        "actor": {name: getattr(act.actor, name) for name in _ACTOR_NAMES},
        "target": act.target,
        "before": act.before,
        "after": act.after,
        "reason": act.reason,
    }
    # A secret that slipped in here could never be taken out again.
    safe = redacted_json(encode(document, what="an audited act"))
    # Read back, so that what only the encoder knew (times, models) is plain when it is sorted.
    plain = orjson.loads(safe)
    return act.organization_id, identifier, canonical(plain).decode()


def _columns(items: list[_Item]) -> tuple[list[str], list[str], list[str]]:
    return [item[0] for item in items], [item[1] for item in items], [item[2] for item in items]


def _conditions(wanted: EntryFilter) -> tuple[LiteralString, dict[str, object]]:
    sql: LiteralString = ""
    params: dict[str, object] = {}
    if wanted.action is not None:
        family = wanted.action.removesuffix("*")
        if family != wanted.action and not family.endswith("."):
            raise InvalidInputError("an action is exact (key.created) or a family (key.*)")
        sql += " and starts_with(action, %(action)s)" if family != wanted.action else " and action = %(action)s"
        params["action"] = family
    if wanted.actor_id is not None:
        sql += " and actor_id = %(actor)s"
        params["actor"] = wanted.actor_id
    if wanted.target is not None:
        sql += " and target = %(target)s"
        params["target"] = wanted.target
    if wanted.since is not None:
        sql += " and recorded_at >= %(since)s"
        params["since"] = wanted.since
    return sql, params


def _entry(row: Row) -> Entry:
    act = orjson.loads(row["act"])
    return Entry(
        seq=row["seq"],
        id=row["id"],
        organization_id=row["organization_id"],
        action=act["action"],
        actor=Actor(**act["actor"]),
        target=act["target"],
        before=act["before"],
        after=act["after"],
        reason=act["reason"],
        recorded_at=row["recorded_at"],
        previous=row["previous"],
        hash=row["hash"],
    )
