"""The permission table holds at every operation, for every role, and for keys with scopes."""

from typing import Any

import httpx
import psycopg
import pytest

from bailiwick.api.doorkeeper import is_open
from bailiwick.audit import SYSTEM
from bailiwick.identity.people.permissions import GRANTS, ROLES, Role, read_persons
from bailiwick.tasks import NewTask
from bailiwick.tasks.schedules import NewSchedule
from tests.integration.api.conftest import Premises
from tests.support.api import Operation, operations
from tests.support.api_furnishing import ask, furnish

PERSONS = read_persons()

# A stream does not end.
ENDLESS = {"stream_events"}


def guarded(premises: Premises) -> list[Operation]:
    return [one for one in operations(premises.app) if not is_open(one.path) and one.name not in ENDLESS]


def needed(operation: Operation) -> str:
    return operation.described["x-permission"]


def is_refused(answer: httpx.Response, permission: str) -> bool:
    """Whether an answer is the refusal of exactly this permission."""
    if answer.status_code != 403:
        return False
    document: dict[str, Any] = answer.json()
    assert document["code"] == "forbidden"
    return f"the permission {permission} " in document["detail"]


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_exactly_what_the_table_says(premises: Premises, role: Role) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    user = await premises.user(role, acme=role)
    pair = await premises.log_in(user)
    async with premises.client(pair.access) as client:
        tried = 0
        for operation in guarded(premises):
            permission = needed(operation)
            if permission == "self":
                continue
            answer = await ask(client, operation, names)
            assert answer.status_code < 500, operation.name
            tried += 1
            if permission == "installation":
                assert answer.status_code == 403, operation.name
            elif permission in GRANTS[role]:
                # 404, 409 and 422 come from what was asked for; a rank may refuse, too: admins change no owners.
                assert answer.status_code != 401, operation.name
                assert not is_refused(answer, permission), (operation.name, answer.text)
                if operation.name.startswith("list_"):
                    assert answer.status_code == 200, operation.name
            else:
                assert is_refused(answer, permission), (operation.name, answer.status_code, answer.text)
        assert tried > 70


async def test_an_administrator_may_everything_everywhere(premises: Premises) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    user = await premises.user("root")
    await premises.installation.accounts.set_admin(user.id, True, actor=SYSTEM)
    pair = await premises.log_in(user)
    for credential in (pair.access, premises.admin_key):
        async with premises.client(credential) as client:
            for operation in guarded(premises):
                if needed(operation) != "self":
                    query = "?organization=acme" if operation.has_parameter("organization") else ""
                    answer = await ask(client, operation, names, query)
                    # The administrator's key is nobody's: it may everything but speak for a person.
                    is_mute = credential == premises.admin_key and operation.name in PERSONS
                    assert answer.status_code not in ((401,) if is_mute else (401, 403)), (operation.name, answer.text)
                    assert answer.status_code < 500, operation.name


async def test_a_keys_scopes_bound_it_at_every_operation(premises: Premises) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    scopes = ["tasks:read", "events:write", "keys:read"]
    issued = await premises.installation.keys.make("bounded", organization_id=premises.acme.id, scopes=scopes)
    async with premises.client(issued.key) as client:
        for operation in guarded(premises):
            permission = needed(operation)
            if ":" in permission:
                answer = await ask(client, operation, names)
                assert is_refused(answer, permission) == (permission not in scopes), operation.name


async def test_cancelling_many_tasks_needs_what_cancelling_one_needs(premises: Premises) -> None:
    names = await furnish(premises.installation, premises.acme.id)
    issued = await premises.installation.keys.make(
        "no cancelling", organization_id=premises.acme.id, scopes=["tasks:read", "tasks:write"]
    )
    async with premises.client(issued.key) as client:
        body = {"action": "cancel", "task_ids": [names["task_id"]]}
        assert is_refused(await client.post("/api/v1/tasks/actions", json=body), "tasks:cancel")
        assert (await client.post("/api/v1/tasks/actions", json={**body, "action": "pause"})).status_code == 200


async def test_redriving_a_task_needs_what_adding_it_needs(premises: Premises) -> None:
    made = await premises.installation.queue.enqueue(
        premises.acme.id, NewTask("run.rewind", {"run": premises.acme.id, "to_step": 0})
    )
    await premises.installation.control.cancel(premises.acme.id, [made.task_id], reason="a test", actor=SYSTEM)
    pair = await premises.log_in(await premises.user("olga", acme="operator"))
    async with premises.client(pair.access) as client:
        assert is_refused(await client.post(f"/api/v1/tasks/{made.task_id}/redrive"), "effects:write")
        body = {"action": "redrive", "task_ids": [made.task_id]}
        assert is_refused(await client.post("/api/v1/tasks/actions", json=body), "effects:write")
    pair = await premises.log_in(await premises.user("anna", acme="admin"))
    async with premises.client(pair.access) as client:
        assert (await client.post(f"/api/v1/tasks/{made.task_id}/redrive")).status_code == 200


