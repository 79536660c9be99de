"""Reads of the event log, and its retention."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bailiwick.events.model import Event
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

_COLUMNS = (
    "id, organization_id, type, version, key, payload, cause_id, occurred_at, recorded_at, "
    "coalesce(labels, '{}') as labels"
)


class EventReader:
    """Looks events up within one organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, event_id: str) -> Event:
        """Return one event, or raise NotFoundError."""
        identifier = parse_id(event_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {_COLUMNS} from events where id = %s and organization_id = %s",
            (identifier, organization_id),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(f"no event {event_id} in this organization")
        return Event(**row)

    async def after(self, organization_id: str, event_id: str | None, *, limit: int = 200) -> list[Event]:
        """Return events behind one, oldest first: how a stream goes on from where it was."""
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from events where organization_id = %s and (%s::uuid is null or id > %s) "
            "order by id limit %s",
            (organization_id, event_id, event_id, limit),
            organization_id=organization_id,
        )
        return [Event(**row) for row in rows]

    async def counts(self, organization_id: str) -> dict[str, int]:
        """Return the number of events by type."""
        rows = await self._database.fetch_all(
            "select type, count(*) as n from events where organization_id = %s group by type order by type",
            (organization_id,),
            organization_id=organization_id,
        )
        return {row["type"]: row["n"] for row in rows}

    async def list(
        self,
        organization_id: str,
        *,
        type_name: str | None = None,
        key: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Event]:
        """Return a page of events, newest first, of one type or about one key if given."""
        limit = checked_limit(limit)
        conditions = ["organization_id = %(org)s"]
        if type_name is not None:
            conditions.append("type = %(type)s")
        if key is not None:
            conditions.append("key = %(key)s")
        after = after_cursor(cursor)
        if after is not None:
            conditions.append("id < %(after)s::uuid")
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from events where {' and '.join(conditions)} order by id desc limit %(limit)s",
            {"org": organization_id, "type": type_name, "key": key, "after": after, "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([Event(**row) for row in rows], limit)


# What has partitions by month: those that go whole, and those in which something may have to stay longer.
_WHOLE: Sequence[str] = ("events", "finished_tasks", "steps")
_EMPTIED: Sequence[str] = ("decisions",)
_KEYS_AT_ONCE = 20_000

Forgettable = Literal["event_keys", "task_keys", "redriven_records"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """What retention removed: partitions by name, and how many keys of repetitions."""

    partitions: tuple[str, ...]
    event_keys: int
    task_keys: int


class Retention:
    """Keeps a number of months, in whole partitions, and makes the coming ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> int:
        """Make the partitions of this month and the three to come; return how many were missing."""
        made = 0
        for parent in (*_WHOLE, *_EMPTIED):
            row = await self._database.fetch_one("select partitions_ensure(%s, now(), 3) as made", (parent,))
            made += row["made"] if row else 0
        return made

    async def drop(self, *, before: datetime) -> Dropped:
        """Drop whole months that ended before a moment; return what is gone.

        A month in which an unfinished task was made is kept, with all months
        after it, and so is its journal. Keys go a day later, so that none of
        them is missed by what is still there.
        """
        row = await self._database.fetch_one("select inserted_at from installation_oldest_task(null)")
        oldest = row["inserted_at"] if row else None
        bound = before if oldest is None else min(before, oldest)
        partitions: list[str] = []
        for parent in _WHOLE:
            rows = await self._database.fetch_all("select partitions_drop(%s, %s) as name", (parent, bound))
            partitions += [entry["name"] for entry in rows]
        until = bound - timedelta(days=1)
        return Dropped(
            tuple(partitions),
            event_keys=await self.forget("event_keys", until),
            task_keys=await self.forget("task_keys", until),
        )

    async def drop_empty(self, *, before: datetime) -> tuple[str, ...]:
        """Drop the months that ended before a moment and from which everything was removed; return their names."""
        dropped: list[str] = []
        for parent in _EMPTIED:
            rows = await self._database.fetch_all("select partitions_empty(%s, %s) as name", (parent, before))
            empty = [row["name"] for row in rows]
            if empty:
                sql = "select partitions_drop(%s, %s, %s) as name"
                dropped += [row["name"] for row in await self._database.fetch_all(sql, (parent, before, empty))]
        return tuple(dropped)

    async def forget(self, what: Forgettable, until: datetime) -> int:
        """Delete what is older than a moment, in short statements, so that nobody waits for a long one."""
        deleted = 0
        while True:
            row = await self._database.fetch_one(
                "select installation_forget(%s, %s, %s) as n", (what, until, _KEYS_AT_ONCE)
            )
            count = 0 if row is None else int(row["n"])
            deleted += count
            if count < _KEYS_AT_ONCE:
                return deleted
