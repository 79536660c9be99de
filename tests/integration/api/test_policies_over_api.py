"""Policies, decisions and explanations over the API."""

from datetime import UTC, datetime

import httpx

from bailiwick.authority import Proposal
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import NewTask
from tests.integration.api.conftest import Premises

NOTES = """\
rules:
  - name: notes
    because: notes are harmless
    when: {tool: note.write}
    then: allow
tests:
  - name: a note
    proposal: {tool: note.write}
    expect: {outcome: allow, rule: notes}
"""


async def test_a_policy_is_put_shown_compared_and_listed_over_the_api(owner: httpx.AsyncClient) -> None:
    assert (await owner.get("/api/v1/policies/current")).status_code == 404
    made = await owner.put("/api/v1/policies/current", json={"source": NOTES, "note": "begin", "based_on": 0})
    assert made.status_code == 200, made.text
    assert (made.json()["version"], made.json()["source"]) == (1, NOTES)
    other = NOTES.replace("then: allow", "then: deny").replace("outcome: allow", "outcome: deny")
    stale = await owner.put("/api/v1/policies/current", json={"source": other, "based_on": 0})
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
    assert (await owner.put("/api/v1/policies/current", json={"source": other, "based_on": 1})).json()["version"] == 2
    assert (await owner.get("/api/v1/policies/1")).json()["note"] == "begin"
    diff = (await owner.get("/api/v1/policies/2/diff?from=1")).json()["diff"]
    assert "-    then: allow\n+    then: deny" in diff
    listed = (await owner.get("/api/v1/policies")).json()["items"]
    assert [one["version"] for one in listed] == [2, 1]
    assert "source" not in listed[0]


async def test_a_policy_that_fails_its_own_tests_is_refused_with_the_difference(owner: httpx.AsyncClient) -> None:
    broken = NOTES.replace("outcome: allow", "outcome: deny")
    tried = (await owner.post("/api/v1/policies/test", json={"source": broken})).json()
    assert (tried["passed"], tried["unreached"]) == (False, [])
    assert tried["cases"][0]["differences"] == [{"field": "outcome", "expected": "deny", "actual": "allow"}]
    refused = await owner.put("/api/v1/policies/current", json={"source": broken})
    assert (refused.status_code, refused.json()["code"]) == (422, "policy.tests_failed")
    unread = await owner.put("/api/v1/policies/current", json={"source": "rules:\n- {name: a, then: alow}"})
    assert (unread.status_code, unread.json()["code"]) == (422, "policy.invalid")
    assert "line 2" in unread.json()["detail"]
    assert "did you mean 'allow'" in unread.json()["detail"]


async def test_the_ceiling_is_put_by_administrators_and_read_by_everybody(
    owner: httpx.AsyncClient, root: httpx.AsyncClient
) -> None:
    ceiling = {"source": "rules:\n- {name: nothing, then: deny}\n"}
    assert (await owner.put("/api/v1/policies/ceiling", json=ceiling)).status_code == 403
    assert (await root.put("/api/v1/policies/ceiling", json=ceiling)).status_code == 200
    assert (await owner.get("/api/v1/policies/ceiling")).json()["source"] == ceiling["source"]
    assert (await owner.get("/api/v1/policies/current")).status_code == 404


async def test_decisions_are_listed_and_explained_over_the_api(premises: Premises, owner: httpx.AsyncClient) -> None:
    await owner.put("/api/v1/policies/current", json={"source": NOTES})
    authority = premises.installation.authority
    authority.knows_tool = {"note.write"}.__contains__
    agent = await premises.installation.directory.create(premises.acme.id, "noter", "Nora")
    added = await premises.installation.queue.enqueue(
        premises.acme.id, NewTask("note.keep", {"text": "x"}, agent_id=agent.id)
    )
    task = added.task_id
    proposal = Proposal(
        premises.acme.id, task, "note.write", "write", {}, "note:1", datetime.now(UTC), agent_id=agent.id
    )
    async with premises.installation.database.transaction(premises.acme.id) as connection:
        decision = await authority.decide(proposal, connection=connection)
    shown = (await owner.get(f"/api/v1/decisions/{decision.id}")).json()
    assert (shown["outcome"], shown["rule"], shown["policy_version"]) == ("approve", "floor", 1)
    assert [(one["rule"], one["outcome"]) for one in shown["considered"]] == [("floor", "approve"), ("notes", "allow")]
    for query, count in ((f"task={task}", 1), ("outcome=deny", 0), ("tool=note.write", 1), ("shadow=true", 0)):
        assert len((await owner.get(f"/api/v1/decisions?{query}")).json()["items"]) == count, query
    for about in (decision.id, task):
        why = (await owner.get(f"/api/v1/why/{about}")).json()
        assert why["chains"][0]["proposals"][0]["decisions"][0]["decision"]["id"] == decision.id
        assert why["answer"] == [
            "note.write on note:1 was not done: nothing came of it after it was decided "
            "(decided: approve by floor)."
        ]  # fmt: skip
    async with premises.client(premises.rival_key) as rival:
        assert (await rival.get(f"/api/v1/decisions/{decision.id}")).status_code == 404
        assert (await rival.get(f"/api/v1/why/{task}")).status_code == 404
        assert (await rival.get("/api/v1/decisions")).json()["items"] == []
    assert (await owner.get(f"/api/v1/why/{new_id()}")).status_code == 404


async def test_an_event_that_nothing_follows_from_is_explained(acme: httpx.AsyncClient) -> None:
    made = await acme.post("/api/v1/events", json={"events": [{"type": "note.written", "payload": {"number": 7}}]})
    assert made.status_code == 201, made.text
    why = (await acme.get("/api/v1/why/note-7")).json()
    assert (why["kind"], why["chains"]) == ("key", [])
    assert why["answer"] == ["Nothing happened: the event is recorded, and no task follows from its type."]
