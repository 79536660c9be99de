"""What tests of secrets share: master keys, and everything a database holds as one text to search in."""

import base64

import psycopg
from psycopg import sql

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_MASTER_KEY = base64.b64encode(bytes(range(1, 33))).decode()


def dumped(superuser_url: str) -> str:
    """Return every row of every table as text; bytes as text too, as far as they are any."""
    parts: list[str] = []
    with psycopg.connect(superuser_url) as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        ).fetchall()
        for (table,) in tables:
            for row in connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table))):
                for value in row:
                    is_bytes = isinstance(value, bytes | memoryview)
                    parts.append(bytes(value).decode("latin-1") if is_bytes else str(value))
    return "\n".join(parts)
