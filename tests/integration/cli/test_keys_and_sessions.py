"""Keys, service accounts and sessions on the command line."""

import asyncio
import base64
import secrets

import pytest
from pydantic import SecretStr

from bailiwick.audit import SYSTEM
from bailiwick.identity import Caller
from bailiwick.identity.people.permissions import GRANTS
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import UnauthorizedError
from tests.integration.cli.conftest import Command


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", base64.b64encode(secrets.token_bytes(32)).decode())


def caller_of(url: str, key: str) -> Caller:
    async def ask() -> Caller:
        async with Installation.open(Settings(database_url=SecretStr(url))) as installation:
            return await installation.keys.authenticate(key)

    return asyncio.run(ask())


def log_in(url: str, email: str) -> str:
    async def begin() -> str:
        async with Installation.open(Settings(database_url=SecretStr(url))) as installation:
            found = await installation.accounts.find_by_email(email)
            user = found or await installation.accounts.create(email, "Maria", actor=SYSTEM)
            pair = await installation.sessions.begin(user.id, methods=["pwd"], address="203.0.113.7", user_agent="cli")
            return pair.session_id

    return asyncio.run(begin())


def test_a_key_with_scopes_and_an_end_can_be_made_listed_and_revoked(bailiwick: Command, login_url: str) -> None:
    made = bailiwick(
        "keys", "create", "ci", "--org", "home", "--role", "operator", "--scope", "tasks:read", "--scope",
        "tasks:write", "--expires", "90d", "--json",
    ).document  # fmt: skip
    caller = caller_of(login_url, made["key"])
    assert list(caller.grants.values()) == [{"tasks:read", "tasks:write"}]
    [listed] = bailiwick("keys", "list", "--org", "home", "--json").document["items"]
    assert (listed["id"], listed["role"], listed["scopes"]) == (made["id"], "operator", ["tasks:read", "tasks:write"])
    assert listed["expires_at"] is not None
    assert made["key"] not in bailiwick("keys", "list").out
    assert bailiwick("keys", "revoke", made["id"], "--json").document == {"revoked": made["id"], "count": 1}
    with pytest.raises(UnauthorizedError):
        caller_of(login_url, made["key"])


def test_a_name_in_two_organizations_is_not_revoked_in_both(bailiwick: Command, login_url: str) -> None:
    bailiwick("orgs", "create", "Acme")
    keys = [bailiwick("keys", "create", "ci", "--org", org, "--json").document["key"] for org in ("home", "acme")]
    refused = bailiwick("keys", "revoke", "ci")
    assert refused.code != 0
    told = " ".join(refused.err.split())
    assert "acme, home" in told
    assert "--org" in told
    assert all(caller_of(login_url, key) for key in keys)
    assert bailiwick("keys", "revoke", "ci", "--org", "acme").code == 0
    assert caller_of(login_url, keys[0])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--role", "king"), "no role 'king'"),
        (("--scope", "tasks:juggle"), "no permission tasks:juggle"),
        (("--expires", "soon"), "is no moment"),
        (("--expires", "2020-01-01"), "expired already"),
        (("--service-account", "nobody"), "no enabled service account 'nobody'"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_the_reason(
    bailiwick: Command, options: tuple[str, ...], why: str
) -> None:
    refused = bailiwick("keys", "create", "ci", "--org", "home", *options)
    assert refused.code != 0
    assert why in refused.err.replace("\n", " ")


def test_a_service_account_is_made_changed_and_removed(bailiwick: Command, login_url: str) -> None:
    made = bailiwick("service-accounts", "create", "importer", "--role", "operator", "--json").document
    key = bailiwick(
        "keys", "create", "importer key", "--org", "home", "--service-account", "importer", "--json"
    ).document["key"]
    assert caller_of(login_url, key).id == made["id"]
    assert bailiwick("service-accounts", "set-role", "importer", "--role", "viewer").code == 0
    assert list(caller_of(login_url, key).grants.values()) == [GRANTS["viewer"]]
    assert bailiwick("service-accounts", "disable", "importer", "--json").document["is_disabled"]
    with pytest.raises(UnauthorizedError):
        caller_of(login_url, key)
    assert not bailiwick("service-accounts", "enable", "importer", "--json").document["is_disabled"]
    assert len(bailiwick("service-accounts", "list", "--json").document["items"]) == 1
    assert bailiwick("service-accounts", "remove", "importer", "--yes").code == 0
    assert bailiwick("service-accounts", "list", "--json").document["items"] == []


def test_sessions_are_listed_and_ended(bailiwick: Command, login_url: str) -> None:
    first, second, other = (log_in(login_url, email) for email in ("m@example.org", "m@example.org", "o@example.org"))
    listed = bailiwick("sessions", "list", "--json").document["items"]
    assert [one["id"] for one in listed] == [other, second, first]
    assert bailiwick("sessions", "revoke", first).code == 0
    assert bailiwick("sessions", "revoke", first).code != 0
    assert bailiwick("sessions", "revoke", "--user", "m@example.org", "--json").document == {"revoked": 1}
    assert [one["id"] for one in bailiwick("sessions", "list", "--json").document["items"]] == [other]
    assert bailiwick("sessions", "revoke").code != 0
    assert bailiwick("sessions", "revoke-token", first).code == 0
    assert bailiwick("sessions", "revoke-token", "nonsense").code != 0


def test_the_signing_key_is_rotated(bailiwick: Command) -> None:
    kids = [bailiwick("keys", "rotate-signing", "--json").document["kid"] for _ in range(2)]
    listed = bailiwick("keys", "signing", "--json").document["items"]
    assert [(one["kid"], one["retired_at"] is None) for one in listed] == [(kids[1], True), (kids[0], False)]
