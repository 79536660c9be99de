"""The data folder says who may enter it, and keeps what it was given."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.storage.binaries import PostgresBinaries
from bailiwick.storage.embedded_account import ServerAccount
from bailiwick.storage.embedded_folder import SOCKET_NAME, DataFolder, FolderLock, default_data_dir

_STRANGER = ServerAccount(uid=4242, gid=4242, name="stranger", drops_root=True)


def myself() -> ServerAccount:
    return ServerAccount(os.geteuid(), os.getegid(), "me", drops_root=False)


@pytest.fixture
def programs(tmp_path: Path) -> PostgresBinaries:
    """A tree like the wheel's, closed to strangers by its topmost folder."""
    root = tmp_path / "closed"
    for name in (
        "engine/bin/postgres",
        "engine/bin/initdb",
        "engine/include/pg.h",
        "engine/lib/libpq.a",
        "libs/libpq.so",
    ):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(0o755)
    root.chmod(0o700)
    return PostgresBinaries(root, root / "engine" / "bin", 18, "wheel-1", (Path("engine"), Path("libs")))


def test_the_data_folder_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_DATA_DIR", "/somewhere/else")
    assert default_data_dir() == Path("/somewhere/else")


@pytest.mark.parametrize(
    ("uid", "xdg", "expected"),
    [
        (0, "/data", "/var/lib/bailiwick"),
        (1000, "/data", "/data/bailiwick"),
        (1000, "relative", "/home/someone/.local/share/bailiwick"),
        (1000, "", "/home/someone/.local/share/bailiwick"),
    ],
)
def test_the_default_data_folder_follows_the_user(
    monkeypatch: pytest.MonkeyPatch, uid: int, xdg: str, expected: str
) -> None:
    monkeypatch.delenv("BAILIWICK_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", xdg)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert default_data_dir() == Path(expected)


def test_the_outermost_closed_folder_is_named(tmp_path: Path) -> None:
    deep = tmp_path / "closed" / "open"
    deep.mkdir(parents=True)
    for folder in (tmp_path, *(parent for parent in tmp_path.parents if parent.owner() == tmp_path.owner())):
        if not folder.stat().st_mode & stat.S_IXOTH:
            assert _STRANGER.closed_folder(deep) is not None
            break
    else:
        deep.parent.chmod(0o700)
        assert _STRANGER.closed_folder(deep) == deep.parent
    assert myself().closed_folder(deep) is None


def test_programs_out_of_reach_are_copied_once_without_what_running_does_not_need(
    tmp_path: Path, programs: PostgresBinaries
) -> None:
    (tmp_path / "data").mkdir()
    folder = DataFolder(tmp_path / "data")
    copy = folder.reachable_binaries(programs, _STRANGER)
    assert copy.bin_dir == tmp_path / "data" / "engine" / "wheel-1" / "engine" / "bin"
    assert copy.program("postgres").read_text() == "engine/bin/postgres"
    assert (copy.root / "libs" / "libpq.so").exists()
    assert not (copy.root / "engine" / "include").exists()
    assert not (copy.root / "engine" / "lib" / "libpq.a").exists()
    assert stat.S_IMODE(programs.root.stat().st_mode) == 0o700
    copied_at = copy.program("postgres").stat().st_mtime_ns
    programs.program("postgres").write_text("changed")
    assert folder.reachable_binaries(programs, _STRANGER).program("postgres").stat().st_mtime_ns == copied_at


def test_a_new_version_of_the_programs_replaces_the_old_copy(tmp_path: Path, programs: PostgresBinaries) -> None:
    (tmp_path / "data").mkdir()
    folder = DataFolder(tmp_path / "data")
    folder.reachable_binaries(programs, _STRANGER)
    newer = PostgresBinaries(programs.root, programs.bin_dir, 18, "wheel-2", programs.parts)
    folder.reachable_binaries(newer, _STRANGER)
    assert [path.name for path in (tmp_path / "data" / "engine").iterdir()] == ["wheel-2"]


def test_programs_within_reach_are_used_where_they_are(tmp_path: Path, programs: PostgresBinaries) -> None:
    assert DataFolder(tmp_path).reachable_binaries(programs, myself()) is programs


def test_programs_that_cannot_be_copied_are_an_error(tmp_path: Path, programs: PostgresBinaries) -> None:
    alone = PostgresBinaries(programs.root, programs.bin_dir, 18, "system-18")
    with pytest.raises(DatabaseUnavailableError, match="the account stranger cannot run"):
        DataFolder(tmp_path).reachable_binaries(alone, _STRANGER)


def test_passwords_are_kept_for_us_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.read_passwords() is None
    folder.write_passwords({"postgres": "one", "bailiwick": "two"})
    assert folder.read_passwords() == {"postgres": "one", "bailiwick": "two"}
    assert stat.S_IMODE((tmp_path / "passwords.json").stat().st_mode) == 0o600


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    (tmp_path / "passwords.json").write_text("{")
    with pytest.raises(DatabaseUnavailableError, match=r"passwords\.json is damaged"):
        DataFolder(tmp_path).read_passwords()


def test_the_socket_folder_is_short_private_and_stays(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    folder = DataFolder(deep)
    made = folder.claim_socket_dir(myself())
    try:
        assert len(str(made / SOCKET_NAME)) <= 103
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        assert folder.claim_socket_dir(myself()) == made
        made.rmdir()
        assert folder.claim_socket_dir(myself()) == made
    finally:
        made.rmdir()


def test_a_socket_folder_that_others_could_enter_is_not_used(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    first = folder.claim_socket_dir(myself())
    first.chmod(0o755)
    second = folder.claim_socket_dir(myself())
    try:
        assert second != first
        assert folder.read_socket_dir() == second
    finally:
        first.rmdir()
        second.rmdir()


def test_a_copied_data_folder_gets_a_socket_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    original = DataFolder(tmp_path / "first").claim_socket_dir(myself())
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    copied = DataFolder(tmp_path / "second").claim_socket_dir(myself())
    original.rmdir()
    copied.rmdir()
    assert copied != original


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "lock"), FolderLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert not second.is_free()
    first.release()
    assert second.is_free()
    assert second.acquire()
    second.release()


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.rotate_log()
    folder.log_file.write_bytes(b"x" * (17 * 1024 * 1024))
    folder.rotate_log()
    assert folder.log_end() == 0
    assert (tmp_path / "server.log.1").stat().st_size == 17 * 1024 * 1024


def test_the_last_lines_of_the_log_since_a_point(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.log_since(0) == ""
    folder.log_file.write_text("before\nafter\n")
    assert folder.log_since(7) == "after\n"
    assert folder.log_since(0, limit=3) == "er\n"
