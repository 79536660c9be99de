"""GitHub deliveries: believed by their signature alone, recorded once."""

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import Premises

SECRET = "a webhook secret"
VARIABLE = "ACME_WEBHOOK_SECRET"


def delivery(**changes: Any) -> bytes:
    issue = {
        "number": 4, "id": 44, "title": "Cannot log in", "body": None, "state": "open", "labels": [],
        "created_at": "2026-03-01T09:00:00Z", "updated_at": "2026-03-01T10:00:00Z", "closed_at": None,
        "user": {"login": "maria"},
    } | changes  # fmt: skip
    return json.dumps({"action": "opened", "issue": issue, "repository": {"full_name": "acme/shop"}}).encode()


def signed(body: bytes, *, secret: str = SECRET, number: int = 1, event: str = "issues") -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "x-github-event": event,
        "x-github-delivery": f"72d3162e-cc78-11e3-81ab-4c9367dc{number:04x}",
        "x-hub-signature-256": f"sha256={signature}",
        "content-type": "application/json",
    }


@pytest.fixture
async def path(premises: Premises, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where Acme's connection receives."""
    monkeypatch.setenv(VARIABLE, SECRET)
    connection = await premises.installation.connections.add(
        premises.acme.id, "github", "acme/shop", {"secret_variable": VARIABLE}
    )
    return f"/api/v1/webhooks/github/{connection.id}"


@pytest.fixture
async def github(premises: Premises) -> httpx.AsyncClient:
    """A client without a key."""
    return premises.client()


async def events_of(premises: Premises) -> list[str]:
    page = await premises.installation.event_reader.list(premises.acme.id)
    return [f"{event.type} {event.key}" for event in page.items if event.type.startswith("issue.opened")]


async def test_a_signed_delivery_is_recorded_once(premises: Premises, path: str, github: httpx.AsyncClient) -> None:
    body = delivery()
    answers = [await github.post(path, content=body, headers=signed(body, number=number)) for number in (1, 1, 2)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["recorded"] for answer in answers] == [1, 0, 0]
    assert await events_of(premises) == ["issue.opened acme/shop#4"]


@pytest.mark.parametrize("secret", ["another secret", ""])
async def test_a_bad_signature_is_refused(
    premises: Premises, path: str, github: httpx.AsyncClient, secret: str
) -> None:
    body = delivery()
    for headers in (signed(body, secret=secret), {}, signed(body) | {"x-hub-signature-256": "sha256="}):
        answer = await github.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert await events_of(premises) == []


async def test_an_unknown_connection_looks_like_a_bad_signature(path: str, github: httpx.AsyncClient) -> None:
    body = delivery()
    bad = await github.post(path, content=body, headers=signed(body, secret="x"))
    for other in ("7", "0199b6ff-b66f-7000-8000-000000000001"):
        unknown = await github.post(f"/api/v1/webhooks/github/{other}", content=body, headers=signed(body))
        assert (unknown.status_code, unknown.json()) == (401, bad.json())


async def test_without_a_secret_in_the_environment_nothing_is_believed(
    path: str, github: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    body = delivery()
    for secret in (SECRET, ""):
        assert (await github.post(path, content=body, headers=signed(body, secret=secret))).status_code == 401


async def test_two_secrets_hold_while_one_is_replaced(
    path: str, github: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"{SECRET}\nthe next one")
    for number, secret in enumerate((SECRET, "the next one")):
        body = delivery()
        answer = await github.post(path, content=body, headers=signed(body, secret=secret, number=number))
        assert answer.status_code == 200


async def test_what_tells_nothing_about_an_issue_is_acknowledged(path: str, github: httpx.AsyncClient) -> None:
    body = b'{"zen": "Keep it logically awesome."}'
    answer = await github.post(path, content=body, headers=signed(body, event="ping"))
    assert (answer.status_code, answer.json()) == (200, {"recorded": 0, "duplicates": 0})


async def test_an_unreadable_issue_is_kept_in_the_rejected_list(
    premises: Premises, path: str, github: httpx.AsyncClient
) -> None:
    body = delivery(title=None)
    assert (await github.post(path, content=body, headers=signed(body))).status_code == 422
    kept = (await premises.installation.rejections.list(premises.acme.id)).items
    assert [json.loads(record.raw)["number"] for record in kept] == [4]


async def test_another_repositorys_delivery_is_refused(
    premises: Premises, path: str, github: httpx.AsyncClient
) -> None:
    document = json.loads(delivery())
    document["repository"]["full_name"] = "acme/other"
    body = json.dumps(document).encode()
    assert (await github.post(path, content=body, headers=signed(body))).status_code == 422
    assert await events_of(premises) == []


async def test_a_paused_connection_takes_nothing(premises: Premises, path: str, github: httpx.AsyncClient) -> None:
    await premises.installation.connections.set_state(premises.acme.id, "acme/shop", "paused")
    body = delivery()
    assert (await github.post(path, content=body, headers=signed(body))).status_code == 409
