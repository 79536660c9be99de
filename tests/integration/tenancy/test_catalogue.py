"""The catalogue of the database: no table without a policy, no door through the separation that is not listed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from bailiwick.extensions import find_extensions
from bailiwick.storage import migrate
from bailiwick.storage.roles import APPLICATION_ROLE, ENGINE_ROLE, OWNER_ROLE

Row = dict[str, Any]

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "tenancy.md"


@pytest.fixture
def catalogue(login_url: str) -> Iterator[psycopg.Connection[Row]]:
    """A migrated database with the tables of every installed pack, seen by the superuser."""
    found, failed = find_extensions()
    assert not failed
    migrate(login_url, locations=[one.migrations for one in found if one.migrations is not None])
    with psycopg.Connection[Row].connect(login_url, row_factory=dict_row) as connection:
        yield connection


def tables(catalogue: psycopg.Connection[Row]) -> list[Row]:
    return catalogue.execute(
        "select c.oid, c.relname as name, pg_get_userbyid(c.relowner) as owner, c.relrowsecurity as is_on, "
        "c.relforcerowsecurity as is_forced, exists (select from pg_attribute a where a.attrelid = c.oid "
        "and a.attname = 'organization_id' and a.attnotnull) as has_tenant "
        "from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 2"
    ).fetchall()


def policies(catalogue: psycopg.Connection[Row], table: str) -> dict[str, Row]:
    rows = catalogue.execute(
        "select policyname as name, roles::text[] as roles, cmd, permissive, qual, with_check from pg_policies "
        "where tablename = %s",
        (table,),
    ).fetchall()
    return {row["name"]: row for row in rows}


def test_every_table_is_separated_by_organization_even_for_its_owner(catalogue: psycopg.Connection[Row]) -> None:
    found = tables(catalogue)
    assert len(found) > 20
    for table in found:
        if table["name"] == "alembic_version":
            continue
        assert table["is_on"], f"{table['name']} has no row-level security"
        assert table["is_forced"], f"{table['name']} does not hold its owner to its policies"
        assert policies(catalogue, table["name"]), f"{table['name']} has no policy"


def test_a_tenants_table_shows_the_application_one_organization_only(catalogue: psycopg.Connection[Row]) -> None:
    for table in tables(catalogue):
        found = policies(catalogue, table["name"])
        open_to_the_application = [one for one in found.values() if APPLICATION_ROLE in one["roles"]]
        if not table["has_tenant"]:
            continue
        for policy in open_to_the_application:
            for condition in (policy["qual"], policy["with_check"]):
                assert condition is None or "current_organization()" in condition, (table["name"], policy)
        assert not any("public" in one["roles"] for one in found.values()), table["name"]


def test_a_table_without_an_organization_says_why(catalogue: psycopg.Connection[Row]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for table in tables(catalogue):
        assert table["has_tenant"] or f"`{table['name']}`" in page, (
            f"{table['name']} is no tenant's; say why on the page"
        )


def test_the_application_owns_nothing_and_bypasses_nothing(catalogue: psycopg.Connection[Row]) -> None:
    owned = catalogue.execute(
        "select relname from pg_class where relowner = %s::regrole union all "
        "select proname from pg_proc where proowner = %s::regrole",
        (APPLICATION_ROLE, APPLICATION_ROLE),
    ).fetchall()
    assert owned == []
    roles = catalogue.execute(
        "select rolname from pg_roles where rolname = any(%s) and (rolsuper or rolbypassrls or rolcreaterole)",
        ([APPLICATION_ROLE, ENGINE_ROLE, OWNER_ROLE],),
    ).fetchall()
    assert roles == []
    members = catalogue.execute(
        "select roleid::regrole::text as role from pg_auth_members where member = %s::regrole", (APPLICATION_ROLE,)
    ).fetchall()
    assert members == [], "the application may become nobody else"
    assert {table["owner"] for table in tables(catalogue)} == {OWNER_ROLE}


def test_the_application_may_neither_truncate_nor_alter(catalogue: psycopg.Connection[Row]) -> None:
    rows = catalogue.execute(
        "select table_name, privilege_type from information_schema.role_table_grants "
        "where grantee in (%s, 'PUBLIC') and table_schema = 'public' "
        "and privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')",
        (APPLICATION_ROLE,),
    ).fetchall()
    assert rows == []


def test_every_door_through_the_separation_is_documented(catalogue: psycopg.Connection[Row]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in doors(catalogue):
        assert f"`{row['name']}`" in page, f"{row['name']} runs with more than its caller's rights; say why on the page"


def test_no_door_can_be_led_astray_by_its_callers_search_path(catalogue: psycopg.Connection[Row]) -> None:
    for row in doors(catalogue):
        assert any(setting.startswith("search_path=") for setting in row["settings"] or []), row["name"]
        assert row["owner"] in (ENGINE_ROLE, OWNER_ROLE)
        assert not row["is_public"], f"everybody may call {row['name']}"


def test_a_month_made_later_is_separated_as_well(catalogue: psycopg.Connection[Row]) -> None:
    catalogue.execute("select partitions_ensure('events', now() + interval '5 years', 0)")
    test_every_table_is_separated_by_organization_even_for_its_owner(catalogue)


def doors(catalogue: psycopg.Connection[Row]) -> list[Row]:
    return catalogue.execute(
        "select proname as name, pg_get_userbyid(proowner) as owner, proconfig as settings, "
        "has_function_privilege('public', oid, 'execute') as is_public "
        "from pg_proc where pronamespace = 'public'::regnamespace and prosecdef order by 1"
    ).fetchall()
