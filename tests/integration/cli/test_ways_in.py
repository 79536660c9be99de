"""Identity providers and second factors from the command line."""

import base64
import os
from pathlib import Path

import pytest
from pyotp.totp import TOTP

from tests.integration.cli.conftest import Command

POLICY = '{"creates_accounts": true, "group_roles": [{"group": "ops", "organization": "home", "role": "operator"}]}'


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())


def test_a_provider_is_added_changed_and_removed(bailiwick: Command, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("what it gave\n")
    assert bailiwick("orgs", "create", "Home").code == 0
    added = bailiwick(
        "identity-providers", "add", "google", "--preset", "google", "--client-id", "me", "--secret-file",
        str(tmp_path / "secret"), "--policy", POLICY, "--json",
    )  # fmt: skip
    assert (added.code, added.document["issuer"]) == (0, "https://accounts.google.com"), added.err
    assert added.document["callback_url"].endswith("/api/v1/login/oidc/google/callback")
    assert added.document["has_secret"] is True
    assert "what it gave" not in added.out + added.err
    listed = bailiwick("identity-providers", "list")
    assert "google" in listed.out
    assert "new accounts" in listed.out
    assert bailiwick("identity-providers", "disable", "google").code == 0
    shown = bailiwick("identity-providers", "show", "google", "--json").document
    assert (shown["is_enabled"], shown["policy"]["group_roles"][0]["role"]) == (False, "operator")
    assert bailiwick("identity-providers", "enable", "google").code == 0
    assert bailiwick("identity-providers", "policy", "google", "{}", "--json").document["policy"]["group_roles"] == []
    assert bailiwick("identity-providers", "remove", "google", "--yes").code == 0
    gone = bailiwick("identity-providers", "show", "google")
    assert (gone.code, "identity-providers list" in gone.err) == (1, True)


def test_what_cannot_be_used_is_refused_with_the_reason(bailiwick: Command, tmp_path: Path) -> None:
    add = ("identity-providers", "add", "x", "--client-id", "me", "--public")
    for more, reason in (
        ((), "--preset"),
        (("--preset", "microsoft"), "--tenant"),
        (("--issuer", "http://idp.example.org"), "https"),
        (("--preset", "google", "--policy", '{"lets_everybody_in": true}'), "lets_everybody_in"),
        (("--preset", "google", "--policy", f"@{tmp_path}/none"), "no file"),
    ):
        ran = bailiwick(*add, *more)
        assert (ran.code != 0, reason in ran.err) == (True, True), ran.err


def test_second_factors_are_shown_set_up_and_reset(bailiwick: Command) -> None:
    assert bailiwick("users", "create", "maria@example.org", "--name", "Maria").code == 0
    enrolment = bailiwick("factors", "enrol", "maria@example.org", "--json").document
    code = TOTP(enrolment["secret"]).now()
    confirmed = bailiwick("factors", "enrol", "maria@example.org", "--code", code, "--json")
    assert len(confirmed.document["recovery_codes"]) == 10
    shown = bailiwick("factors", "show", "maria@example.org", "--json").document
    assert shown == {"totp": True, "recovery_codes_left": 10, "passkeys": []}
    reset = bailiwick("factors", "reset", "maria@example.org", "--reason", "telephone lost", "--yes", "--json")
    assert reset.document == {"authenticators": 1, "passkeys": 0, "sessions_ended": 0}
    assert "none" in bailiwick("factors", "show", "maria@example.org").out


def test_roles_that_need_a_second_factor_are_set_and_shown(bailiwick: Command) -> None:
    assert bailiwick("factors", "require", "owner", "admin", "--json").document == {"roles": ["admin", "owner"]}
    assert bailiwick("factors", "require", "--json").document == {"roles": ["admin", "owner"]}
    assert bailiwick("factors", "require", "--none", "--json").document == {"roles": []}
    refused = bailiwick("factors", "require", "boss")
    assert (refused.code, "no role" in refused.err) == (2, True)
