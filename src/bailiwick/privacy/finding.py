"""Goes through the declared places, row by row, and says or does what erasure does there.

Counting, exporting and erasing are one walk, so nothing is erased that an
export would not show, and a count of nothing means that nothing is left.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bailiwick.kernel.documents import encode
from bailiwick.privacy.locations import DataMap, Location, Reading
from bailiwick.privacy.redaction import Redaction
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted

_BLOCK = 200
_ESCAPED = r"%\\u%"
_ACCOUNTS = (
    "select u.id from users u join memberships m on m.user_id = u.id "
    "where m.organization_id = %(org)s and (u.email = any(%(names)s) or u.id = any(%(users)s::uuid[]))"
)


@dataclass(frozen=True, slots=True)
class Search:
    """Who is looked for, in which organization: what the person is known by, their accounts and records."""

    organization_id: str
    subject_id: str
    redaction: Redaction
    users: Sequence[str] = ()
    records: Sequence[str] = ()

    @property
    def values(self) -> dict[str, object]:
        """The parameters of every query."""
        return {
            "org": self.organization_id, "subject": self.subject_id, "users": list(self.users),
            "records": list(self.records), "names": self.redaction.names, "patterns": self.redaction.patterns,
            "escaped": _ESCAPED,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row with something about the person: where it is, what it says, and what erasure makes of it.

    ``texts`` are the strings about the person by column and path. ``values``
    are the new values of columns; with ``is_gone`` the row goes instead.
    """

    key: tuple[Any, ...]
    texts: dict[str, str]
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Erased:
    """What one pass over a place did; ``refused`` rows are needed by a rule of the database."""

    changed: int
    refused: int = 0


class Finder:
    """Finds people in the places of a map."""

    def __init__(self, database: Database, data_map: DataMap) -> None:
        self.data_map = data_map
        self._database = database

    async def accounts(self, search: Search) -> list[str]:
        """Return the ids of the person's accounts that are members of the organization."""
        values = {**search.values, "users": search.redaction.users}
        rows = await self._database.fetch_all(_ACCOUNTS, values, organization_id=search.organization_id)
        return [row["id"] for row in rows]

    async def records(self, search: Search) -> list[str]:
        """Return the correlation keys of the records that the person wrote."""
        found: set[str] = set()
        for location in self.data_map.locations:
            if location.records is not None:
                rows = await self._database.fetch_all(
                    location.records, search.values, organization_id=search.organization_id
                )
                found.update(row["key"] for row in rows)
        return sorted(found)

    async def rows(self, location: Location, search: Search) -> AsyncIterator[FoundRow]:
        """Yield what is about the person in a place; reads only."""
        after: tuple[Any, ...] | None = None
        while True:
            async with self._database.transaction(search.organization_id) as connection:
                rows = await _candidates(connection, location, search, after)
            for row in rows:
                found = look_at(location, row, search.redaction)
                if found is not None:
                    yield found
            if len(rows) < _BLOCK:
                return
            after = _key(location, rows[-1])

    async def count(self, location: Location, search: Search) -> int:
        """Return how many rows of a place hold something about the person."""
        total = 0
        async for _ in self.rows(location, search):
            total += 1
        return total

    async def erase(self, location: Location, search: Search) -> Erased:
        """Take out what is about the person, a block of rows at a time; done twice it does nothing more."""
        after: tuple[Any, ...] | None = None
        changed = refused = 0
        while True:
            async with self._database.transaction(search.organization_id) as connection:
                rows = await _candidates(connection, location, search, after, lock=True)
                for row in rows:
                    found = look_at(location, row, search.redaction)
                    if found is not None:
                        is_done = await _apply(connection, location, found, search.values)
                        changed += is_done
                        refused += not is_done
            if len(rows) < _BLOCK:
                return Erased(changed, refused)
            after = _key(location, rows[-1])


