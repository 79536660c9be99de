"""import, rejected and connect, as a new user meets them."""

from pathlib import Path

import orjson
import pytest

from tests.integration.cli.conftest import Command


def issue(number: int, **fields: object) -> dict[str, object]:
    return {
        "number": number, "title": f"Issue {number}", "body": "", "state": "open", "labels": [],
        "repository_url": "https://api.github.com/repos/acme/shop", "created_at": "2026-11-20T10:00:00Z",
    } | fields  # fmt: skip


@pytest.fixture
def issues(tmp_path: Path) -> Path:
    """Two good issues, and one without a title between them."""
    file = tmp_path / "issues.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(one) for one in (issue(1), issue(2, title=""), issue(3))))
    return file


def test_an_import_tells_what_it_took_and_what_it_refused(bailiwick: Command, issues: Path):
    ran = bailiwick("import", "github", str(issues), "--org", "Acme", "--json")

    assert ran.code == 0
    assert {name: ran.document[name] for name in ("accepted", "duplicates", "rejected")} == {
        "accepted": 2,
        "duplicates": 0,
        "rejected": [{"line": 2, "reason": "title is empty"}],
    }
    assert f"{issues}:2" in ran.err
    assert "made the organization acme" in ran.err
    again = bailiwick("import", "github", str(issues), "--org", "Acme", "--json")
    assert (again.document["accepted"], again.document["duplicates"]) == (0, 2)
    assert "made the organization" not in again.err
    assert len(bailiwick("rejected", "list", "--org", "acme", "--json").document["items"]) == 1


def test_a_rejected_record_is_mended_and_redriven_once(bailiwick: Command, issues: Path, tmp_path: Path):
    bailiwick("import", "github", str(issues), "--org", "Acme")
    record = bailiwick("rejected", "list", "--org", "acme", "--json").document["items"][0]
    mended = tmp_path / "mended.json"
    mended.write_text(
        bailiwick("rejected", "show", record["id"], "--org", "acme").out.replace('""', '"Now it has one"', 1)
    )

    refused = bailiwick("rejected", "redrive", record["id"], "--org", "acme")
    taken = bailiwick("rejected", "redrive", record["id"], "--with", str(mended), "--org", "acme", "--json")
    twice = bailiwick("rejected", "redrive", record["id"], "--with", str(mended), "--org", "acme")

    assert (refused.code, "still refused" in refused.err) == (2, True)
    assert taken.document == {"id": record["id"], "accepted": 1, "duplicates": 0}
    assert (twice.code, "already" in twice.err) == (1, True)
    assert bailiwick("rejected", "list", "--org", "acme", "--json").document["items"] == []


def test_a_file_of_which_nothing_can_be_read_fails(bailiwick: Command, tmp_path: Path):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"number": 1}\n{"number": 2}\n')

    ran = bailiwick("import", "github", str(file), "--json")

    assert ran.code == 2
    assert ran.document["rejected_count"] == 2
    assert "nothing" in ran.err


def test_tables_and_meters_come_in_too(bailiwick: Command, tmp_path: Path):
    table = tmp_path / "tracker.csv"
    table.write_text("Key,Summary,Opened\nA-1,The till is down,2026-11-19 08:00\nA-2,,2026-11-19 09:00\n")
    meters = tmp_path / "meters.csv"
    meters.write_text("meter_id,unit,value,read_at,interval_minutes\nm1,kWh,1.5,2026-11-19T10:00:00Z,15\n")

    tracked = bailiwick("import", "csv", str(table), "--map", "title=Summary,number=Key,created_at=Opened", "--json")
    read = bailiwick("import", "meters", str(meters), "--json")

    assert (tracked.document["accepted"], len(tracked.document["rejected"])) == (1, 1)
    assert read.document["accepted"] == 1
    listed = bailiwick("events", "list", "--json").document["items"]
    assert {event["type"] for event in listed} == {"issue.opened", "meter.read"}


def test_a_connection_keeps_names_of_secrets_only(bailiwick: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_TOKEN", "ghp_secretsecret")

    made = bailiwick("connect", "github", "acme/shop", "--token-env", "SHOP_TOKEN", "--json")

    assert made.document["configuration"] == {"token_variable": "SHOP_TOKEN"}
    listed = bailiwick("connect", "list", "--json")
    assert [one["target"] for one in listed.document["items"]] == ["acme/shop"]
    assert "ghp_secretsecret" not in made.out + listed.out
    assert bailiwick("connect", "github", "acme/shop").code == 1
    assert bailiwick("connect", "remove", "acme/shop", "--json").document["target"] == "acme/shop"
    assert bailiwick("connect", "list", "--json").document["items"] == []
