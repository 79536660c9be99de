"""Tasks over the API: submitted once, worked on, looked at, moved by hand."""

import asyncio
from typing import Any

import httpx
import pytest

from bailiwick.tasks import NewTask
from tests.integration.api.conftest import Premises

UNKNOWN = "0199b6ff-b66f-7000-8000-000000000001"


async def submit(client: httpx.AsyncClient, kind: str = "note.keep", **more: Any) -> str:
    answer = await client.post("/api/v1/tasks", json={"kind": kind, "payload": {"text": "milk"}, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["task_id"]


async def ended(client: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            task = (await client.get(f"/api/v1/tasks/{task_id}")).json()
            if task["finished_at"] is not None:
                return task
            await asyncio.sleep(0.02)


async def test_a_submitted_task_is_done_and_its_run_can_be_read(premises: Premises, acme: httpx.AsyncClient) -> None:
    async with premises.installation.run_worker():
        done = await ended(acme, await submit(acme))
        failed = await ended(acme, await submit(acme, "note.refuse"))
    assert (done["state"], done["result"], done["payload"]["text"]) == ("completed", {"kept": "milk"}, "milk")
    run = (await acme.get(f"/api/v1/runs/{done['id']}")).json()
    assert (run["task"]["id"], run["attempts"]) == (done["id"], 1)
    assert [(step["kind"], step["name"], step["result"]) for step in run["steps"]] == [("step", "keep", "milk")]
    assert (failed["state"], failed["reason"]) == ("discarded", "no place for milk")
    assert (await acme.get(f"/api/v1/runs/{failed['id']}")).json()["attempts"] == 1


async def test_the_same_idempotency_key_is_one_task(acme: httpx.AsyncClient) -> None:
    answers = [
        await acme.post("/api/v1/tasks", json={"kind": "note.keep"}, headers={"idempotency-key": "order-1"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert [answer.json()["is_new"] for answer in answers] == [True, False]
    assert len({answer.json()["task_id"] for answer in answers}) == 1


async def test_an_idempotency_key_belongs_to_its_organization(premises: Premises, acme: httpx.AsyncClient) -> None:
    async with premises.client(premises.rival_key) as rival:
        for client in (acme, rival):
            answer = await client.post(
                "/api/v1/tasks", json={"kind": "note.keep"}, headers={"idempotency-key": "order-1"}
            )
            assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"kind": "no.such"}, "unknown task kind 'no.such'; known:"),
        ({"kind": "note.keep", "payload": {"number": "x"}}, "number"),
        ({"kind": "note.keep", "priority": 4}, "body.priority"),
        ({"kind": "note.keep", "deadline_at": "2026-03-01T00:00:00"}, "body.deadline_at"),
        ({"kind": "note.keep", "run_at": "0001-01-01T00:00:00+14:00"}, "body.run_at"),
        ({"kind": "note.keep", "delay_seconds": -1}, "body.delay_seconds"),
        ({"kind": "note.keep", "payload": []}, "body.payload"),
        ({"kind": "note.keep", "prio": 1}, "body.prio"),
        ({"payload": {}}, "body.kind"),
        ({"kind": "note.keep", "payload": {"text": "x" * 300_000}}, "the limit is 262,144"),
        (None, "body"),
    ],
)
async def test_a_bad_task_is_refused_with_the_reason(acme: httpx.AsyncClient, body: object, says: str) -> None:
    answer = await acme.post("/api/v1/tasks", json=body)
    assert answer.status_code in (413, 422)
    assert says in answer.json()["detail"]


async def test_a_task_for_another_organizations_agent_is_refused(premises: Premises, acme: httpx.AsyncClient) -> None:
    stranger = await premises.installation.directory.create(premises.rival.id, "noter", "spy")
    answer = await acme.post("/api/v1/tasks", json={"kind": "noter.work", "agent_id": stranger.id})
    assert answer.status_code == 404


async def test_an_agents_authority_is_not_lent_to_the_code_of_another_kind(
    premises: Premises, acme: httpx.AsyncClient
) -> None:
    other = await premises.installation.directory.create(premises.acme.id, "rewinder", "rewinder")
    async with premises.installation.run_worker():
        done = await ended(acme, await submit(acme, "noter.work", agent_id=other.id))
    assert (done["state"], done["result"]) == ("discarded", None)
    assert "of the kind rewinder; name one of the kind noter" in done["reason"]


async def test_listings_are_filtered(premises: Premises, acme: httpx.AsyncClient) -> None:
    agent = await premises.installation.directory.create(premises.acme.id, "noter", "clerk")
    urgent = await submit(acme, priority=0)
    late = await submit(acme, "note.refuse", delay_seconds=1000)
    given = await submit(acme, "noter.work", agent_id=agent.id)

    async def listed(query: str) -> set[str]:
        return {task["id"] for task in (await acme.get(f"/api/v1/tasks?{query}")).json()["items"]}

    assert await listed("") == {urgent, late, given}
    assert await listed("priority=0") == {urgent}
    assert await listed("kind=note.refuse") == {late}
    assert await listed("state=scheduled&state=completed") == {late}
    assert await listed("state=available") == {urgent, given}
    assert await listed(f"agent_id={agent.id}") == {given}
    assert await listed(f"parent_id={UNKNOWN}") == set()
    assert await listed(f"cause_id={UNKNOWN}") == set()


async def test_a_misspelt_filter_is_refused(acme: httpx.AsyncClient) -> None:
    answer = await acme.get("/api/v1/tasks?stat=available")
    assert answer.status_code == 422
    assert "known: agent_id, cause_id, cursor" in answer.json()["detail"]


async def test_tasks_are_paused_resumed_cancelled_redriven_and_forked(acme: httpx.AsyncClient) -> None:
    task = await submit(acme)

    async def act(action: str, body: object = None) -> httpx.Response:
        return await acme.post(f"/api/v1/tasks/{task}/{action}", json=body)

    assert (await act("pause")).json()["is_paused"] is True
    assert (await act("pause")).status_code == 409
    assert (await act("resume")).json()["is_paused"] is False
    cancelled = (await act("cancel", {"reason": "ordered twice"})).json()
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "ordered twice")
    again = await act("cancel")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert (await act("redrive")).json()["state"] == "available"
    forked = await act("fork", {"from_step": 0})
    assert forked.status_code == 201
    copy = (await acme.get(f"/api/v1/tasks/{forked.json()['task_id']}")).json()
    assert (copy["forked_from"], copy["payload"]["text"]) == (task, "milk")
    assert (await act("fork", {"from_step": -1})).status_code == 422


async def test_many_tasks_at_once(acme: httpx.AsyncClient) -> None:
    tasks = [await submit(acme) for _ in range(3)]
    await acme.post(f"/api/v1/tasks/{tasks[0]}/cancel")
    answer = await acme.post(
        "/api/v1/tasks/actions", json={"action": "cancel", "task_ids": [*tasks, UNKNOWN], "reason": "over"}
    )
    assert set(answer.json()["changed"]) == set(tasks[1:])
    assert set(answer.json()["unchanged"]) == {tasks[0], UNKNOWN}
    for action, state in (("redrive", "available"), ("pause", "scheduled"), ("resume", "available")):
        await acme.post("/api/v1/tasks/actions", json={"action": action, "task_ids": tasks})
        assert {(await acme.get(f"/api/v1/tasks/{task}")).json()["state"] for task in tasks} == {state}
    for body in (
        {"action": "explode", "task_ids": tasks},
        {"action": "pause", "task_ids": []},
        {"action": "pause", "task_ids": ["x"]},
        {"action": "pause", "task_ids": [UNKNOWN] * 1001},
        {"action": "pause", "task_ids": tasks, "reason": "why"},
    ):
        assert (await acme.post("/api/v1/tasks/actions", json=body)).status_code == 422


async def test_pages_are_complete_and_repeat_nothing_while_tasks_come_in(acme: httpx.AsyncClient) -> None:
    before = [await submit(acme) for _ in range(25)]
    walked: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await acme.get("/api/v1/tasks", params=query)).json()
        walked += [task["id"] for task in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await submit(acme)
    assert walked == before[::-1]
    assert (await acme.get("/api/v1/tasks", params={"cursor": "nonsense"})).status_code == 422


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "redrive"])
@pytest.mark.parametrize("task", [UNKNOWN, "not-an-id"])
async def test_what_is_not_there_is_not_found(acme: httpx.AsyncClient, action: str, task: str) -> None:
    for answer in (
        await acme.post(f"/api/v1/tasks/{task}/{action}"),
        await acme.get(f"/api/v1/tasks/{task}"),
        await acme.get(f"/api/v1/runs/{task}"),
        await acme.post(f"/api/v1/tasks/{task}/fork", json={"from_step": 0}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_fork_is_audited_with_who_asked(premises: Premises) -> None:
    user = await premises.user("maria", acme="developer")
    async with premises.client((await premises.log_in(user)).access) as client:
        task = await submit(client)
        forked = (await client.post(f"/api/v1/tasks/{task}/fork", json={"from_step": 0})).json()["task_id"]
    page = await premises.installation.audit.list(premises.acme.id, limit=50)
    (entry,) = [entry for entry in page.items if entry.action == "task.forked"]
    assert (entry.actor.id, entry.target) == (user.id, f"task:{task}")
    assert entry.after == {"task_id": forked, "from_step": 0}


async def test_nobody_forks_what_they_may_not_ask_for(premises: Premises) -> None:
    home = await premises.installation.home()
    task = (await premises.installation.queue.enqueue(home.id, NewTask("system.audit", {}))).task_id
    user = await premises.user("maria", home="developer")
    async with premises.client((await premises.log_in(user)).access) as client:
        refused = await client.post(f"/api/v1/tasks/{task}/fork", json={"from_step": 0})
        assert (refused.status_code, "administrators" in refused.json()["detail"]) == (403, True)
