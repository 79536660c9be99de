"""``bailiwick privacy``: a person registered, asked, copied, held, erased and searched for."""

import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Command, bailiwick
from tests.integration.privacy.conftest import MASTER_KEY

__all__ = ["bailiwick"]

EMAIL = "cara@canary.test"


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", MASTER_KEY)


def test_from_registering_to_erasing(bailiwick: Command, tmp_path: Path) -> None:
    file = tmp_path / "issues.jsonl"
    file.write_text(json.dumps({
        "number": 1, "title": "Door", "body": f"write to {EMAIL}", "state": "open", "repository": "acme/shop",
        "author": "caracanary", "created_at": "2026-11-20T09:00:00Z",
    }))  # fmt: skip
    assert bailiwick("import", "github", str(file)).code == 0
    subject = bailiwick("privacy", "register", f"email:{EMAIL}", "login:caracanary", "--json").document["id"]
    assert [one["id"] for one in bailiwick("privacy", "subjects", "--json").document["items"]] == [subject]

    granted = bailiwick(
        "privacy", "consent", EMAIL, "marketing", "--state", "granted", "--method", "web form", "--json"
    )
    assert granted.document["state"] == "granted"
    listed = bailiwick("privacy", "consents", "--subject", EMAIL, "--json").document["items"]
    assert [(one["purpose"], one["state"]) for one in listed] == [("marketing", "granted")]

    archive = tmp_path / "cara.json"
    assert bailiwick("privacy", "export", EMAIL, "--out", str(archive)).code == 0
    assert EMAIL in archive.read_text()
    assert archive.stat().st_mode & 0o077 == 0

    assert bailiwick("privacy", "scan", EMAIL).code == 1
    hold = bailiwick("privacy", "hold", "--subject", EMAIL, "--reason", "a case", "--json").document["id"]
    refused = bailiwick("privacy", "erase", EMAIL, "--yes")
    assert refused.code == 1
    assert hold in refused.err
    assert bailiwick("privacy", "release", hold, "--reason", "settled").code == 0
    assert bailiwick("privacy", "holds", "--json").document["items"][0]["released_at"] is not None

    erased = bailiwick("privacy", "erase", EMAIL, "--yes", "--here", "--json")
    assert erased.document["state"] == "done", erased.err
    scanned = bailiwick("privacy", "scan", EMAIL, "caracanary", "--json")
    assert (scanned.code, scanned.document["hits"]) == (0, [])

    certificate = tmp_path / "certificate.json"
    assert bailiwick("privacy", "certificate", erased.document["id"], "--out", str(certificate)).code == 0
    assert "by this installation" in bailiwick("privacy", "verify-certificate", str(certificate)).err
    certificate.write_text(certificate.read_text().replace('"events"', '"nothing"', 1))
    for options in ((), ("--offline",)):
        changed = bailiwick("privacy", "verify-certificate", str(certificate), *options)
        assert changed.code == 1
        assert "NOT valid" in changed.err
    assert len(bailiwick("privacy", "requests", "--json").document["items"]) == 1


def test_retention_is_shown_and_set_within_bounds(bailiwick: Command) -> None:
    shown = {one["name"]: one["days"] for one in bailiwick("privacy", "retention", "--json").document["items"]}
    assert shown == {"operations": None, "audit": 2555, "gdpr": 1095, "security": 1825}
    assert bailiwick("privacy", "retention", "operations", "--days", "30").code == 0
    shown = {one["name"]: one["days"] for one in bailiwick("privacy", "retention", "--json").document["items"]}
    assert shown["operations"] == 30
    assert bailiwick("privacy", "retention", "audit", "--days", "30").code == 2
    assert bailiwick("privacy", "retention", "operations", "--default").code == 0


def test_what_is_wrong_is_said_with_the_next_step(bailiwick: Command, tmp_path: Path) -> None:
    for arguments in (
        ("register", "name:Cara"), ("register", "phone:1"), ("erase", "nobody@canary.test", "--yes"),
        ("consent", "nobody@canary.test", "marketing", "--state", "granted", "--method", "x"), ("scan", "abc"),
        ("verify-certificate", str(tmp_path / "none")), ("certificate", "x", "--out", str(tmp_path / "c")),
        ("hold", "--reason", "x", "--class", "nothing"), ("retention", "operations"),
    ):  # fmt: skip
        ran = bailiwick("privacy", *arguments)
        assert ran.code in (1, 2), arguments
        assert "Error:" in ran.err
        assert "Traceback" not in ran.err
