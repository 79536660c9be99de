"""Looks at what a database holds, in the snapshot of the caller's transaction."""

from typing import Any

import psycopg
from psycopg import sql

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.recovery.manifest import ChainHead, Contents, Progress, TableContent

# So that a row reads the same here as on the server it came from.
_READING = (
    "set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; "
    "set extra_float_digits = 1; set idle_in_transaction_session_timeout = 0; set search_path = public"
)
_TABLES = """
select c.relname, pg_table_size(c.oid) as bytes from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by c.relname"""
# Sixty bits of each row's MD5: addition forgets the order of rows, and no row can hide another.
_TABLE = (
    "select count(*), coalesce(sum(('x0' || left(md5(t::text), 15))::bit(64)::bigint::numeric), 0)::text from only {} t"
)
_CHAINS = """
select organization_id::text, seq, encode(hash, 'hex'), root_number, encode(root_hash, 'hex')
from audit_chains order by organization_id"""
_MASTER_KEYS = "select distinct master_key_id from data_keys where master_key_id is not null order by 1"

Guard = psycopg.Connection[Any]


def check_sees_all(connection: Guard) -> None:
    """Make sure that a login sees the rows of every organization, or its copy would silently lack some.

    Raises:
        DatabaseUnavailableError: row-level security applies to it; the message says what to run.
    """
    row = connection.execute(
        "select rolname, rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    ).fetchone()
    if row is None or not row[1]:
        name = "this login" if row is None else row[0]
        raise DatabaseUnavailableError(
            f"the database login {name} does not see the rows of all organizations, so its copy would not be whole; "
            f'as a superuser run "alter role {name} bypassrls", or name one that does in BAILIWICK_DATABASE_ADMIN_URL'
        )


def prepare(connection: Guard) -> None:
    """Set a session up for reading contents; before its transaction."""
    for statement in _READING.split("; "):
        connection.execute(sql.SQL(statement))  # pyright: ignore[reportArgumentType] -- a constant of ours


def look(connection: Guard, progress: Progress) -> Contents:
    """Return what every table holds; reads all rows once."""
    tables = connection.execute(_TABLES).fetchall()
    whole = sum(size for _, size in tables) or 1
    found: dict[str, TableContent] = {}
    seen = 0
    for name, size in tables:
        progress("counting rows", seen / whole)
        row = connection.execute(sql.SQL(_TABLE).format(sql.Identifier("public", name))).fetchone()
        assert row is not None
        found[name] = TableContent(rows=row[0], fingerprint=row[1])
        seen += size
    return summary(connection).model_copy(update={"tables": found})


def summary(connection: Guard) -> Contents:
    """Return what can be told without reading tables: revisions, ends of audit chains, master keys."""
    chains = connection.execute(_CHAINS).fetchall() if _exists(connection, "audit_chains") else []
    keys = connection.execute(_MASTER_KEYS).fetchall() if _exists(connection, "data_keys") else []
    revisions = (
        connection.execute("select version_num from alembic_version order by 1").fetchall()
        if _exists(connection, "alembic_version")
        else []
    )
    return Contents(
        revisions=[row[0] for row in revisions],
        tables={},
        chains=[
            ChainHead(organization_id=one[0], seq=one[1], hash=one[2], root_number=one[3], root_hash=one[4])
            for one in chains
        ],
        master_keys=[row[0] for row in keys],
    )


def differences(wanted: Contents, found: Contents) -> list[str]:
    """Return in sentences what a restored database lacks, has too much of, or has changed."""
    problems = [f"table {name} is missing" for name in sorted(wanted.tables.keys() - found.tables.keys())]
    problems += [f"table {name} was not in the backup" for name in sorted(found.tables.keys() - wanted.tables.keys())]
    for name in sorted(wanted.tables.keys() & found.tables.keys()):
        before, after = wanted.tables[name], found.tables[name]
        if before.rows != after.rows:
            problems.append(f"table {name} holds {after.rows:,} rows instead of {before.rows:,}")
        elif before != after:
            problems.append(f"table {name} holds as many rows as it should, but not the same ones")
    problems += chain_differences(wanted, found)
    if wanted.revisions != found.revisions:
        problems.append(f"the schema is at {', '.join(found.revisions)} instead of {', '.join(wanted.revisions)}")
    return problems


def chain_differences(wanted: Contents, found: Contents) -> list[str]:
    """Return in sentences where audit chains do not end as they should."""
    ends = {chain.organization_id: chain for chain in found.chains}
    return [
        f"the audit chain of organization {chain.organization_id} does not end with entry {chain.seq} as it did"
        for chain in wanted.chains
        if ends.get(chain.organization_id) != chain
    ]


def _exists(connection: Guard, table: str) -> bool:
    row = connection.execute("select to_regclass(%s)", (f"public.{table}",)).fetchone()
    return row is not None and row[0] is not None