def look_at(location: Location, row: Row, redaction: Redaction) -> FoundRow | None:
    """Return what a candidate row holds about the person and what becomes of it; None for nothing."""
    key = _key(location, row)
    if row["is_mine"]:
        if location.erasure in ("clear", "shred"):
            held = [name for name in location.columns if row[name] is not None]
            return FoundRow(key, dict.fromkeys(held, "(sealed)"), dict.fromkeys(held)) if held else None
        return FoundRow(key, {name: str(row[name]) for name in location.columns}, is_gone=True)
    if not location.is_searched:
        return None
    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    is_gone = False
    for name, reading in location.columns.items():
        if row[name] is None or reading == "vector":
            continue
        changed = _changed((name, reading), row[name], redaction, texts, is_theirs=bool(row["is_theirs"]))
        if changed is None:
            is_gone = True
        elif changed != row[name]:
            values[name] = changed
    vectors = [name for name, reading in location.columns.items() if reading == "vector" and row[name] is not None]
    if vectors and (values or row["is_theirs"]):
        values.update(dict.fromkeys(vectors))
    if not (is_gone or values or texts):
        return None
    return FoundRow(key, texts, values, is_gone or location.erasure == "delete")


def _changed(
    column: tuple[str, Reading], value: Any, redaction: Redaction, texts: dict[str, str], *, is_theirs: bool
) -> Any:
    name, reading = column

    def noticed(path: str, text: str) -> None:
        texts[f"{name}.{path}".rstrip(".")] = text

    if reading == "document":
        return redaction.document(value, is_theirs=is_theirs, noticed=noticed)
    if reading == "raw":
        return redaction.raw(bytes(value), noticed)
    changed = redaction.text(value, is_theirs=is_theirs and reading == "text")
    if changed != value:
        noticed("", value)
    return changed


async def _candidates(
    connection: Connection, location: Location, search: Search, after: tuple[Any, ...] | None, *, lock: bool = False
) -> list[Row]:
    # A row of its own and rows that came from the person's words, and every row that may name the person.
    conditions = [f"({condition})" for condition in (location.mine, location.about) if condition is not None]
    if location.is_searched:
        conditions += [matching(name, reading) for name, reading in location.columns.items() if reading != "vector"]
    key = ", ".join(location.key)
    columns = ", ".join(dict.fromkeys((*location.key, *location.columns)))
    values = search.values
    behind = ""
    if after is not None:
        values |= {f"after_{place}": value for place, value in enumerate(after)}
        behind = f"and ({key}) > ({', '.join(f'%(after_{place})s' for place in range(len(after)))})"
    cursor = await connection.execute(
        trusted(
            f"select {columns}, coalesce({location.mine or 'false'}, false) as is_mine, "
            f"coalesce({location.about or 'false'}, false) as is_theirs from {location.table} "
            f"where {location.scope} and ({' or '.join(conditions)}) {behind} order by {key} limit {_BLOCK}"
            + (" for update" if lock and location.erasure != "keep" else "")
        ),
        values,
    )
    return await cursor.fetchall()


def matching(name: str, reading: Reading) -> str:
    """Return the SQL condition under which a column may name the person: it misses none and may take in others."""
    if reading == "raw":
        text = f"convert_from({name}, 'UTF8')"
        return f"({text} ilike any(%(patterns)s) or {text} like %(escaped)s)"
    return f"{name}::text ilike any(%(patterns)s)"


async def _apply(connection: Connection, location: Location, found: FoundRow, values: Mapping[str, object]) -> bool:
    """Write what becomes of a row; False where a rule of the database needs it as it is."""
    if location.erasure in ("keep", "shred"):
        return False
    where = f"{location.scope} and " + " and ".join(
        f"{name} = %(key_{place})s" for place, name in enumerate(location.key)
    )
    given = {**values, **{f"key_{place}": value for place, value in enumerate(found.key)}}
    if found.is_gone:
        return await _is_executed(connection, f"delete from {location.table} where {where}", given)
    sets: list[str] = []
    for place, (name, value) in enumerate(found.values.items()):
        is_document = location.columns[name] == "document"
        sets.append(f"{name} = %(value_{place})s" + ("::jsonb" if is_document else ""))
        given[f"value_{place}"] = encode(value, limit=2**30).decode() if is_document else value
    statement = f"update {location.table} set {', '.join(sets)} where {where}"
    if await _is_executed(connection, statement, given):
        return True
    # Two names that the person's was part of became the same; the key tells them apart.
    for place, name in enumerate(found.values):
        if location.columns[name] == "name":
            given[f"value_{place}"] = f"{found.values[name]} {found.key[-1]}"
    return await _is_executed(connection, statement, given)


async def _is_executed(connection: Connection, statement: str, values: Mapping[str, object]) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(trusted(statement), values)
    except psycopg.IntegrityError:
        return False
    return True


def _key(location: Location, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in location.key)
