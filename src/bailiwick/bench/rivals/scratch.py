"""A database of its own for each rival, on the server that is measured."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

_SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "wal_level",
    "shared_buffers",
    "max_connections",
    "jit",
)


@asynccontextmanager
async def scratch_database(url: str, rival: str) -> AsyncGenerator[str]:
    """Make an empty database, yield its URL, drop it.

    The role of ``url`` must be allowed to create databases.
    """
    name = f"bench_{rival}_{os.getpid()}"
    await _administer(url, "drop database if exists {} with (force)", name)
    await _administer(url, "create database {}", name)
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        await _administer(url, "drop database if exists {} with (force)", name)


async def server_settings(url: str) -> dict[str, str]:
    """Return the settings of the server that decide what a commit costs."""
    async with await psycopg.AsyncConnection[TupleRow].connect(url) as connection:
        rows = await connection.execute("select name, setting from pg_settings where name = any(%s)", [list(_SETTINGS)])
        return dict(await rows.fetchall())


async def _administer(url: str, statement: LiteralString, name: str) -> None:
    async with await psycopg.AsyncConnection[TupleRow].connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
