"""Labels at the door: who hands something in is named, and what is not their own word is marked."""

from typing import Any

import httpx
import pytest

from bailiwick.identity import Caller
from tests.integration.api.conftest import Premises

ISSUE = {
    "source": "github", "repository": "acme/shop", "number": 4, "title": "Cannot log in", "state": "open",
    "created_at": "2026-03-01T09:00:00Z",
}  # fmt: skip


async def labels_of_task(client: httpx.AsyncClient, **body: Any) -> list[str]:
    """Submit a task and return its labels as they are shown."""
    answer = await client.post("/api/v1/tasks", json={"kind": "note.keep", **body})
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = (await client.get(f"/api/v1/tasks/{answer.json()['task_id']}")).json()
    return task["labels"]


async def labels_of_event(client: httpx.AsyncClient, **event: Any) -> list[str]:
    """Publish an event and return its labels as they are shown."""
    answer = await client.post("/api/v1/events", json={"events": [{"type": "note.written", "payload": {}, **event}]})
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = (await client.get(f"/api/v1/events/{answer.json()['items'][0]['event_id']}")).json()
    return shown["labels"]


async def test_each_kind_of_caller_is_named(premises: Premises) -> None:
    anna = await premises.user("anna", acme="owner")
    session = await premises.log_in(anna)
    own = await premises.installation.keys.make(
        "mine", organization_id=premises.acme.id,
        maker=Caller("user", anna.id, anna.name, grants={premises.acme.id: frozenset({"tasks:write", "tasks:read"})}),
        scopes=["tasks:write", "tasks:read"],
    )  # fmt: skip
    bridge = await premises.installation.service_accounts.create(premises.acme.id, "bridge", "admin")
    service = await premises.installation.keys.make(
        "bridge key", organization_id=premises.acme.id, service_account="bridge"
    )
    ours = (await premises.installation.keys.list(premises.acme.id)).items
    plain = next(key.id for key in ours if key.name == "acme")
    for key, expected in (
        (session.access, [f"by:user:{anna.id}"]),
        (own.key, sorted([f"by:key:{own.record.id}", f"by:user:{anna.id}"])),
        # Made at the machine, by whoever runs it.
        (service.key, ["by:maker:administrator", f"by:service:{bridge.id}"]),
        (premises.acme_key, sorted(["by:maker:administrator", f"by:key:{plain}"])),
    ):
        async with premises.client(key) as client:
            assert await labels_of_task(client) == expected


async def test_what_a_member_says_is_their_word_unless_they_say_whose_it_is(acme: httpx.AsyncClient) -> None:
    by = await labels_of_task(acme)
    assert await labels_of_event(acme) == by
    assert await labels_of_task(acme, outside="mail") == [*by, "untrusted:mail"]
    assert await labels_of_event(acme, outside="mail") == [*by, "untrusted:mail"]


async def test_what_is_declared_to_carry_words_from_outside_is_untrusted_whoever_hands_it_in(
    acme: httpx.AsyncClient,
) -> None:
    by = await labels_of_task(acme)
    opened = {"type": "issue.imported", "payload": ISSUE}
    assert await labels_of_event(acme, **opened) == [*by, "untrusted:api"]
    listed = (await acme.get("/api/v1/tasks?kind=issue.record")).json()["items"]
    assert [task["labels"] for task in listed] == [[*by, "untrusted:api"]]
    assert await labels_of_task(acme, kind="issue.record", payload=ISSUE) == [*by, "untrusted:api"]
    reading = {
        "meter_id": "M-1",
        "unit": "kWh",
        "value": 3.5,
        "read_at": "2026-11-20T09:15:00Z",
        "interval_minutes": 15,
    }
    assert await labels_of_event(acme, type="meter.read", payload=reading) == [*by, "untrusted:api"]


@pytest.mark.parametrize("outside", ["", "Mail", "a b", "x" * 64, "by:user:anna", "mail\n", "\x1b[2J", 7])
async def test_no_other_label_can_be_made_up(acme: httpx.AsyncClient, outside: object) -> None:
    answer = await acme.post("/api/v1/tasks", json={"kind": "note.keep", "outside": outside})
    assert answer.status_code == 422
    answer = await acme.post("/api/v1/events", json={"events": [{"type": "note.written", "outside": outside}]})
    assert answer.status_code == 422


@pytest.mark.parametrize("labels", [[], ["by:user:somebody"]])
async def test_nobody_hands_in_labels_themselves(acme: httpx.AsyncClient, labels: list[str]) -> None:
    answer = await acme.post("/api/v1/tasks", json={"kind": "note.keep", "labels": labels})
    assert (answer.status_code, "body.labels" in answer.json()["detail"]) == (422, True)


async def test_a_fork_names_both_and_a_schedule_names_who_made_it(premises: Premises, acme: httpx.AsyncClient) -> None:
    anna = await premises.user("anna", acme="owner")
    by = await labels_of_task(acme)
    answer = await acme.post("/api/v1/tasks", json={"kind": "note.keep", "outside": "mail"})
    session = await premises.log_in(anna)
    async with premises.client(session.access) as client:
        forked = await client.post(f"/api/v1/tasks/{answer.json()['task_id']}/fork", json={"from_step": 0})
        assert forked.status_code == 201, forked.text
        task = (await client.get(f"/api/v1/tasks/{forked.json()['task_id']}")).json()
        assert set(task["labels"]) == {*by, f"by:user:{anna.id}", "untrusted:mail"}
        made = await client.put("/api/v1/schedules/notes", json={"kind": "note.keep", "interval_seconds": 3600})
        assert made.json()["labels"] == [f"by:user:{anna.id}"]


async def test_runs_show_what_their_steps_learned_and_what_the_result_carries(
    premises: Premises, acme: httpx.AsyncClient
) -> None:
    answer = await acme.post("/api/v1/tasks", json={"kind": "note.keep", "payload": {"text": "milk"}})
    task_id = answer.json()["task_id"]
    assert (await acme.get(f"/api/v1/tasks/{task_id}")).json()["result_labels"] is None
    async with premises.installation.run_worker():
        task: dict[str, Any] = {}
        while not task.get("finished_at"):
            task = (await acme.get(f"/api/v1/runs/{task_id}")).json()["task"]
    run = (await acme.get(f"/api/v1/runs/{task_id}")).json()
    assert [step["labels"] for step in run["steps"]] == [[]]
    assert run["task"]["result_labels"] == run["task"]["labels"]
