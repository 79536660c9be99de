"""Manifests and the files they vouch for."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.recovery.contents import differences
from bailiwick.recovery.errors import BackupDamagedError
from bailiwick.recovery.folder import BackupFolder, write_manifest
from bailiwick.recovery.manifest import (
    ChainHead,
    Contents,
    Manifest,
    TableContent,
    check_files,
    describe_files,
    read_manifest,
)

NOTHING = Contents(revisions=["0001"], tables={}, chains=[], master_keys=[])


def quiet(what: str, done: float) -> None:
    del what, done


def make(folder: Path, day: int = 1) -> Path:
    """Put a backup without a server into a folder."""
    made = datetime(2026, 1, day, tzinfo=UTC)
    with BackupFolder(folder).staged(f"b{day}") as staging:
        (staging / "database.dump").write_bytes(b"rows" * 1000)
        manifest = Manifest(
            kind="dump", id=f"id{day}", made_at=made, bailiwick="0", postgres=18, programs=18, database_bytes=1,
            contents=NOTHING, files=describe_files(staging),
        )  # fmt: skip
        write_manifest(staging, manifest)
    return folder / f"b{day}"


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    manifest = read_manifest(make(tmp_path))
    assert (manifest.id, manifest.bytes) == ("id1", 4000)
    check_files(tmp_path / "b1", manifest, quiet)


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing", "longer"])
def test_every_damage_to_a_file_is_named(tmp_path: Path, damage: str) -> None:
    backup = make(tmp_path)
    dump = backup / "database.dump"
    content = dump.read_bytes()
    if damage == "missing":
        dump.unlink()
    else:
        changed = {"truncated": content[:-1], "longer": content + b"x", "changed": b"R" + content[1:]}
        dump.write_bytes(changed[damage])
    with pytest.raises(BackupDamagedError, match=damage):
        check_files(backup, read_manifest(backup), quiet)


def test_a_manifest_may_not_vouch_for_files_elsewhere(tmp_path: Path) -> None:
    backup = make(tmp_path)
    manifest = read_manifest(backup)
    elsewhere = manifest.model_copy(update={"files": {"../../etc/passwd": manifest.files["database.dump"]}})
    with pytest.raises(BackupDamagedError):
        check_files(backup, elsewhere, quiet)


def test_no_manifest_a_broken_one_and_a_newer_one_are_told_apart(tmp_path: Path) -> None:
    backup = make(tmp_path)
    path = backup / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(InvalidInputError, match="newer Bailiwick"):
        read_manifest(backup)
    path.write_text(text[:-30])
    with pytest.raises(BackupDamagedError):
        read_manifest(backup)
    path.unlink()
    with pytest.raises(NotFoundError, match="no finished backup"):
        read_manifest(backup)


def test_a_backup_that_fails_leaves_nothing_that_looks_like_one(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path)

    def fill() -> None:
        with folder.staged("broken") as staging:
            (staging / "manifest.json").write_text("{}")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fill()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert folder.list() == []


def test_what_a_killed_backup_left_is_removed_by_the_next_and_never_listed(tmp_path: Path) -> None:
    text = (make(tmp_path) / "manifest.json").read_text()
    left_over = tmp_path / ".partial-x"
    left_over.mkdir()
    (left_over / "manifest.json").write_text(text)
    assert [one.path.name for one in BackupFolder(tmp_path).list()] == ["b1"]
    make(tmp_path, 2)
    assert not left_over.exists()


def test_the_newest_is_found_and_a_removed_one_is_gone(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path)
    for day in (2, 1, 3):
        make(tmp_path, day)
    assert folder.find(None).name == "b3"
    folder.remove(tmp_path / "b3")
    assert folder.find(None).name == "b2"
    assert folder.find("b1") == tmp_path / "b1"
    with pytest.raises(NotFoundError):
        folder.find("b3")


def test_differences_are_told_in_sentences() -> None:
    head = ChainHead(organization_id="o", seq=3, hash="aa", root_number=0, root_hash="00")
    before = NOTHING.model_copy(
        update={
            "tables": {"a": TableContent(rows=2, fingerprint="5"), "b": TableContent(rows=1, fingerprint="1")},
            "chains": [head],
        }
    )
    after = NOTHING.model_copy(
        update={
            "tables": {"a": TableContent(rows=1, fingerprint="5"), "c": TableContent(rows=1, fingerprint="1")},
            "chains": [head.model_copy(update={"seq": 2})],
        }
    )
    assert differences(before, before) == []
    told = differences(before, after)
    assert any("table a holds 1 rows instead of 2" in one for one in told)
    assert any("table b is missing" in one for one in told)
    assert any("table c was not in the backup" in one for one in told)
    assert any("does not end with entry 3" in one for one in told)
    swapped = before.model_copy(update={"tables": before.tables | {"a": TableContent(rows=2, fingerprint="6")}})
    assert differences(before, swapped) == ["table a holds as many rows as it should, but not the same ones"]
