"""The rows of data keys: made, found, wrapped anew, destroyed."""

from dataclasses import dataclass
from datetime import datetime

from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection

_COLUMNS = "id, organization_id, subject_id, version, master_key_id, wrapped, created_at, erased_at"


@dataclass(frozen=True, slots=True)
class DataKey:
    """One version of the key of an organization, or of one person in it; wrapped, so harmless by itself."""

    id: str
    organization_id: str
    subject_id: str | None
    version: int
    master_key_id: str | None
    wrapped: bytes | None
    created_at: datetime
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyCount:
    """How many data keys of an organization one master key wraps; ``master_key_id`` None: how many are destroyed."""

    organization_id: str
    master_key_id: str | None
    keys: int


class DataKeys:
    """The table of data keys, and which master key wraps new ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current_master(self) -> str | None:
        """Return the id of the master key that wraps new data keys; None where nothing was ever sealed."""
        row = await self._database.fetch_one("select id from master_keys where retired_at is null")
        return None if row is None else row["id"]

    async def begin_master(self, master_key_id: str) -> str:
        """Make this the master key of new data keys unless there is one; return which it is now."""
        await self._database.execute(
            "insert into master_keys (id) values (%s) on conflict do nothing", (master_key_id,)
        )
        return await self.current_master() or master_key_id

    async def counts(self) -> list[KeyCount]:
        """Count the data keys of all organizations by the master key that wraps them."""
        rows = await self._database.fetch_all(
            "select key_organization, key_master, keys from vault_key_counts() order by 1, 2"
        )
        return [KeyCount(*row.values()) for row in rows]

    async def find(self, organization_id: str, key_id: str) -> DataKey | None:
        """Return a data key of an organization, destroyed ones too."""
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from data_keys where organization_id = %s and id = %s",
            (organization_id, key_id),
            organization_id=organization_id,
        )
        return None if row is None else _data_key(row)

    async def newest(self, organization_id: str, subject_id: str | None) -> DataKey | None:
        """Return the newest version of the key of an organization or person, a destroyed one too."""
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from data_keys where organization_id = %s and subject_id is not distinct from %s "
            "order by version desc limit 1",
            (organization_id, subject_id),
            organization_id=organization_id,
        )
        return None if row is None else _data_key(row)

    async def add(self, key: DataKey) -> bool:
        """Keep a new data key; False if its version is taken or its master key was retired meanwhile."""
        async with self._database.transaction(key.organization_id) as connection:
            # Held until the insert is committed, so that a rotation that retires it sees this row.
            cursor = await connection.execute(
                "select from master_keys where id = %s and retired_at is null for share", (key.master_key_id,)
            )
            if cursor.rowcount == 0:
                return False
            cursor = await connection.execute(
                "insert into data_keys (id, organization_id, subject_id, version, master_key_id, wrapped) "
                "values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
                (key.id, key.organization_id, key.subject_id, key.version, key.master_key_id, key.wrapped),
            )
            return cursor.rowcount == 1

    async def replace_master(self, master_key_id: str) -> None:
        """Make this the master key of all new data keys, and retire the one before."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "update master_keys set retired_at = now() where retired_at is null and id <> %s", (master_key_id,)
            )
            await connection.execute(
                "insert into master_keys (id) values (%s) on conflict (id) do update set retired_at = null",
                (master_key_id,),
            )

    async def wrapped_by(self, organization_id: str, master_key_id: str, *, limit: int) -> list[DataKey]:
        """Return some of an organization's data keys that a master key wraps."""
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from data_keys where organization_id = %s and master_key_id = %s "
            "and wrapped is not null order by id limit %s",
            (organization_id, master_key_id, limit),
            organization_id=organization_id,
        )
        return [_data_key(row) for row in rows]

    async def rewrap(self, key: DataKey, master_key_id: str, wrapped: bytes) -> None:
        """Put a key wrapped anew in the place of what was read; one destroyed meanwhile stays destroyed."""
        await self._database.execute(
            "update data_keys set master_key_id = %s, wrapped = %s where id = %s and organization_id = %s "
            "and wrapped = %s",
            (master_key_id, wrapped, key.id, key.organization_id, key.wrapped),
            organization_id=key.organization_id,
        )

    async def holders(self, organization_id: str) -> list[str | None]:
        """Return whose data keys an organization has that are not destroyed; None is the organization itself."""
        rows = await self._database.fetch_all(
            "select distinct subject_id from data_keys where organization_id = %s and wrapped is not null",
            (organization_id,),
            organization_id=organization_id,
        )
        return [row["subject_id"] for row in rows]

    async def destroy(self, connection: Connection, organization_id: str, subject_id: str | None) -> int:
        """Destroy the keys of a person, or all of an organization; return how many were there."""
        cursor = await connection.execute(
            "update data_keys set wrapped = null, master_key_id = null, erased_at = now() "
            "where organization_id = %(org)s and wrapped is not null "
            "and (%(subject)s::text is null or subject_id = %(subject)s)",
            {"org": organization_id, "subject": subject_id},
        )
        return cursor.rowcount


def new_data_key_id() -> str:
    """Return the id of a data key to be made."""
    return new_id()


def _data_key(row: Row) -> DataKey:
    return DataKey(**row)
