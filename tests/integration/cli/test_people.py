"""Users and members from the command line."""

import io
import re
import sys

import pytest

from tests.integration.cli.conftest import Command

GOOD = "vexed otter prints maps"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_PASSWORD_MEMORY_MIB", "12")


def _type(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_user_is_made_with_a_link_listed_disabled_and_enabled(bailiwick: Command) -> None:
    made = bailiwick("users", "create", "Maria@Example.org", "--name", "Maria", "--json")
    assert made.code == 0
    assert made.document["user"]["email"] == "maria@example.org"
    assert re.fullmatch(r"http://127\.0\.0\.1:8700/password\?token=[\w-]{43}", made.document["link"])
    assert bailiwick("users", "create", "maria@example.org").code == 1
    assert bailiwick("users", "disable", "maria@example.org", "--json").document["is_disabled"]
    assert "disabled" in bailiwick("users", "list").out
    assert not bailiwick("users", "enable", "maria@example.org", "--json").document["is_disabled"]
    assert made.document["user"]["email_verified_at"] is None
    assert bailiwick("users", "verify", "maria@example.org", "--json").document["email_verified_at"] is not None
    assert [user["email"] for user in bailiwick("users", "list", "--json").document["items"]] == ["maria@example.org"]


def test_a_password_comes_from_standard_input_and_is_never_printed(
    bailiwick: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, "too short\n")
    refused = bailiwick("users", "create", "maria@example.org", "--password")
    assert refused.code == 2
    assert "at least 15" in refused.err
    assert "too short" not in refused.err + refused.out
    _type(monkeypatch, "")
    assert bailiwick("users", "create", "maria@example.org", "--password").code == 2
    _type(monkeypatch, GOOD + "\n")
    made = bailiwick("users", "create", "maria@example.org", "--password", "--admin", "--json")
    assert made.code == 0
    assert made.document["user"]["is_admin"]
    assert made.document["link"] is None
    assert GOOD not in made.out + made.err


def test_the_owner_link_is_made_while_there_is_no_administrator(
    bailiwick: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_PUBLIC_URL", "https://ops.example.org/")
    link = bailiwick("users", "owner-link", "--json").document["link"]
    assert link.startswith("https://ops.example.org/setup?token=")
    assert bailiwick("users", "create", "ada@example.org", "--admin").code == 0
    refused = bailiwick("users", "owner-link")
    assert refused.code == 1
    assert "reset-link" in refused.err
    assert bailiwick("users", "disable", "ada@example.org").code == 1
    assert "/password?token=" in bailiwick("users", "reset-link", "ada@example.org").out
    assert bailiwick("users", "reset-link", "nobody@example.org").code == 1


def test_members_are_added_changed_invited_and_removed(bailiwick: Command) -> None:
    for name in ("ada", "ben"):
        bailiwick("users", "create", f"{name}@example.org")
    first = bailiwick("members", "add", "ben@example.org", "--role", "viewer")
    assert first.code == 1
    assert "owner" in first.err
    assert bailiwick("members", "add", "ada@example.org", "--role", "owner").code == 0
    assert bailiwick("members", "add", "ben@example.org", "--json").document["role"] == "viewer"
    assert bailiwick("members", "role", "ben@example.org", "admin", "--json").document["role"] == "admin"
    assert bailiwick("members", "role", "ada@example.org", "viewer").code == 1
    assert bailiwick("members", "role", "ben@example.org", "emperor").code == 2
    assert bailiwick("members", "remove", "ada@example.org").code == 1
    assert bailiwick("members", "remove", "ben@example.org").code == 0
    listed = bailiwick("members", "list", "--json").document["items"]
    assert [(one["email"], one["role"]) for one in listed] == [("ada@example.org", "owner")]


def test_an_invitation_prints_its_link_and_says_that_no_mail_is_sent(bailiwick: Command) -> None:
    invited = bailiwick("members", "invite", "ada@example.org", "--role", "owner")
    assert invited.code == 0
    assert "sending mail: not configured" in invited.err
    assert "/invitation?token=" in invited.out
    (listed,) = bailiwick("members", "invitations", "--json").document["items"]
    assert (listed["email"], listed["role"], listed["state"]) == ("ada@example.org", "owner", "pending")
    assert bailiwick("members", "uninvite", listed["id"]).code == 0
    assert "revoked" in bailiwick("members", "invitations").out
    assert bailiwick("members", "uninvite", listed["id"]).code == 1
