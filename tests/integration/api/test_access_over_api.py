"""Who sees what: nothing without a key, and of another organization nothing at all."""

import json
from typing import Any

import httpx
import pytest

from bailiwick.api import authentication
from bailiwick.api.doorkeeper import OPEN_PREFIXES, is_open
from bailiwick.events import NewEvent
from bailiwick.events.rejections import NewRejection
from bailiwick.tasks import NewTask
from bailiwick.tasks.schedules import NewSchedule
from tests.integration.api.conftest import Premises
from tests.support.api import Operation, operations

MARK = "belongs-to-acme"
# Every body is valid, so that only the key can be what an answer depends on.
BODIES: dict[str, Any] = {
    "create_organization": {"name": "Intruder"},
    "publish_events": {"events": [{"type": "note.written", "payload": {}}]},
    "submit_task": {"kind": "note.keep"},
    "fork_task": {"from_step": 0},
    "create_agent": {"kind": "noter", "name": "intruder"},
    "put_schedule": {"kind": "note.keep", "interval_seconds": 3600},
    "put_limit": {"max_concurrency": 0},
}
# These make something of the caller's own under a name that is free for everybody.
MAKES_BY_NAME = {"put_schedule", "put_limit", "pause_subject"}


async def furnish(premises: Premises) -> dict[str, str]:
    """Give Acme one of everything; return what stands for each path parameter."""
    installation, acme = premises.installation, premises.acme.id
    agent = await installation.directory.create(acme, "noter", MARK, configuration={"mark": MARK})
    task = await installation.queue.enqueue(acme, NewTask("note.keep", {"text": MARK}, agent_id=agent.id))
    event = (await installation.events.publish(acme, [NewEvent("note.written", {"text": MARK})]))[0]
    await installation.schedules.put(acme, NewSchedule(MARK, "note.keep", {"text": MARK}, interval_seconds=3600.0))
    await installation.limits.set(acme, f"kind:{MARK}", max_concurrency=1)
    await installation.rejections.keep(acme, [NewRejection("github", 1, MARK, MARK)])
    rejected = (await installation.rejections.list(acme)).items[0]
    connection = await installation.connections.add(acme, "github", f"acme/{MARK}", {})
    return {
        "organization_ref": "acme",
        "task_id": task.task_id,
        "event_id": event.event_id,
        "agent": agent.id,
        "schedule": MARK,
        "subject": f"kind:{MARK}",
        "rejected_id": rejected.id,
        "connection_id": connection.id,
        "issue": f"acme/{MARK}%237",
    }


def addressed(operation: Operation, names: dict[str, str]) -> str:
    return operation.path.format_map(names)


def body_of(operation: Operation, names: dict[str, str]) -> Any:
    if operation.name == "act_on_tasks":
        return {"action": "cancel", "task_ids": [names["task_id"]]}
    return BODIES.get(operation.name)


async def ask(
    client: httpx.AsyncClient, operation: Operation, names: dict[str, str], query: str = ""
) -> httpx.Response:
    path = addressed(operation, names) + query
    return await client.request(operation.method.upper(), path, json=body_of(operation, names))


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
    names = await furnish(premises)
    headers = {} if authorization is None else {"authorization": authorization}
    async with premises.client() as client:
        client.headers.update(headers)
        # A delivery without its signature is refused likewise.
        found = [one for one in operations(premises.app) if not is_open(one.path) or one.path.startswith(OPEN_PREFIXES)]
        assert len(found) > 40
        for operation in found:
            answer = await ask(client, operation, names)
            assert answer.status_code == 401, operation.name
            assert answer.headers["content-type"] == "application/problem+json"
            assert MARK not in answer.text
        for path in ("/", "/api/v1/nothing", "/api/v1/openapi.json", "/docs", "/metrics"):
            assert (await client.get(path)).status_code == 401


async def test_another_organizations_key_sees_nothing(premises: Premises) -> None:
    names = await furnish(premises)
    before = await everything(premises)
    async with premises.client(premises.rival_key) as rival:
        for operation in guarded(premises):
            if operation.name not in MAKES_BY_NAME:
                own = await ask(rival, operation, names)
                # A refusal repeats what was asked for, so only answers are looked through.
                assert own.status_code == 404 or MARK not in own.text, operation.name
                assert own.status_code == 404 or "{" not in operation.path, operation.name
            if operation.has_parameter("organization"):
                for reference in ("acme", premises.acme.id):
                    asked = await ask(rival, operation, names, f"?organization={reference}")
                    assert asked.status_code == 404, operation.name
                    assert asked.json()["detail"] == f"no organization {reference!r}"
    assert await everything(premises) == before


async def everything(premises: Premises) -> str:
    """All that Acme has, as text."""
    paths = ("tasks", "events", "agents", "schedules", "limits", "rejected?with_redriven=true")
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
