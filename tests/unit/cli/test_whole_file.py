"""Files that people asked for are whole, or are what they were before."""

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bailiwick.cli.whole_file import PRIVATE, write_whole
from bailiwick.kernel.errors import DiskFullError, InvalidInputError


@contextmanager
def no_file_longer_than(size: int) -> Generator[None]:
    """Let no file of this process grow further, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    write_whole(tmp_path / "out", b"after", mode=PRIVATE)
    assert (tmp_path / "out").read_bytes() == b"after"
    assert (tmp_path / "out").stat().st_mode & 0o777 == PRIVATE


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    with no_file_longer_than(100), pytest.raises(DiskFullError, match="free some space"):
        write_whole(tmp_path / "out", b"x" * 1000)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    with no_file_longer_than(100), pytest.raises(DiskFullError):
        write_whole(tmp_path / "out", b"x" * 1000)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", b"text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"text"


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_whole(Path(os.devnull), b"text")
    assert Path(os.devnull).is_char_device()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="choose another file"):
        write_whole(tmp_path / "nowhere" / "out", b"text")
