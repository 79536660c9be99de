"""``bailiwick audit`` on a real database."""

import base64
import gzip
import os
from pathlib import Path

import orjson
import psycopg
import pytest

from tests.integration.cli.conftest import Command


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())


def test_what_a_command_changed_is_listed_with_the_account_that_gave_it(bailiwick: Command) -> None:
    assert bailiwick("audit", "rule", "mass_reads", "--count", "7", "--minutes", "5", "--reason", "small").code == 0
    (entry,) = bailiwick("audit", "list", "--action", "alarm_rule.*", "--json").document["items"]
    assert entry["target"] == "alarm_rule:mass_reads"
    assert entry["after"] == {"threshold": 7, "window_seconds": 300.0}
    assert entry["reason"] == "small"
    assert entry["actor"]["kind"] == "system"
    assert entry["actor"]["id"].startswith("account:")
    assert "alarm_rule.changed" in bailiwick("audit", "list").out
    assert bailiwick("audit", "alarms", "--json").document == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.jsonl.gz"])
def test_an_export_is_verified_without_any_database(
    bailiwick: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert bailiwick("audit", "rule", "mass_reads", "--count", "7", "--minutes", "5").code == 0
    path = tmp_path / name
    assert bailiwick("audit", "export", str(path)).code == 0
    assert path.stat().st_mode & 0o077 == 0
    key = bailiwick("audit", "key", "--json").document[0]["public_key"]
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    found = bailiwick("audit", "verify", str(path), "--key", key)
    assert found.code == 0, found.err
    assert "intact" in found.out
    data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    path.write_bytes(data.replace(b'"threshold":7', b'"threshold":8'))
    found = bailiwick("audit", "verify", str(path), "--json")
    assert found.code == 1
    assert found.document["error"] == "entry 2: its hash does not fit its content, so it was edited"
    assert bailiwick("audit", "verify", str(tmp_path / "none")).code != 0
    assert bailiwick("audit", "verify", str(path), "--key", "rubbish").code == 2


def test_the_live_database_is_verified_and_a_change_behind_our_back_is_found(
    bailiwick: Command, login_url: str
) -> None:
    assert bailiwick("audit", "rule", "mass_reads", "--count", "7", "--minutes", "5").code == 0
    found = bailiwick("audit", "verify", "--json")
    assert found.code == 0
    assert all(one["error"] is None for one in found.document)
    with psycopg.connect(login_url, autocommit=True) as intruder:
        intruder.execute("alter table audit_entries disable trigger append_only")
        intruder.execute("update audit_entries set act = replace(act, 'mass_reads', 'mass_roads')")
    found = bailiwick("audit", "verify")
    assert found.code == 1
    assert "home: BROKEN: entry 2:" in found.out


def test_a_rotated_key_is_listed_before_the_old_one(bailiwick: Command) -> None:
    (first,) = bailiwick("audit", "key", "--json").document
    second, again = bailiwick("audit", "key", "--rotate", "--json").document
    assert again == first
    assert second["number"] == 2
    listed = bailiwick("audit", "list", "--installation", "--json").document["items"]
    assert "audit_key.rotated" in [entry["action"] for entry in listed]


def test_the_export_of_the_installations_own_log_goes_to_standard_output(bailiwick: Command) -> None:
    assert bailiwick("audit", "key").code == 0
    lines = [orjson.loads(line) for line in bailiwick("audit", "export", "-", "--installation").out.splitlines()]
    assert [line["type"] for line in lines][:2] == ["header", "entry"]
    assert lines[-1]["type"] == "end"


def test_wrong_use_of_a_rule_is_told(bailiwick: Command) -> None:
    assert bailiwick("audit", "rule", "mass_reads", "--count", "7").code == 2
    assert bailiwick("audit", "rule", "login_failures", "--count", "7", "--minutes", "5").code == 2
    assert bailiwick("audit", "rule", "login_failures", "--default", "--installation").code == 0
