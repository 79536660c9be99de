"""What an organization's issues look like, held in this process: for duplicates and for issues alike.

Built from the event log, not from the lifecycle's records: an import commits all
its events before the first of their tasks runs, so whichever issue is looked at
first, the others are known.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from bailiwick.kernel.ids import id_at, time_of
from bailiwick.kernel.loading import loaded
from bailiwick.storage import Database

if TYPE_CHECKING:
    from bailiwick.packs.operations.likeness_index import Likeness
    from bailiwick.packs.operations.texts import LikeText

_INDEX = "bailiwick.packs.operations.likeness_index"

_SOURCES = ("issue.opened", "issue.imported")
_PAGE = 2_000
_MAX_ORGANIZATIONS = 32
"""Of more organizations than fit, the one asked least recently is dropped and built again when needed."""

_LATE_BY = timedelta(minutes=1)
_LOOK_BACK_EVERY_SECONDS = 10.0
"""Events are numbered before they are committed; for those that came late the last minute is read again."""

TWIN_THRESHOLD = 0.3
"""Two issues that are each other's nearest, from this cosine on, may be the same told in other words.
In the demo input six of the seven open pairs found so are; it is worth showing and never stops work."""

_NEW_EVENTS = """
select id, key, payload ->> 'title' as title, left(payload ->> 'body', 20000) as body
from events
where organization_id = %s and type = any(%s) and (%s::uuid is null or id > %s::uuid)
order by id limit %s"""


@dataclass(frozen=True, slots=True)
class SameIssue:
    """An issue that may report the same. ``is_likely``: sure enough to rest the younger one on it."""

    key: str
    score: float
    is_likely: bool
    shared_terms: tuple[str, ...]


def likenesses_of(database: Database) -> "Likenesses":
    """Return the indexes that everything on one database shares."""
    shared = _SHARED.get(id(database))
    if shared is None:
        shared = _SHARED[id(database)] = Likenesses(database)
    return shared


class Likenesses:
    """The indexes of the organizations at work in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: OrderedDict[str, Likeness] = OrderedDict()

    async def same(self, organization_id: str, key: str, title: str, body: str) -> list[SameIssue]:
        """Return the issues that may report the same as one, surest first."""
        held = await self._up_to_date(organization_id)
        async with held.lock:
            return await asyncio.to_thread(held.same, key, title, body)

    async def alike(
        self, organization_id: str, text: str, *, limit: int, exclude: str | None = None
    ) -> "list[LikeText]":
        """Return the issues most like a text, best first."""
        held = await self._up_to_date(organization_id)
        return await asyncio.to_thread(held.corpus.predict_one, text, limit=limit, exclude=exclude)

    def forget(self, organization_id: str) -> None:
        """Drop what is held of an organization, of all for ''; it is built again from the log when needed."""
        if organization_id:
            self._held.pop(organization_id, None)
        else:
            self._held.clear()

    async def _of(self, organization_id: str) -> "Likeness":
        index = await loaded(_INDEX)
        held = self._held.get(organization_id)
        if held is None:
            held = self._held[organization_id] = index.Likeness()
            while len(self._held) > _MAX_ORGANIZATIONS:
                self._held.popitem(last=False)
        self._held.move_to_end(organization_id)
        return held

    async def _up_to_date(self, organization_id: str) -> "Likeness":
        """Return an organization's indexes with everything that was recorded before this call."""
        held = await self._of(organization_id)
        asked_at = time.monotonic()
        async with held.lock:
            # Whoever held the lock may have read on since this call began.
            if held.read_at < asked_at:
                began_at = time.monotonic()
                await self._read_on(organization_id, held)
                held.read_at = began_at
        return held

    async def _read_on(self, organization_id: str, held: "Likeness") -> None:
        after = held.read_until
        if after is not None and time.monotonic() - held.looked_back_at > _LOOK_BACK_EVERY_SECONDS:
            held.looked_back_at = time.monotonic()
            after = id_at(time_of(after) - _LATE_BY)
        while True:
            rows = await self._database.fetch_all(
                _NEW_EVENTS, (organization_id, list(_SOURCES), after, after, _PAGE), organization_id=organization_id
            )
            fresh = [(row["key"], row["title"], row["body"] or "") for row in rows if row["key"] not in held.duplicates]
            if fresh:
                await asyncio.to_thread(held.learn, fresh)
            if rows:
                after = rows[-1]["id"]
                held.read_until = max(after, held.read_until or after)
            if len(rows) < _PAGE:
                return


# By the database's identity, which is taken as long as the indexes hold the database.
_SHARED: WeakValueDictionary[int, Likenesses] = WeakValueDictionary()
