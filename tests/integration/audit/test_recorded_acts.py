"""What people change through doors leaves an entry with who, what, before and after."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bailiwick.audit import Entry
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.tasks import NewTask
from tests.integration.api.conftest import Premises
from tests.integration.api.conftest import premises as premises


@pytest.fixture
async def acme(premises: Premises) -> AsyncIterator[httpx.AsyncClient]:
    async with premises.client(premises.acme_key) as client:
        yield client


async def newest(premises: Premises, organization_id: str | None = None) -> Entry:
    page = await premises.installation.audit.list(organization_id or premises.acme.id, limit=1)
    return page.items[0]


@pytest.mark.parametrize(
    ("method", "path", "body", "action", "after"),
    [
        ("put", "limits/organization", {"max_concurrency": 3}, "limit.changed", {"max_concurrency": 3}),
        ("post", "limits/organization/pause", {"reason": "night"}, "limit.paused", None),
        ("put", "schedules/nightly", {"kind": "note.keep", "cron": "0 2 * * *"}, "schedule.put", {"cron": "0 2 * * *"}),
        ("post", "agents", {"kind": "noter", "name": "n1"}, "agent.created", {"name": "n1"}),
    ],
)
async def test_a_change_over_the_api_is_recorded_with_its_caller(
    premises: Premises,
    acme: httpx.AsyncClient,
    *,
    method: str,
    path: str,
    body: dict[str, Any],
    action: str,
    after: Any,
) -> None:
    response = await acme.request(method, f"/api/v1/{path}", json=body)
    assert response.is_success, response.text
    entry = await newest(premises)
    assert entry.action == action
    assert entry.actor.name == "acme"
    assert entry.actor.kind in ("key", "service")
    assert entry.reason == body.get("reason")
    if after is not None:
        assert entry.after is not None
        assert entry.after.items() >= after.items()


async def test_a_changed_limit_tells_what_held_before(premises: Premises, acme: httpx.AsyncClient) -> None:
    for bound in (3, 5):
        await acme.put("/api/v1/limits/organization", json={"max_concurrency": bound})
    entry = await newest(premises)
    assert entry.before is not None
    assert (entry.before["max_concurrency"], (entry.after or {})["max_concurrency"]) == (3, 5)


async def test_an_agent_that_is_disabled_tells_before_and_after(premises: Premises, acme: httpx.AsyncClient) -> None:
    made = (await acme.post("/api/v1/agents", json={"kind": "noter", "name": "n1"})).json()
    await acme.post(f"/api/v1/agents/{made['id']}/disable")
    entry = await newest(premises)
    assert (entry.action, entry.target) == ("agent.disabled", f"agent:{made['id']}")
    assert (entry.before, (entry.after or {})["is_enabled"]) == ({"is_enabled": True}, False)


async def test_cancelling_many_tasks_is_one_entry_and_cancelling_none_is_none(
    premises: Premises, acme: httpx.AsyncClient
) -> None:
    ids = [
        (await premises.installation.queue.enqueue(premises.acme.id, NewTask("note.keep", {}))).task_id
        for _ in range(3)
    ]
    body = {"action": "cancel", "task_ids": ids, "reason": "twice"}
    await acme.post("/api/v1/tasks/actions", json=body)
    entry = await newest(premises)
    assert (entry.action, entry.target, entry.reason) == ("task.cancelled", "tasks:3", "twice")
    assert sorted((entry.after or {})["task_ids"]) == sorted(ids)
    await acme.post("/api/v1/tasks/actions", json=body)
    assert (await newest(premises)).seq == entry.seq


async def test_what_is_refused_leaves_no_entry(premises: Premises, acme: httpx.AsyncClient) -> None:
    await acme.put("/api/v1/limits/organization", json={"max_concurrency": 3})
    before = (await newest(premises)).seq
    assert (await acme.put("/api/v1/limits/nonsense", json={"max_concurrency": 3})).status_code == 422
    assert (await newest(premises)).seq == before


async def test_a_new_organization_is_told_in_its_own_log_and_the_installations(premises: Premises) -> None:
    async with premises.client(premises.admin_key) as admin:
        made = (await admin.post("/api/v1/organizations", json={"name": "Third"})).json()
    for organization_id in (INSTALLATION, made["id"]):
        page = await premises.installation.audit.list(organization_id, limit=500)
        (entry,) = [
            one for one in page.items
            if one.action == "organization.created" and one.target == f"organization:{made['id']}"
        ]  # fmt: skip
        assert entry.after == {"slug": "third", "name": "Third"}
        assert entry.actor.kind in ("key", "user")
