"""An embedded server starts, stops, starts again, is shared and keeps its files to itself."""

import os
import stat
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bailiwick.kernel.errors import DatabaseUnavailableError, InternalError
from bailiwick.storage.embedded import EmbeddedServer


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def query(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def test_rows_survive_stop_and_start(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server, psycopg.connect(server.admin_url) as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (7)")
    with EmbeddedServer(data_dir) as server:
        assert query(server.admin_url, "select n from kept") == 7


def test_the_application_is_no_superuser_and_may_make_nothing(postgres: EmbeddedServer) -> None:
    assert query(postgres.url, "select current_user::text") == "bailiwick"
    assert query(postgres.url, "select rolsuper or rolbypassrls from pg_roles where rolname = current_user") is False
    assert query(postgres.admin_url, "select rolsuper from pg_roles where rolname = current_user") is True
    for attempt in ("create schema of_its_own", "create table of_its_own (n int)", "create temporary table t (n int)"):
        with psycopg.connect(postgres.url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(attempt.encode())


def test_durability_is_never_traded_away(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert query(server.url, f"show {setting}") == "on"
        assert query(server.url, "show timezone") == "UTC"
        assert query(server.admin_url, "show listen_addresses") == ""


def test_start_and_stop_may_be_repeated(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.start()
    server.start()
    server.stop()
    server.stop()
    assert server.standing == "stopped"
    server.start()
    assert query(server.url, "select 1") == 1
    server.stop()


def test_the_address_is_the_same_after_a_restart(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        before = server.url
    with EmbeddedServer(data_dir) as server:
        assert server.url == before


def test_a_second_start_attaches_and_leaves_the_server_alone(postgres: EmbeddedServer) -> None:
    with EmbeddedServer(postgres.data_dir) as guest:
        assert (postgres.standing, guest.standing) == ("owner", "attached")
        assert guest.url == postgres.url
        assert guest.take_over_if_orphaned() is False
        assert guest.ensure_running() is False
    assert query(postgres.url, "select 1") == 1


def test_an_attached_process_takes_over_when_the_owner_stops(data_dir: Path) -> None:
    owner, guest = EmbeddedServer(data_dir), EmbeddedServer(data_dir)
    owner.start()
    guest.start()
    address = guest.url
    owner.stop()
    assert guest.keep_up() == "taken over"
    assert guest.standing == "owner"
    assert query(address, "select 1") == 1
    guest.stop()


def test_only_the_owner_may_look_inside(data_dir: Path) -> None:
    parents = {parent: mode_of(parent) for parent in data_dir.parents}
    with EmbeddedServer(data_dir) as server:
        cluster = data_dir / "postgres"
        socket_dir = Path(str(query(server.admin_url, "show unix_socket_directories")))
        assert mode_of(data_dir) & 0o067 == 0
        for folder in (cluster, socket_dir):
            assert mode_of(folder) == 0o700
        for name in ("passwords.json", "server.json", "owner.lock", "server.lock", "server.log"):
            assert mode_of(data_dir / name) == 0o600
        assert socket_dir.stat().st_uid == cluster.stat().st_uid
    assert {parent: mode_of(parent) for parent in data_dir.parents} == parents
    assert not socket_dir.exists()


def test_the_password_is_needed(postgres: EmbeddedServer) -> None:
    wrong = make_conninfo(postgres.url, password="guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_no_address_before_the_start(data_dir: Path) -> None:
    with pytest.raises(InternalError, match="before it was started"):
        _ = EmbeddedServer(data_dir).url


def test_a_folder_of_a_newer_postgresql_is_named_and_left_alone(data_dir: Path) -> None:
    EmbeddedServer(data_dir).__enter__().stop()
    (data_dir / "postgres" / "PG_VERSION").write_text("99\n")
    with pytest.raises(DatabaseUnavailableError, match="made by PostgreSQL 99, newer than the installed"):
        EmbeddedServer(data_dir).start()
    (data_dir / "postgres" / "PG_VERSION").write_text("18\n")
    with EmbeddedServer(data_dir) as server:
        assert query(server.url, "select 1") == 1


def test_a_damaged_folder_shows_the_log_and_the_next_step(data_dir: Path) -> None:
    EmbeddedServer(data_dir).__enter__().stop()
    control = data_dir / "postgres" / "global" / "pg_control"
    control.write_bytes(control.read_bytes()[:64] + b"\xff" * 64 + control.read_bytes()[128:])
    server = EmbeddedServer(data_dir)
    with pytest.raises(DatabaseUnavailableError, match="seems damaged; keep a copy and restore a backup") as caught:
        server.start()
    assert "FATAL" in str(caught.value) or "PANIC" in str(caught.value)
    assert server.standing == "stopped"


def test_lost_passwords_are_named(data_dir: Path) -> None:
    EmbeddedServer(data_dir).__enter__().stop()
    (data_dir / "passwords.json").unlink()
    with pytest.raises(DatabaseUnavailableError, match="passwords file is missing"):
        EmbeddedServer(data_dir).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_a_folder_behind_a_closed_one_is_refused_and_nothing_is_opened(data_dir: Path) -> None:
    target = data_dir / "closed" / "data"
    target.mkdir(parents=True)
    target.parent.chmod(0o700)
    with pytest.raises(DatabaseUnavailableError, match=rf"may not enter {data_dir}.*chmod o\+x"):
        EmbeddedServer(target).start()
    data_dir.chmod(0o711)
    with pytest.raises(DatabaseUnavailableError, match=rf"may not enter {target.parent}.*mode 0700.*chmod o\+x"):
        EmbeddedServer(target).start()
    assert mode_of(target.parent) == 0o700
    assert not (target / "postgres").exists()
