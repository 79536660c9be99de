"""Agents, schedules, limits, the catalogue, rejected records and organizations over the API."""

import json
from io import BytesIO

import httpx
import pytest

from bailiwick.connectors.intake import RecordSource
from tests.integration.api.conftest import Premises


async def test_agents_are_added_looked_at_and_disabled(acme: httpx.AsyncClient) -> None:
    body = {"kind": "noter", "name": "clerk", "configuration": {"tone": "dry"}, "price": 0.5, "capacity": 2}
    made = await acme.post("/api/v1/agents", json=body)
    assert made.status_code == 201
    agent = made.json()
    assert agent | body == agent
    assert agent["capabilities"] == ["noter.work"]
    again = await acme.post("/api/v1/agents", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert (await acme.post("/api/v1/agents/clerk/disable")).json()["is_enabled"] is False
    assert (await acme.post(f"/api/v1/agents/{agent['id']}/enable")).json()["is_enabled"] is True
    assert (await acme.get("/api/v1/agents/clerk")).json() == agent
    assert (await acme.post("/api/v1/agents", json={"kind": "nobody", "name": "x"})).status_code == 422
    assert (await acme.get("/api/v1/agents/nobody")).status_code == 404


async def test_agents_are_listed_with_what_was_measured(premises: Premises, acme: httpx.AsyncClient) -> None:
    agent = (await acme.post("/api/v1/agents", json={"kind": "noter", "name": "clerk", "price": 0.5})).json()
    await acme.post("/api/v1/tasks", json={"kind": "noter.work", "agent_id": agent["id"]})
    listed = (await acme.get("/api/v1/agents")).json()["items"][0]
    assert (listed["name"], listed["load"], listed["done"], listed["p50_seconds"]) == ("clerk", 1, 0, None)


async def test_schedules_are_put_paused_fired_and_removed(acme: httpx.AsyncClient) -> None:
    body = {"kind": "note.keep", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "payload": {"text": "night"}}
    made = await acme.put("/api/v1/schedules/nightly", json=body)
    assert made.status_code == 200, made.text
    assert (made.json()["name"], made.json()["cron"]) == ("nightly", "30 2 * * *")
    assert made.json()["next_fire_at"] is not None
    assert (await acme.post("/api/v1/schedules/nightly/pause")).json()["is_paused"] is True
    assert (await acme.post("/api/v1/schedules/nightly/resume")).json()["is_paused"] is False
    fired = (await acme.post(f"/api/v1/schedules/{made.json()['id']}/fire")).json()
    assert fired["next_fire_at"] < made.json()["next_fire_at"]
    replaced = await acme.put("/api/v1/schedules/nightly", json={"kind": "note.keep", "interval_seconds": 60})
    assert (replaced.json()["id"], replaced.json()["interval_seconds"]) == (made.json()["id"], 60)
    assert [one["name"] for one in (await acme.get("/api/v1/schedules")).json()["items"]] == ["nightly"]
    assert (await acme.delete("/api/v1/schedules/nightly")).status_code == 204
    assert (await acme.delete("/api/v1/schedules/nightly")).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"cron": None},
        {"interval_seconds": 5},
        {"cron": "61 * * * *"},
        {"cron": "0 0 30 2 *"},
        {"cron": "x"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"overlap": "perhaps"},
        {"jitter_seconds": -1},
        {"kind": "no.such"},
        {"payload": {"number": "many"}},
    ],
)
async def test_a_schedule_that_can_never_run_is_refused(acme: httpx.AsyncClient, change: dict[str, object]) -> None:
    body = {"kind": "note.keep", "cron": "30 2 * * *"} | change
    assert (await acme.put("/api/v1/schedules/nightly", json=body)).status_code == 422
    assert (await acme.get("/api/v1/schedules")).json()["items"] == []


async def test_limits_are_put_paused_and_resumed(acme: httpx.AsyncClient) -> None:
    path = "/api/v1/limits/kind:note.keep"
    put = await acme.put(path, json={"max_concurrency": 2, "rate_per_second": 5, "burst": 10})
    assert (put.json()["max_concurrency"], put.json()["rate_per_second"], put.json()["burst"]) == (2, 5, 10)
    assert (await acme.put(path, json={"max_concurrency": 3})).json()["rate_per_second"] is None
    paused = (await acme.post(f"{path}/pause", json={"reason": "maintenance"})).json()
    assert (paused["is_paused"], paused["reason"]) == (True, "maintenance")
    assert (await acme.post(f"{path}/resume")).json()["is_paused"] is False
    assert (await acme.post("/api/v1/limits/organization/pause")).json()["is_paused"] is True
    listed = (await acme.get("/api/v1/limits")).json()["items"]
    assert [limit["subject"] for limit in listed] == ["kind:note.keep", "organization"]
    assert (await acme.post("/api/v1/limits/kind:none/resume")).status_code == 404
    for subject, body in (("weather", {}), ("organization", {"burst": 2}), ("organization", {"max_concurrency": -1})):
        assert (await acme.put(f"/api/v1/limits/{subject}", json=body)).status_code == 422


async def test_the_catalogue_names_kinds_types_and_extensions(
    acme: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    kinds = {kind["name"]: kind for kind in (await acme.get("/api/v1/kinds")).json()["items"]}
    assert set(kinds["note.keep"]["payload_schema"]["properties"]) == {"text", "number"}
    types = {known["name"]: known for known in (await acme.get("/api/v1/event-types")).json()["items"]}
    assert {"note.written", "issue.opened", "meter.read"} <= set(types)
    loaded = {one["name"]: one["state"] for one in (await admin.get("/api/v1/extensions")).json()["items"]}
    assert loaded["notes"] == "loaded"


async def test_an_organization_is_made_once(premises: Premises, admin: httpx.AsyncClient) -> None:
    made = await admin.post("/api/v1/organizations", json={"name": "Corner Shop"})
    assert (made.status_code, made.json()["slug"]) == (201, "corner-shop")
    assert (await admin.get("/api/v1/organizations/corner-shop")).json() == made.json()
    assert (await admin.post("/api/v1/organizations", json={"name": "Corner Shop"})).status_code == 409
    for body in ({"name": ""}, {"name": "   "}, {"name": "x", "slug": "Not A Slug"}, {}):
        assert (await admin.post("/api/v1/organizations", json=body)).status_code == 422


async def test_a_rejected_record_is_mended_and_read_again(premises: Premises, acme: httpx.AsyncClient) -> None:
    issue = {
        "number": 7, "id": 70, "state": "open", "created_at": "2026-03-01T09:00:00Z", "user": {"login": "maria"},
        "labels": [], "repository": {"full_name": "acme/shop"},
    }  # fmt: skip
    broken = json.dumps([issue]).encode()
    await premises.installation.intake(premises.acme.id).take(RecordSource("github"), BytesIO(broken))
    listed = (await acme.get("/api/v1/rejected")).json()["items"]
    assert len(listed) == 1
    path = f"/api/v1/rejected/{listed[0]['id']}"
    assert json.loads((await acme.get(path)).json()["raw"])["number"] == 7
    still = await acme.post(f"{path}/redrive")
    assert (still.status_code, still.json()["detail"].startswith("still refused")) == (422, True)
    mended = await acme.post(f"{path}/redrive", json={"mended": json.dumps(issue | {"title": "The till is down"})})
    assert mended.json() == {"accepted": 1, "duplicates": 0}
    assert (await acme.post(f"{path}/redrive")).status_code == 409
    assert (await acme.get("/api/v1/rejected")).json()["items"] == []
    assert len((await acme.get("/api/v1/rejected?with_redriven=true")).json()["items"]) == 1
