"""Installations on a server that is not ours: whichever login they are given, they work as the least role."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.storage import Database, migrate
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.storage.roles import application_url, provide_roles

LOGIN = "hosting_login"


@pytest.fixture
def hosted(postgres: EmbeddedServer) -> Iterator[str]:
    """An empty database with an ordinary login: no superuser, no right to make roles."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute(f"create role {LOGIN} login password 'invented'")
        admin.execute(f"create database hosted owner {LOGIN}")
        try:
            yield make_conninfo(postgres.url_of("postgres", "hosted"), user=LOGIN, password="invented")
        finally:
            admin.execute("drop database hosted with (force)")
            admin.execute(sql.SQL("drop owned by {}").format(sql.Identifier(LOGIN)))
            admin.execute(f"drop role {LOGIN}")


def allow(postgres: EmbeddedServer) -> None:
    """What the error asks a superuser to run."""
    with psycopg.connect(postgres.url_of("postgres", "hosted"), autocommit=True) as admin:
        provide_roles(admin)
        admin.execute(f"grant bailiwick_owner, bailiwick to {LOGIN}")


def test_a_login_without_rights_is_told_what_a_superuser_must_run(hosted: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"let a superuser run once.*grant bailiwick_engine to"):
        migrate(hosted)


async def test_an_ordinary_login_that_was_let_in_works_as_the_application(
    hosted: str, postgres: EmbeddedServer
) -> None:
    allow(postgres)
    async with Installation.open(Settings(database_url=SecretStr(hosted), port=0)) as installation:
        home = await installation.home()
        row = await installation.database.fetch_one("select session_user::text as login, current_user::text as role")
        assert row == {"login": LOGIN, "role": "bailiwick"}
        assert await installation.database.fetch_all("select 1 from agents") == []
        assert (await installation.tasks.list(home.id)).items == []


async def test_a_superusers_login_is_held_to_the_policies_as_well(login_url: str) -> None:
    database = Database(application_url(login_url))
    await database.open()
    try:
        row = await database.fetch_one("select current_user::text as role, current_setting('is_superuser') as power")
        assert row == {"role": "bailiwick", "power": "off"}
    finally:
        await database.close()


def test_options_of_the_address_are_kept(login_url: str) -> None:
    url = application_url(make_conninfo(login_url, options="-c statement_timeout=1234"))
    with psycopg.connect(url) as connection:
        row = connection.execute("select current_user::text, current_setting('statement_timeout')").fetchone()
    assert row == ("bailiwick", "1234ms")
