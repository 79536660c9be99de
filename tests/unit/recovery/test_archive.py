"""The command that keeps the log, run by a real shell, and the thinning of what it kept."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.recovery import archive
from bailiwick.recovery.errors import BackupDamagedError
from bailiwick.storage.embedded_archive import archive_command, archive_of_cluster, quoted

SEGMENT = "00000001000000000000000A"


def run(folder: Path, segment: Path) -> int:
    """Run the command as the server does: placeholders put in, then handed to a shell."""
    command = archive_command(folder).replace("%p", str(segment)).replace("%f", segment.name).replace("%%", "%")
    return subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / SEGMENT
    path.write_bytes(b"log" * 1000)
    return path


@pytest.mark.parametrize("name", ["plain", "with space", "quo'te", 'dou"ble', "$HOME", "`id`", "100%", "-n", "ümlaut"])
def test_a_segment_is_kept_whatever_the_folder_is_called(tmp_path: Path, segment: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    assert run(folder, segment) == 0
    assert [path.name for path in folder.iterdir()] == [f"{SEGMENT}.gz"]
    assert gzip.decompress((folder / f"{SEGMENT}.gz").read_bytes()) == segment.read_bytes()


def test_the_same_segment_again_is_fine_and_another_one_is_refused(tmp_path: Path, segment: Path) -> None:
    folder = tmp_path / "wal"
    folder.mkdir()
    assert run(folder, segment) == 0
    before = (folder / f"{SEGMENT}.gz").read_bytes()
    assert run(folder, segment) == 0
    segment.write_bytes(b"other")
    assert run(folder, segment) != 0
    assert (folder / f"{SEGMENT}.gz").read_bytes() == before


def test_what_an_interrupted_copy_left_does_not_count(tmp_path: Path, segment: Path) -> None:
    folder = tmp_path / "wal"
    folder.mkdir()
    (folder / f".{SEGMENT}.partial").write_bytes(b"half")
    assert run(folder, segment) == 0
    assert gzip.decompress((folder / f"{SEGMENT}.gz").read_bytes()) == segment.read_bytes()
    assert len(list(folder.iterdir())) == 1


def test_a_missing_folder_is_a_failure_and_not_a_loss(tmp_path: Path, segment: Path) -> None:
    assert run(tmp_path / "nowhere", segment) != 0


def test_a_full_disk_leaves_no_segment(tmp_path: Path, segment: Path) -> None:
    folder = tmp_path / "wal"
    folder.mkdir()
    segment.write_bytes(bytes(range(256)) * 4096)
    command = archive_command(folder).replace("%p", str(segment)).replace("%f", segment.name)
    ran = subprocess.run(["sh", "-c", f"ulimit -f 1; {command}"], check=False, capture_output=True)
    assert ran.returncode != 0
    assert not (folder / f"{SEGMENT}.gz").exists()


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc"))))
def test_a_quoted_value_holds_no_lone_quote(text: str) -> None:
    inner = quoted(text)[1:-1].replace("\\\\", "")
    assert "'" not in inner.replace("''", "")


def test_segments_before_the_oldest_copy_are_removed_on_every_timeline(tmp_path: Path) -> None:
    names = [
        "000000010000000000000009", "00000001000000000000000A", "00000002000000000000000B", "000000020000000000000008",
        "00000002.history", "000000010000000000000009.00000028.backup",
    ]  # fmt: skip
    for name in names:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"x"))
    assert archive.prune(tmp_path, SEGMENT) == 3
    assert sorted(path.name.removesuffix(".gz") for path in tmp_path.iterdir()) == [
        "00000001000000000000000A", "00000002.history", "00000002000000000000000B",
    ]  # fmt: skip


def test_without_a_copy_to_begin_with_no_segment_is_needed(tmp_path: Path) -> None:
    for name in (SEGMENT, "00000002.history"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"x"))
    assert archive.prune(tmp_path, None) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["00000002.history.gz"]


def test_each_cluster_has_a_folder_of_its_own(tmp_path: Path) -> None:
    for number in (7_000_000_000_000_000_001, 7_000_000_000_000_000_002):
        control = tmp_path / str(number) / "global" / "pg_control"
        control.parent.mkdir(parents=True)
        control.write_bytes(number.to_bytes(8, sys.byteorder) + b"the rest")
        assert archive_of_cluster(tmp_path / "wal", tmp_path / str(number)) == tmp_path / "wal" / str(number)


def test_a_cluster_that_does_not_say_which_it_is_archives_nowhere(tmp_path: Path) -> None:
    (tmp_path / "global").mkdir()
    with pytest.raises(DatabaseUnavailableError, match="pg_control cannot be read"):
        archive_of_cluster(tmp_path / "wal", tmp_path)
    (tmp_path / "global" / "pg_control").write_bytes(b"short")
    with pytest.raises(DatabaseUnavailableError, match="truncated"):
        archive_of_cluster(tmp_path / "wal", tmp_path)


def test_a_damaged_segment_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(b"x" * 1000)
    (tmp_path / f"{SEGMENT}.gz").write_bytes(packed[:-5])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(BackupDamagedError, match=SEGMENT):
        archive.unpack(tmp_path, target, SEGMENT, str)
