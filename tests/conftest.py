"""What every test may ask for: a real PostgreSQL, a migrated database of its own, real data where there is some.

One embedded server per test process, in a temporary folder, gone at the end.
A test that needs a database gets a clone of a migrated template, so it may
commit, notify and open as many connections as it likes.
"""

import asyncio
import ipaddress
import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import uvloop
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bailiwick.storage import Database, migrate
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.telemetry import redacting

REAL_DATA_VARIABLE = "BAILIWICK_REAL_DATA_DIR"
_TEMPLATE = "bailiwick_template"
_numbers = itertools.count(1)

# A slow machine is no defect of an example.
hypothesis.settings.register_profile("bailiwick", deadline=None)
hypothesis.settings.load_profile("bailiwick")


# Tests ask faster than any client should; those of rate limits switch them on.
os.environ["BAILIWICK_RATE_LIMITS"] = "false"


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    """An embedded server for all tests of this process; use ``database_url`` unless the server itself matters."""
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-tests-"))
    server = EmbeddedServer(folder)
    try:
        server.start()
        with _admin(server) as admin:
            # Speed only, and only here: nothing that matters outlives the tests.
            admin.execute("alter system set fsync = off")
            admin.execute("select pg_reload_conf()")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def migrated_template(postgres: EmbeddedServer) -> str:
    """The name of a migrated database to make copies of; nobody stays connected to it."""
    with _admin(postgres) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(_TEMPLATE)))
    migrate(postgres.url_of("postgres", _TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres: EmbeddedServer, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database of this test's own, as the application's role."""
    yield from _cloned(postgres, migrated_template)


@pytest.fixture
def login_url(postgres: EmbeddedServer, database_url: str) -> str:
    """The same database with the right to migrate, as an installation on an outside server is given it."""
    return postgres.url_of("postgres", conninfo_to_dict(database_url)["dbname"])  # type: ignore[arg-type]


@pytest.fixture
def empty_database_url(postgres: EmbeddedServer) -> Iterator[str]:
    """The URL of a database without any schema, as the superuser."""
    for url in _cloned(postgres, "template1"):
        yield postgres.url_of("postgres", conninfo_to_dict(url)["dbname"])  # type: ignore[arg-type]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open pool on a migrated database of this test's own."""
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A short, empty folder that a server of the test's own may use as its data folder."""
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-tests-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data sets; tests that need it are skipped, with the reason, where there is none."""
    default = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get(REAL_DATA_VARIABLE, default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set {REAL_DATA_VARIABLE}")
    return folder


@pytest.fixture(autouse=True)
def _nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test's invented secret be struck out of another's words: a process remembers them for good."""
    monkeypatch.setattr(redacting, "_hidden", redacting._Hidden())


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address[0]}; tests use no network")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that gives no reason into a failure."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ").strip()
        if reason in ("", "Skipped", "unconditional skip"):
            report.outcome = "failed"
            report.longrepr = "a skip must say its reason"
    return report


def _cloned(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with _admin(server) as admin:
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
    yield server.url_of("bailiwick", name)
    with _admin(server) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _admin(server: EmbeddedServer) -> psycopg.Connection:
    return psycopg.connect(server.url_of("postgres", "postgres"), autocommit=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pytest_asyncio_loop_factories() -> "dict[str, Callable[[], asyncio.AbstractEventLoop]]":
    """Let tests run on the loop that ships."""
    return {"uvloop": uvloop.new_event_loop}
