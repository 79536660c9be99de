"""Tokens at the door: what is bad is refused with the reason, what was revoked ends within a second."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from bailiwick.api import authentication
from bailiwick.audit import SYSTEM
from bailiwick.identity import TokenPair
from tests.integration.api.conftest import Premises

TASKS = "/api/v1/tasks"
REFRESH = "/api/v1/token/refresh"


@pytest.fixture
async def pair(premises: Premises) -> TokenPair:
    """The tokens of an operator of Acme."""
    return await premises.log_in(await premises.user("maria", acme="operator"))


async def asked(premises: Premises, token: str) -> httpx.Response:
    async with premises.client(token) as client:
        return await client.get(TASKS)


def check_refused(answer: httpx.Response, code: str) -> None:
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    document = answer.json()
    assert document["code"] == code
    assert document["detail"]


def tampered(token: str, part: int, **changes: Any) -> str:
    parts = token.split(".")
    document = json.loads(urlsafe_b64decode(parts[part] + "=="))
    parts[part] = urlsafe_b64encode(json.dumps({**document, **changes}).encode()).rstrip(b"=").decode()
    return ".".join(parts)


async def test_an_access_token_opens_the_door(premises: Premises, pair: TokenPair) -> None:
    assert (await asked(premises, pair.access)).status_code == 200


@pytest.mark.parametrize(
    "changes", [{"alg": "none"}, {"alg": "HS256"}, {"kid": "other"}, {"typ": "JWT"}, {"jku": "https://evil.example"},
                {"crit": ["exp"]}, {"jwk": {"kty": "oct", "k": "AAAA"}}],
)  # fmt: skip
async def test_a_changed_header_is_refused(premises: Premises, pair: TokenPair, changes: dict[str, Any]) -> None:
    check_refused(await asked(premises, tampered(pair.access, 0, **changes)), "token.refused")


@pytest.mark.parametrize("changes", [{"sub": SYSTEM.id}, {"exp": 4_000_000_000}, {"aud": "x"}, {"amr": ["hwk"]}])
async def test_a_changed_claim_is_refused(premises: Premises, pair: TokenPair, changes: dict[str, Any]) -> None:
    check_refused(await asked(premises, tampered(pair.access, 1, **changes)), "token.refused")


async def test_a_token_of_another_installation_is_refused(premises: Premises, pair: TokenPair) -> None:
    header, claims = (json.loads(urlsafe_b64decode(part + "==")) for part in pair.access.split(".")[:2])
    foreign = jwt.encode(header, claims, OKPKey.generate_key("Ed25519"), algorithms=["Ed25519"])
    check_refused(await asked(premises, foreign), "token.refused")


async def test_an_expired_token_says_that_it_expired(premises: Premises, pair: TokenPair) -> None:
    then = datetime.now(UTC) - timedelta(minutes=31)
    user = (await premises.installation.sessions.list()).items[0].user_id
    old = await premises.installation.signing.sign(user, pair.session_id, ["pwd"], now=then)
    check_refused(await asked(premises, old.text), "token.expired")


async def test_a_token_for_another_user_than_its_sessions_is_refused(premises: Premises, pair: TokenPair) -> None:
    other = await premises.user("olaf", acme="owner")
    odd = await premises.installation.signing.sign(other.id, pair.session_id, ["pwd"])
    check_refused(await asked(premises, odd.text), "token.refused")


async def test_a_refresh_token_is_no_access_token(premises: Premises, pair: TokenPair) -> None:
    check_refused(await asked(premises, pair.refresh), "token.refused")


async def test_tokens_are_renewed_and_replays_end_the_session_with_an_event(
    premises: Premises, pair: TokenPair
) -> None:
    async with premises.client() as client:
        second = (await client.post(REFRESH, json={"refresh": pair.refresh})).json()
        assert (await asked(premises, second["access"])).status_code == 200
        third = (await client.post(REFRESH, json={"refresh": second["refresh"]})).json()
        replayed = await client.post(REFRESH, json={"refresh": pair.refresh}, headers={"user-agent": "thief"})
        check_refused(replayed, "token.refused")
        check_refused(await client.post(REFRESH, json={"refresh": third["refresh"]}), "token.refused")
    page = await premises.installation.event_reader.list(premises.acme.id, type_name="session.replayed")
    assert [event.payload["session_id"] for event in page.items] == [pair.session_id]


@pytest.mark.parametrize("body", [{}, {"refresh": ""}, {"refresh": "bwr_x", "more": 1}, {"refresh": "é" * 100}, []])
async def test_a_bad_refresh_request_is_refused(premises: Premises, body: Any) -> None:
    async with premises.client() as client:
        assert (await client.post(REFRESH, json=body)).status_code in (401, 422)


async def test_what_was_revoked_elsewhere_ends_within_a_second(
    premises: Premises, pair: TokenPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(authentication.time, "monotonic", lambda: now)
    assert (await asked(premises, pair.access)).status_code == 200
    await premises.installation.sessions.revoke(pair.session_id, actor=SYSTEM)
    assert (await asked(premises, pair.access)).status_code == 200
    now += authentication.MEMORY_SECONDS
    check_refused(await asked(premises, pair.access), "token.refused")


async def test_logging_out_ends_the_session_at_once(premises: Premises, pair: TokenPair) -> None:
    async with premises.client(pair.access) as client:
        assert (await client.get(TASKS)).status_code == 200
        assert (await client.post("/api/v1/logout")).status_code == 204
        check_refused(await client.get(TASKS), "token.refused")
        check_refused(await client.post(REFRESH, json={"refresh": pair.refresh}), "token.refused")
    async with premises.client(premises.acme_key) as client:
        assert (await client.post("/api/v1/logout")).status_code == 409


async def test_an_access_token_can_be_revoked_by_its_id(premises: Premises, pair: TokenPair) -> None:
    token_id = json.loads(urlsafe_b64decode(pair.access.split(".")[1] + "=="))["jti"]
    other = await premises.log_in(await premises.user("olaf", acme="operator"))
    async with premises.client(other.access) as client:
        assert (await client.post("/api/v1/token/revoke", json={"token_id": token_id})).status_code == 403
    async with premises.client(premises.admin_key) as client:
        assert (await client.post("/api/v1/token/revoke", json={"token_id": token_id})).status_code == 204
    check_refused(await asked(premises, pair.access), "token.refused")


async def test_people_see_and_end_their_own_sessions_only(premises: Premises, pair: TokenPair) -> None:
    olaf = await premises.log_in(await premises.user("olaf", acme="operator"))
    async with premises.client(pair.access) as client:
        listed = (await client.get("/api/v1/sessions")).json()["items"]
        assert [(one["id"], one["is_current"]) for one in listed] == [(pair.session_id, True)]
        assert (await client.delete(f"/api/v1/sessions/{olaf.session_id}")).status_code == 404
        assert (await client.get("/api/v1/sessions?user=olaf@example.org")).status_code == 403
        assert (await client.delete("/api/v1/sessions?user=olaf@example.org")).status_code == 403
        assert (await client.delete("/api/v1/sessions?keep_current=true")).json() == {"count": 0}
        assert (await client.delete("/api/v1/sessions")).json() == {"count": 1}
        assert (await client.get("/api/v1/sessions")).status_code == 401
    assert (await asked(premises, olaf.access)).status_code == 200
    async with premises.client(premises.admin_key) as client:
        assert (await client.get("/api/v1/sessions")).status_code == 422
        assert len((await client.get("/api/v1/sessions?user=olaf@example.org")).json()["items"]) == 1
        assert (await client.get("/api/v1/sessions?user=nobody@example.org")).status_code == 404
        assert (await client.delete(f"/api/v1/sessions/{olaf.session_id}")).status_code == 204
    assert (await asked(premises, olaf.access)).status_code == 401


async def test_anybody_can_verify_a_token_with_the_published_keys(premises: Premises, pair: TokenPair) -> None:
    await premises.installation.signing.rotate(actor=SYSTEM)
    async with premises.client() as client:
        published = (await client.get("/.well-known/jwks.json")).json()
    assert len(published["keys"]) == 2
    assert all("d" not in key for key in published["keys"])
    claims = jwt.decode(pair.access, KeySet.import_key_set(published), algorithms=["Ed25519"]).claims
    assert claims["sid"] == pair.session_id
    assert (await asked(premises, pair.access)).status_code == 200


async def test_a_role_changes_what_a_token_opens_within_a_second(
    premises: Premises, pair: TokenPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(authentication.time, "monotonic", lambda: now)
    user = (await premises.installation.sessions.list()).items[0].user_id
    async with premises.client(pair.access) as client:
        assert (await client.post(TASKS, json={"kind": "note.keep"})).status_code == 201
        await premises.installation.memberships.change_role(
            premises.acme.id, user, "viewer", actor=SYSTEM, rank="owner"
        )
        now += authentication.MEMORY_SECONDS
        assert (await client.post(TASKS, json={"kind": "note.keep"})).status_code == 403