async def test_a_member_of_several_organizations_says_which(premises: Premises) -> None:
    user = await premises.user("maria", acme="operator", rival="viewer")
    pair = await premises.log_in(user)
    async with premises.client(pair.access) as client:
        unsaid = await client.get("/api/v1/tasks")
        assert unsaid.status_code == 422
        assert "acme, rival" in unsaid.json()["detail"]
        assert (await client.post("/api/v1/tasks?organization=acme", json={"kind": "note.keep"})).status_code == 201
        refused = await client.post("/api/v1/tasks?organization=rival", json={"kind": "note.keep"})
        assert is_refused(refused, "tasks:write")
        assert "'rival'" in refused.json()["detail"]
        assert (await client.get("/api/v1/tasks?organization=home")).status_code == 404
        listed = (await client.get("/api/v1/organizations?limit=1")).json()
        rest = (await client.get(f"/api/v1/organizations?limit=1&cursor={listed['next_cursor']}")).json()
        assert [one["slug"] for one in listed["items"] + rest["items"]] == ["rival", "acme"]
        assert rest["next_cursor"] is None


async def test_who_belongs_nowhere_is_told_so(premises: Premises) -> None:
    pair = await premises.log_in(await premises.user("nobody"))
    async with premises.client(pair.access) as client:
        answer = await client.get("/api/v1/tasks")
        assert answer.status_code == 403
        assert "invitation" in answer.json()["detail"]
        assert (await client.get("/api/v1/organizations")).json()["items"] == []


async def test_a_bounded_administrators_key_is_not_the_administrator(premises: Premises) -> None:
    issued = await premises.installation.keys.make("auditor", scopes=["tasks:read"])
    async with premises.client(issued.key) as client:
        assert (await client.get("/api/v1/tasks?organization=acme")).status_code == 200
        assert is_refused(await client.get("/api/v1/events?organization=acme"), "events:read")
        for path in ("/metrics", "/api/v1/users"):
            assert (await client.get(path)).status_code == 403


@pytest.mark.parametrize(
    ("kind", "payload", "missing"),
    [
        ("system.retain", {"months": 1}, "administrators"),
        ("system.remove", {"months": 1}, "administrators"),
        ("system.backup", {}, "administrators"),
        ("system.sessions", {}, "administrators"),
        ("system.health", {}, "administrators"),
        ("privacy.erase", {"request_id": "0199b6ff-b66f-7000-8000-000000000012"}, "privacy:write"),
        ("privacy.export", {"request_id": "0199b6ff-b66f-7000-8000-000000000012"}, "privacy:write"),
        ("system.sync", {}, "administrators"),
        ("sla.sweep", {}, "administrators"),
        ("operations.learn", {}, "administrators"),
    ],
)
async def test_nobody_has_done_by_a_task_what_they_may_not_do(
    premises: Premises, kind: str, payload: dict[str, Any], missing: str
) -> None:
    user = await premises.user("developer", acme="developer")
    async with premises.client((await premises.log_in(user)).access) as client:
        asked = await client.post("/api/v1/tasks", json={"kind": kind, "payload": payload})
        put = await client.put(
            "/api/v1/schedules/mine", json={"kind": kind, "payload": payload, "interval_seconds": 60}
        )
        for answer in (asked, put):
            assert answer.status_code == 403, answer.text
            assert missing in answer.json()["detail"]
        made = await premises.installation.queue.enqueue(premises.acme.id, NewTask(kind, payload))
        forked = await client.post(f"/api/v1/tasks/{made.task_id}/fork", json={"from_step": 0})
        assert forked.status_code == 403, forked.text
        allowed = await client.post("/api/v1/tasks", json={"kind": "note.keep", "payload": {}})
        assert allowed.status_code == 201, allowed.text
    async with premises.client(premises.admin_key) as client:
        answer = await client.post("/api/v1/tasks", json={"kind": kind, "payload": payload})
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("role", ["operator", "developer", "admin", "owner"])
async def test_who_runs_home_stops_no_schedule_of_the_installation(premises: Premises, role: Role) -> None:
    schedules = premises.installation.schedules
    home = await premises.installation.home()
    await schedules.furnish(home.id, [NewSchedule("system.audit", "system.audit", interval_seconds=3600.0)])
    stored = await schedules.get(home.id, "system.audit")
    user = await premises.user(role, home=role)
    async with premises.client((await premises.log_in(user)).access) as client:
        for reference in ("system.audit", stored.id):
            place = f"/api/v1/schedules/{reference}"
            asked = [await client.post(f"{place}/{act}") for act in ("pause", "resume", "fire")]
            asked.append(await client.delete(place))
            for answer in asked:
                assert answer.status_code == 403, answer.text
        harmless = {"kind": "note.keep", "payload": {}, "interval_seconds": 60}
        replaced = await client.put("/api/v1/schedules/system.audit", json=harmless)
        assert replaced.status_code == 403, replaced.text
    assert await schedules.get(home.id, "system.audit") == stored
    async with premises.client(premises.admin_key) as client:
        assert (await client.post("/api/v1/schedules/system.audit/pause")).status_code == 200
        assert (await client.delete("/api/v1/schedules/system.audit")).status_code == 204


async def test_a_schedule_whose_kind_is_gone_can_be_removed(premises: Premises, login_url: str) -> None:
    await premises.installation.schedules.put(premises.acme.id, NewSchedule("old", "note.keep", interval_seconds=60.0))
    async with await psycopg.AsyncConnection.connect(login_url, autocommit=True) as connection:
        await connection.execute("update schedules set kind = 'gone.kind' where name = 'old'")
    developer = await premises.user("developer", acme="developer")
    async with premises.client((await premises.log_in(developer)).access) as client:
        assert (await client.post("/api/v1/schedules/old/pause")).status_code == 200
        assert (await client.delete("/api/v1/schedules/old")).status_code == 204
