"""Bring a database to the present schema."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.storage.connections import unavailable
from bailiwick.storage.roles import provide_roles

_HERE = Path(__file__).parent / "migrations"
# Any constant will do, as long as every version of Bailiwick takes the same.
_LOCK = 0x62_61_69_6C
OLDEST_SERVER = 150_000

_REVISION = re.compile(r"""^(down_revision|revision)(?:\s*:[^=]+)?\s*=\s*["']([^"']+)["']""", re.MULTILINE)


def migrate(url: str, *, locations: Sequence[Path] = ()) -> None:
    """Apply every missing migration, ours first, then those of the packs.

    ``url`` logs in as somebody who may make roles and become the schema's owner,
    not as the application.
    Waits for other processes that migrate the same database (advisory lock).
    ``locations`` are further folders of Alembic versions. One migration is one
    transaction: a failure leaves the schema as the migration before left it.

    Raises:
        DatabaseUnavailableError: nobody answers, or the server is too old.
    """
    folders = [_HERE / "versions", *locations]
    try:
        with psycopg.connect(url, autocommit=True) as guard:
            if guard.info.server_version < OLDEST_SERVER:
                raise DatabaseUnavailableError(
                    f"PostgreSQL {guard.info.server_version // 10000} is too old; version 15 or newer is needed"
                )
            heads = newest_revisions(folders)
            # Most starts find nothing to do, and then nothing heavy is loaded.
            if heads <= applied_revisions(guard):
                return
            guard.execute("select pg_advisory_lock(%s)", (_LOCK,))
            if not heads <= applied_revisions(guard):
                provide_roles(guard)
                import_module("bailiwick.storage.upgrading").upgrade(url, _HERE, folders)
    except psycopg.OperationalError as error:
        raise unavailable(error) from error


def newest_revisions(folders: Sequence[Path]) -> set[str]:
    """Return the revisions in these folders that no other one builds on."""
    found = _named_revisions(folders)
    return found["revision"] - found["down_revision"]


def known_revisions(locations: Sequence[Path] = ()) -> set[str]:
    """Return every revision that this program can bring a database to, with those of further folders."""
    return _named_revisions([_HERE / "versions", *locations])["revision"]


def _named_revisions(folders: Sequence[Path]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for folder in folders:
        for file in sorted(folder.glob("*.py")):
            for name, value in _REVISION.findall(file.read_text(encoding="utf-8")):
                found[name].add(value)
    return found


def applied_revisions(connection: psycopg.Connection[Any]) -> set[str]:
    """Return the revisions a database stands at; none for an empty one."""
    row = connection.execute("select to_regclass('alembic_version')").fetchone()
    if row is None or row[0] is None:
        return set()
    return {str(version) for (version,) in connection.execute("select version_num from alembic_version")}
