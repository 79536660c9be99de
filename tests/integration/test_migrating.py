"""Migrations that cannot be written."""

from pathlib import Path

import psycopg
import pytest

import bailiwick.storage
from bailiwick.storage.upgrading import upgrade

MIGRATIONS = Path(bailiwick.storage.__file__).parent / "migrations"


def test_what_keeps_a_migration_from_being_written_is_told_as_the_driver_tells_it(login_url: str) -> None:
    with psycopg.connect(login_url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f'alter database "{name}" set default_transaction_read_only = on'.encode())
    # Not wrapped: a full disk, say, must be known for what it is.
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        upgrade(login_url, MIGRATIONS, [MIGRATIONS / "versions"])
