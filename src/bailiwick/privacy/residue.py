"""What an UPDATE or DELETE leaves behind in PostgreSQL, and what is done about it."""

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from bailiwick.storage.roles import OWNER_ROLE

RESIDUE: Mapping[str, str] = {
    "write_ahead_log": "earlier versions stand in the server's log of changes until it is recycled: after "
    "checkpoints, within max_wal_size; with an archive of it, as long as the archive keeps",
    "backups": "copies made before hold the data until their own retention removes them; after a restore, "
    "erase again: the certificate says whom",
    "free_space": "vacuumed bytes are out of reach of every query and are overwritten as the files are used again",
}


class Vacuum:
    """Vacuums tables as their owner, so that the versions of rows before an erasure are gone."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url

    async def run(self, tables: Sequence[str]) -> dict[str, str]:
        """Vacuum tables; return by table ``done`` or why not. A failure keeps nothing from being erased.

        Rows that a transaction older than the erasure may still see stay until
        the server's own vacuum finds them free.
        """
        if not tables:
            return {}
        try:
            async with await psycopg.AsyncConnection.connect(
                self._admin_url, autocommit=True, application_name="bailiwick vacuum", connect_timeout=10
            ) as connection:
                await connection.execute(sql.SQL("set role {}").format(sql.Identifier(OWNER_ROLE)))
                await connection.execute("set lock_timeout = '10s'")
                return {table: await _vacuum(connection, table) for table in tables}
        except psycopg.Error as error:
            return dict.fromkeys(tables, f"not done: {_reason(error)}")


async def _vacuum(connection: psycopg.AsyncConnection[tuple[object, ...]], table: str) -> str:
    try:
        await connection.execute(sql.SQL("vacuum {}").format(sql.Identifier(table)))
    except psycopg.Error as error:
        return f"not done: {_reason(error)}"
    return "done"


def _reason(error: psycopg.Error) -> str:
    return type(error).__name__ if error.diag.message_primary is None else error.diag.message_primary
