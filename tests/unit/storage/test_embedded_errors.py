"""A server that does not start says why and what to do next."""

from pathlib import Path

import pytest

from bailiwick.kernel.errors import DatabaseUnavailableError, DiskFullError
from bailiwick.storage.binaries import PostgresBinaries, find_postgres_binaries
from bailiwick.storage.embedded_cluster import check_cluster, connection_url, new_passwords, start_error

_BINARIES = PostgresBinaries(Path("/opt"), Path("/opt/bin"), 18, "test")


@pytest.mark.parametrize(
    "sign", ["could not write lock file: No space left on device", "HINT:  Check free disk space."]
)
def test_a_full_disk_is_told_apart(sign: str) -> None:
    log = f"FATAL:  {sign}\nPANIC:  cannot abort transaction 1"
    error = start_error(log, Path("/data"))
    assert isinstance(error, DiskFullError)
    assert error.retryable
    assert "free some and start again" in str(error)


@pytest.mark.parametrize(
    ("log", "step"),
    [
        ("FATAL:  could not create any Unix-domain sockets\nLOG:  shut down", "set TMPDIR"),
        ("FATAL:  incorrect checksum in control file", "restore a backup"),
        ("PANIC:  could not locate a valid checkpoint record", "restore a backup"),
        ("DETAIL:  The data directory was initialized by PostgreSQL version 15", "another version"),
        ("FATAL:  could not map anonymous shared memory", "lacks memory"),
        ("no right to switch to user 65534, group 65534", "start Bailiwick as an ordinary user"),
        ("FATAL:  something new", "see /data/server.log"),
        ("", "it logged nothing"),
    ],
)
def test_the_next_step_follows_from_the_log(log: str, step: str) -> None:
    error = start_error(log, Path("/data"))
    assert isinstance(error, DatabaseUnavailableError)
    assert step in str(error)


def test_only_the_last_lines_are_shown() -> None:
    log = "\n".join(f"line {n}" for n in range(100))
    assert "line 99" in str(start_error(log, Path("/data")))
    assert "line 50" not in str(start_error(log, Path("/data")))


@pytest.mark.parametrize(("major", "age"), [("15", "older"), ("19", "newer")])
def test_another_major_version_is_refused(tmp_path: Path, major: str, age: str) -> None:
    (tmp_path / "PG_VERSION").write_text(f"{major}\n")
    with pytest.raises(DatabaseUnavailableError, match=f"PostgreSQL {major}, {age} than the installed 18"):
        check_cluster(tmp_path, _BINARIES)


def test_a_folder_that_is_no_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="is not a PostgreSQL data folder"):
        check_cluster(tmp_path, _BINARIES)


def test_the_installed_programs_are_found() -> None:
    found = find_postgres_binaries()
    assert found.program("postgres").is_file()
    assert found.major >= 15


def test_a_named_folder_without_programs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BAILIWICK_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(DatabaseUnavailableError, match="initdb is missing"):
        find_postgres_binaries()


def test_a_named_folder_with_another_program_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BAILIWICK_POSTGRES_BIN", str(tmp_path))
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.1'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(DatabaseUnavailableError, match=r"not PostgreSQL 15 or newer.*14\.1"):
        find_postgres_binaries()


def test_passwords_are_random_and_the_url_survives_odd_characters() -> None:
    assert len(set(new_passwords().values()) | set(new_passwords().values())) == 4
    url = connection_url("bailiwick", "a/b@c", "bailiwick", Path("/run/x y"))
    assert url == "postgresql://bailiwick:a%2Fb%40c@/bailiwick?host=%2Frun%2Fx%20y&port=5432"
