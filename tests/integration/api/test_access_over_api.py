"""Who sees what: nothing without a key, and of another organization nothing at all."""

import json

import httpx
import pytest

from bailiwick.api import authentication
from bailiwick.api.doorkeeper import is_open
from tests.integration.api.conftest import Premises
from tests.support.api import Operation, operations
from tests.support.api_furnishing import MAKES_BY_NAME, MARK, Names, ask, furnish

# The rival's own log repeats what the rival asked for by name.
TELLS_OF_ATTEMPTS = {"list_audit_entries", "export_audit"}
WEBHOOKS = "/api/v1/webhooks/"
# A session of one's own is ended by these, and nothing could be tried afterwards.
ENDS_ITS_OWN_SESSION = {"log_out", "revoke_sessions", "change_password"}


def guarded(premises: Premises) -> list[Operation]:
    """Every operation that needs a key and ends by itself."""
    return [
        operation
        for operation in operations(premises.app)
        if not is_open(operation.path) and operation.name != "stream_events"
    ]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer bw_wrong", "Basic YTpi", "bw_wrong", "Bearer " + "x" * 9000],
)
async def test_no_operation_answers_without_a_key(premises: Premises, authorization: str | None) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    headers = {} if authorization is None else {"authorization": authorization}
    async with premises.client() as client:
        client.headers.update(headers)
        # A delivery without its signature is refused likewise.
        found = [one for one in operations(premises.app) if not is_open(one.path) or one.path.startswith(WEBHOOKS)]
        assert len(found) > 40
        for operation in found:
            answer = await ask(client, operation, names)
            assert answer.status_code == 401, operation.name
            assert answer.headers["content-type"] == "application/problem+json"
            assert MARK not in answer.text
        for path in ("/", "/api/v1/nothing", "/api/v1/openapi.json", "/docs", "/metrics"):
            assert (await client.get(path)).status_code == 401


async def test_another_organizations_key_sees_nothing(premises: Premises) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    before = await everything(premises)
    async with premises.client(premises.rival_key) as rival:
        await see_nothing(premises, rival, names)
    assert await everything(premises) == before


async def test_another_organizations_user_sees_nothing(premises: Premises) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    user = await premises.user("rival-owner", rival="owner")
    before = await everything(premises)
    pair = await premises.log_in(user)
    async with premises.client(pair.access) as rival:
        await see_nothing(premises, rival, names)
    assert await everything(premises) == before


async def test_another_organizations_browser_sees_nothing(premises: Premises) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    user = await premises.user("rival-owner", rival="owner")
    before = await everything(premises)
    async with await premises.log_in_browser(user) as rival:
        await see_nothing(premises, rival, names)
    assert await everything(premises) == before


async def see_nothing(premises: Premises, rival: httpx.AsyncClient, names: Names) -> None:
    """Try every operation on what is Acme's; nothing of it may show."""
    for operation in guarded(premises):
        if operation.name in ENDS_ITS_OWN_SESSION:
            continue
        if operation.name not in MAKES_BY_NAME:
            own = await ask(rival, operation, names)
            assert own.status_code < 500, operation.name
            # A refusal repeats what was asked for, so only answers are looked through.
            told = premises.acme.id if operation.name in TELLS_OF_ATTEMPTS else MARK
            assert own.status_code >= 400 or told not in own.text, operation.name
            if ":" in operation.described["x-permission"] and "{" in operation.path and names.are_all_there(operation):
                # One word may name different things; where it cannot, the request itself is refused.
                assert own.status_code in (404, 422), operation.name
        if operation.has_parameter("organization"):
            for reference in ("acme", premises.acme.id):
                asked = await ask(rival, operation, names, f"?organization={reference}")
                if operation.described["x-permission"] == "installation":
                    assert asked.status_code in (403, 404), operation.name
                    continue
                assert asked.status_code == 404, operation.name
                assert asked.json()["detail"] == f"no organization {reference!r}"


async def everything(premises: Premises) -> str:
    """All that Acme has, as text."""
    paths = (
        "tasks", "events", "agents", "schedules", "limits", "rejected?with_redriven=true", "members", "invitations",
        "keys", "service-accounts",
    )  # fmt: skip
    async with premises.client(premises.acme_key) as client:
        return json.dumps([(await client.get(f"/api/v1/{path}")).json() for path in paths])


async def test_what_is_for_administrators_is_refused_to_others(premises: Premises, admin: httpx.AsyncClient) -> None:
    async with premises.client(premises.acme_key) as client:
        for answer in (
            await client.get("/metrics"),
            await client.post("/api/v1/organizations", json={"name": "Mine"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        listed = (await client.get("/api/v1/organizations")).json()["items"]
        assert [organization["slug"] for organization in listed] == ["acme"]
        assert (await client.get("/api/v1/organizations/rival")).status_code == 404
    assert {one["slug"] for one in (await admin.get("/api/v1/organizations")).json()["items"]} == {
        "home", "acme", "rival",
    }  # fmt: skip


async def test_an_administrator_chooses_the_organization(premises: Premises, admin: httpx.AsyncClient) -> None:
    made = await admin.post("/api/v1/tasks?organization=acme", json={"kind": "note.keep"})
    assert made.status_code == 201
    assert (await admin.get("/api/v1/tasks")).json()["items"] == []
    for reference in ("acme", premises.acme.id):
        assert len((await admin.get(f"/api/v1/tasks?organization={reference}")).json()["items"]) == 1
    assert (await admin.get("/api/v1/tasks?organization=nobody")).status_code == 404


async def test_a_revoked_key_stops_working(premises: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(authentication.time, "monotonic", lambda: now)
    async with premises.client(premises.acme_key) as client:
        assert (await client.get("/api/v1/tasks")).status_code == 200
        await premises.installation.keys.revoke("acme")
        now += authentication.MEMORY_SECONDS
        assert (await client.get("/api/v1/tasks")).status_code == 401


async def test_unknown_addresses_and_methods_get_problem_documents(admin: httpx.AsyncClient) -> None:
    missing = await admin.get("/api/v1/nothing")
    assert (missing.status_code, missing.json()["status"]) == (404, 404)
    wrong = await admin.put("/api/v1/tasks")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "allow" in wrong.headers
    for answer in (missing, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
