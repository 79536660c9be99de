"""The map of personal data: which tables hold it, where in them, and what erasure does there.

Whoever makes a table declares it, here or through the registrar: as a place of
personal data, or as holding none, with the reason. A test fails on a table that
is neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bailiwick.storage import Database

Reading = Literal["text", "name", "document", "raw", "vector"]
"""How a column is read.

* ``text``: prose. Replaced whole in rows that come from what the person wrote, else where it names them.
* ``name``: a key or a name, never prose. Replaced where it names the person.
* ``document``: JSON, walked string by string.
* ``raw``: bytes of UTF-8, JSON where they parse. The row goes if the person wrote it.
* ``vector``: computed from the row's texts. Nulled with them.
"""

Erasure = Literal["replace", "delete", "clear", "shred", "keep"]
"""What erasure does to a person's rows.

* ``replace``: every text about the person becomes a marker; numbers, states and other people's words stay.
* ``delete``: the row goes.
* ``clear``: the columns become null.
* ``shred``: the columns are sealed under the person's key, which is destroyed.
* ``keep``: nothing; ``reason`` says by which obligation, and the certificate counts them.
"""

OPERATIONS, AUDIT, GDPR, SECURITY = "operations", "audit", "gdpr", "security"


@dataclass(frozen=True, slots=True)
class Location:
    """One table that holds personal data.

    The SQL conditions may use ``%(org)s``, ``%(subject)s``, ``%(users)s`` (ids
    of accounts) and ``%(records)s`` (correlation keys of records that the
    person wrote):

    * ``scope``: which rows are the organization's.
    * ``mine``: rows that are the person's as a whole.
    * ``about``: rows that came from what the person wrote, all of whose prose goes.
    * ``spared``: rows that retention leaves whatever their age.

    ``records`` is a query for such keys, given ``%(names)s`` in small letters. ``age`` is the column that
    retention goes by, a time or a time-ordered id.
    """

    table: str
    columns: Mapping[str, Reading]
    erasure: Erasure
    retention_class: str
    reason: str = ""
    key: tuple[str, ...] = ("id",)
    scope: str = "organization_id = %(org)s"
    mine: str | None = None
    about: str | None = None
    records: str | None = None
    age: str | None = None
    spared: str | None = None

    @property
    def is_searched(self) -> bool:
        """Tell whether its texts are searched, or only rows that are the person's as a whole count."""
        return self.erasure in ("replace", "keep") or (self.erasure == "delete" and self.mine is None)

    @property
    def is_aged_by_id(self) -> bool:
        """Tell whether ``age`` is a time-ordered id."""
        return self.age is not None and self.age.endswith("id")


@dataclass(slots=True)
class DataMap:
    """Every table, declared. Filled at start, read afterwards."""

    locations: list[Location] = field(default_factory=list[Location])
    # Tables without personal data, each with the reason.
    without: dict[str, str] = field(default_factory=dict[str, str])

    def declare(self, *locations: Location) -> None:
        """Add places of personal data; a table declared twice is a programming error."""
        for location in locations:
            self._refuse_twice(location.table)
            self.locations.append(location)

    def declare_none(self, table: str, reason: str) -> None:
        """Say that a table holds no personal data, and why that is so."""
        self._refuse_twice(table)
        self.without[table] = reason

    def by_class(self, name: str) -> list[Location]:
        """Return the places of one retention class."""
        return [location for location in self.locations if location.retention_class == name]

    async def undeclared(self, database: Database) -> Sequence[str]:
        """Return the tables with text, JSON or bytes that nobody declared."""
        rows = await database.fetch_all(_TABLES)
        known = {location.table for location in self.locations} | self.without.keys()
        return [row["name"] for row in rows if row["name"] not in known]

    def _refuse_twice(self, table: str) -> None:
        if table in self.without or any(location.table == table for location in self.locations):
            raise ValueError(f"the personal data of table {table!r} is declared twice")


# Partitions are part of their table; the migrations' own table is none of ours.
_TABLES = """
select c.relname as name
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and c.relname <> 'alembic_version'
  and exists (select from pg_attribute a join pg_type t on t.oid = a.atttypid
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and t.typname in ('text', 'varchar', 'bpchar', 'name', 'json', 'jsonb', 'bytea', 'inet', 'cidr',
                                  '_text', '_varchar', '_jsonb', '_bytea'))
order by c.relname"""
