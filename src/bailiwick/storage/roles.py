"""The database roles that keep organizations apart, and how the application becomes the least of them."""

from typing import Any, LiteralString

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
    """Make the three roles and let them into this database; does only what is missing.

    ``admin`` is in autocommit mode, so that its session sees each grant at once.

    Raises:
        DatabaseUnavailableError: this login may not do it; the message says what a superuser runs once instead.
    """
    try:
        for role in (OWNER_ROLE, ENGINE_ROLE, APPLICATION_ROLE):
            _make_role(admin, role)
        # To make the schema as its owner, and to become the application.
        for role in (OWNER_ROLE, APPLICATION_ROLE):
            if not _holds(admin, "pg_has_role(current_user, %s, 'member')", role):
                admin.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
        if not _holds(admin, "pg_has_role(%s, %s, 'member')", OWNER_ROLE, ENGINE_ROLE):
            admin.execute(f"grant {ENGINE_ROLE} to {OWNER_ROLE}")
        for role in (OWNER_ROLE, ENGINE_ROLE):
            if not _holds(admin, "has_schema_privilege(%s, 'public', 'create')", role):
                admin.execute(sql.SQL("grant create, usage on schema public to {}").format(sql.Identifier(role)))
        if not _holds(admin, "has_schema_privilege(%s, 'public', 'usage')", APPLICATION_ROLE):
            admin.execute(f"grant usage on schema public to {APPLICATION_ROLE}")
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnavailableError(
            "this database login may not make the roles that keep organizations apart; let a superuser run once, "
            f"in this database: create role {OWNER_ROLE}; create role {ENGINE_ROLE}; create role {APPLICATION_ROLE}; "
            f"grant {ENGINE_ROLE} to {OWNER_ROLE}; grant create, usage on schema public to {OWNER_ROLE}, "
            f"{ENGINE_ROLE}; grant usage on schema public to {APPLICATION_ROLE}; "
            f"grant {OWNER_ROLE}, {APPLICATION_ROLE} to the login; then start again"
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


def _holds(admin: psycopg.Connection[Any], condition: LiteralString, *params: str) -> bool:
    return bool(admin.execute(f"select where {condition}", params).fetchall())
