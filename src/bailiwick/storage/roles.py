"""The database roles that keep organizations apart, and how the application becomes the least of them."""

from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bailiwick.kernel.errors import DatabaseUnavailableError

OWNER_ROLE = "bailiwick_owner"
ENGINE_ROLE = "bailiwick_engine"
APPLICATION_ROLE = "bailiwick"


def application_url(url: str) -> str:
    """Return the address by which the application reaches a database: always as its own role.

    Whoever logs in becomes ``bailiwick`` with the connection's first breath, so
    row-level security holds even where the login is a superuser's.
    """
    options = conninfo_to_dict(url).get("options")
    role = f"-c role={APPLICATION_ROLE}"
    return make_conninfo(url, options=role if options is None else f"{options} {role}")


def provide_roles(admin: psycopg.Connection[Any]) -> None:
    """Make the three roles and let them into this database; harmless if that was done before.

    Raises:
        DatabaseUnavailableError: this login may not make roles; the message says what to run instead.
    """
    try:
        for role in (OWNER_ROLE, ENGINE_ROLE, APPLICATION_ROLE):
            _make_role(admin, role)
        if not _is_superuser(admin):
            # To make the schema as its owner, and to become the application.
            for role in (OWNER_ROLE, APPLICATION_ROLE):
                admin.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
        admin.execute(f"grant {ENGINE_ROLE} to {OWNER_ROLE}")
        admin.execute(f"grant usage, create on schema public to {OWNER_ROLE}, {ENGINE_ROLE}")
        admin.execute(f"grant usage on schema public to {APPLICATION_ROLE}")
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnavailableError(
            "this database login may not make the roles that keep organizations apart; as a superuser run "
            f'"create role {OWNER_ROLE}; create role {ENGINE_ROLE}; create role {APPLICATION_ROLE}; '
            f'grant {ENGINE_ROLE} to {OWNER_ROLE}", grant {OWNER_ROLE} and {APPLICATION_ROLE} to this login and '
            f"create on schema public to {OWNER_ROLE} and {ENGINE_ROLE}, then start again"
        ) from error


def _make_role(admin: psycopg.Connection[Any], role: str) -> None:
    if admin.execute("select from pg_roles where rolname = %s", (role,)).fetchall():
        return
    try:
        admin.execute(
            sql.SQL("create role {} nologin nosuperuser nocreatedb nocreaterole nobypassrls").format(
                sql.Identifier(role)
            )
        )
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        return  # another process was quicker


def _is_superuser(admin: psycopg.Connection[Any]) -> bool:
    row = admin.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    return row is not None and bool(row[0] if isinstance(row, tuple) else row["rolsuper"])
