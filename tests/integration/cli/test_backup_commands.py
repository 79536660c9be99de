"""``bailiwick backup`` and ``bailiwick restore`` as people call them."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import Command


def test_a_backup_is_made_listed_drilled_and_restored(
    bailiwick: Command, tmp_path: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_BACKUP_DIR", str(tmp_path))
    made = bailiwick("backup", "--json").document
    assert made["state"] == "made"
    assert "master key is not in it" in bailiwick("backup").err
    assert [one["kind"] for one in bailiwick("backup", "list", "--json").document["items"]] == ["dump", "dump"]
    assert len(bailiwick("backup", "list", "--dir", str(tmp_path), "--json").document) == 2
    assert "made" in bailiwick("backup", "list").out
    drilled = bailiwick("backup", "drill", Path(made["path"]).name, "--json")
    assert drilled.code == 0
    assert drilled.document["is_good"]
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", empty_database_url)
    restored = bailiwick("restore", made["path"], "--json")
    assert restored.code == 0, restored.err
    assert restored.document["backup"]["id"] == made["id"]
    assert bailiwick("orgs", "list").code == 0
    again = bailiwick("restore", made["path"])
    assert again.code == 1
    assert "not empty" in again.err


def test_a_bad_backup_fails_its_drill_with_exit_code_one(
    bailiwick: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_BACKUP_DIR", str(tmp_path))
    made = bailiwick("backup", "--json").document
    (Path(made["path"]) / "database.dump").write_bytes(b"nothing")
    drilled = bailiwick("backup", "drill")
    assert drilled.code == 1
    assert "truncated" in drilled.err


def test_wrong_use_is_explained(bailiwick: Command, tmp_path: Path) -> None:
    for arguments, said in (
        (("backup",), "BAILIWICK_BACKUP_DIR"),
        (("backup", "drill"), "BAILIWICK_BACKUP_DIR"),
        (("restore",), "--from DIR"),
        (("restore", str(tmp_path)), "no finished backup"),
        (("restore", "--to-time", "yesterday", "--into", str(tmp_path / "x"), "--from", str(tmp_path)), "is no moment"),
        (
            ("restore", "--to-time", "2026-01-01T00:00:00", "--into", str(tmp_path / "x"), "--from", str(tmp_path)),
            "zone",
        ),
        (("restore", "--to-time", "latest"), "leave the backup's name"),
        (("backup", "--out", str(tmp_path), "--include-key"), "master key is in no file"),
    ):
        ran = bailiwick(*arguments)
        assert ran.code in (1, 2)
        assert said in " ".join(ran.err.split()), arguments
