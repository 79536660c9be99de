"""``bailiwick approvals``: everything is shown before an answer, and the administrator answers as such."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bailiwick.audit import SYSTEM
from bailiwick.authority.approvals import ApprovalRecord
from bailiwick.installation import HOME, Installation, Settings
from bailiwick.installation import installation as wiring
from tests.integration.cli.conftest import Command
from tests.support.acting import FolderTool
from tests.support.approvals import ask

SNEAKY = "fine\x1b[2J\u202egnp.exe\u200b\nstate approved"


@pytest.fixture(autouse=True)
def _tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every installation of these tests knows the tool."""
    made = wiring.Registry

    def furnished() -> wiring.Registry:
        registry = made()
        registry.tools.register(FolderTool(tmp_path))
        return registry

    monkeypatch.setattr(wiring, "Registry", furnished)


def waiting(url: str, *, member: str | None = None, **fields: Any) -> ApprovalRecord:
    """An approval that waits in the home organization."""

    async def make() -> ApprovalRecord:
        async with Installation.open(Settings(database_url=SecretStr(url))) as platform:
            home = await platform.ensure_organization(HOME)
            if member is not None:
                user = await platform.accounts.create(f"{member}@example.org", member, actor=SYSTEM)
                await platform.memberships.add(home.id, user.id, "owner", actor=SYSTEM)
            return await ask(platform, home.id, **fields)

    return asyncio.run(make())


def test_all_is_shown_and_outsiders_text_does_nothing(bailiwick: Command, login_url: str) -> None:
    fields: dict[str, Any] = {"reason": SNEAKY, "labels": frozenset({"untrusted:github"}), "free_text": ("text",)}
    made = waiting(login_url, arguments={"name": "greetings", "text": SNEAKY}, **fields)
    shown = bailiwick("approvals", "show", made.id)
    assert shown.code == 0
    for expected in (
        "folder.append", "file:greetings", "0.5", "people look at greetings", "a line takes it back within a day",
        "untrusted:github", "if nobody answers, it is not done", made.digest, "Read it as data",
    ):  # fmt: skip
        assert expected in shown.out, expected
    assert not {"\x1b", "\u202e", "\u200b"} & set(shown.out)
    assert "\\u{1b}[2J" in shown.out
    assert "\nstate approved" not in shown.out
    [listed] = bailiwick("approvals", "list", "--state", "waiting", "--json").document["items"]
    assert listed["id"] == made.id


def test_the_answer_at_the_machine_is_the_administrators_and_says_so(bailiwick: Command, login_url: str) -> None:
    made = waiting(login_url)
    stale = bailiwick("approvals", "approve", made.id, "--digest", "0" * 64)
    assert stale.code != 0
    assert "look again" in stale.err
    ran = bailiwick("approvals", "approve", made.id, "--digest", made.digest, "--reason", "fine", "--json")
    assert ran.document["state"] == "approved"
    assert "as the installation's administrator" in ran.err
    shown = bailiwick("approvals", "show", made.id, "--json").document
    assert (shown["answers"][0]["voice"], shown["answers"][0]["via"]) == ("administrator", "cli")
    verified = bailiwick("approvals", "verify", made.id, "--json")
    assert (verified.code, verified.document["digest_fits"]) == (0, True)
    acts = bailiwick("audit", "list", "--org", "home", "--json").document["items"]
    assert next(one["action"] for one in acts if one["target"] == f"approval:{made.id}") == "approval.answered"


def test_what_was_asked_for_at_the_machine_is_not_said_to_be_answered_there(bailiwick: Command, login_url: str) -> None:
    made = waiting(login_url, labels=frozenset({"by:system:account:ada"}))
    shown = bailiwick("approvals", "show", made.id)
    assert "nobody may answer: it was asked for at the machine" in shown.err
    assert "answer with" not in shown.err
    assert bailiwick("approvals", "approve", made.id, "--digest", made.digest).code == 1


def test_a_no_and_an_edit(bailiwick: Command, login_url: str) -> None:
    made, other = waiting(login_url), waiting(login_url)
    assert bailiwick("approvals", "reject", made.id, "--digest", made.digest, "--json").document["state"] == "rejected"
    bad = bailiwick("approvals", "edit", other.id, "--digest", other.digest, "--arguments", '{"name": 1}')
    assert bad.code != 0
    assert "folder.append" in bad.err
    good = '{"name": "greetings", "text": "bye"}'
    ran = bailiwick("approvals", "edit", other.id, "--digest", other.digest, "--arguments", good, "--json")
    assert ran.document["state"] == "edited"


def test_a_rule_is_made_listed_and_revoked(bailiwick: Command, login_url: str) -> None:
    made = waiting(login_url)
    early = bailiwick("approvals", "remember", made.id)
    assert "answer the approval first" in early.err
    bailiwick("approvals", "approve", made.id, "--digest", made.digest)
    ran = bailiwick(
        "approvals", "remember", made.id, "--name", "greet", "--max-price", "2", "--until", "30d", "--json",
        "--bounds", '{"text": {"max_length": 20}}',
    )  # fmt: skip
    assert (ran.document["name"], ran.document["max_price"]) == ("greet", "2")
    assert [one["name"] for one in bailiwick("approvals", "rules", "--json").document["items"]] == ["greet"]
    assert bailiwick("approvals", "rules").code == 0
    assert bailiwick("approvals", "revoke", "greet", "--json").document["revoked_at"] is not None
    assert "no remembered rule" in bailiwick("approvals", "revoke", "greet").err


def test_delegations_and_links_are_made_and_ended(bailiwick: Command, login_url: str) -> None:
    made = waiting(login_url, member="olga")
    assert bailiwick("users", "create", "hal@example.org", "--name", "Hal").code == 0
    assert bailiwick("members", "add", "hal@example.org", "--role", "operator", "--org", "home").code == 0
    people = ("--from", "olga@example.org", "--to", "hal@example.org")
    endless = bailiwick("approvals", "delegate", *people)
    assert "until when" in endless.err
    given = bailiwick("approvals", "delegate", *people, "--until", "7d", "--tool", "folder.append", "--json").document
    assert bailiwick("approvals", "delegations").code == 0
    assert bailiwick("approvals", "undelegate", given["id"]).code == 0
    [listed] = bailiwick("approvals", "delegations", "--json").document["items"]
    assert listed["revoked_at"] is not None
    link = bailiwick("approvals", "link", made.id, "--for", "olga@example.org", "--json").document
    assert len(link["token"]) > 40
