"""Issues of the operations pack over the API."""

from datetime import UTC, datetime

import httpx
import pytest

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.repository import Actor, IssueStore
from tests.integration.api.conftest import Premises


@pytest.fixture
async def issue(premises: Premises) -> str:
    """The key of an issue that Acme has and that was begun."""
    store = IssueStore(premises.installation.database)
    record = IssueRecord(
        source="github", repository="acme/shop", number=7, external_id="70", url=None, title="The till is down",
        body="Since nine the till shows an error.", labels=("bug",), state="open", state_reason=None, author="maria",
        assignees=(), comments_count=0, comments=(), created_at=datetime(2026, 3, 1, tzinfo=UTC), updated_at=None,
        closed_at=None, is_pull_request=False, attributes={},
    )  # fmt: skip
    await store.record(premises.acme.id, record, status="todo", reason="opened")
    await store.move(
        premises.acme.id, record.key, "in-progress", actor=Actor("person", "maria"), reason="looking", made_by="test"
    )
    return record.key


async def test_issues_are_listed_counted_and_looked_at(acme: httpx.AsyncClient, issue: str) -> None:
    listed = (await acme.get("/api/v1/issues", params={"status": "in-progress", "state": "open"})).json()["items"]
    assert [(one["key"], one["title"]) for one in listed] == [(issue, "The till is down")]
    assert (await acme.get("/api/v1/issues?status=done")).json()["items"] == []
    counts = (await acme.get("/api/v1/issues/counts")).json()
    assert counts["status"]["in-progress"] == 1
    for name in (issue.replace("#", "%23"), listed[0]["id"]):
        detail = (await acme.get(f"/api/v1/issues/{name}")).json()
        assert (detail["summary"], detail["body"]) == (listed[0], "Since nine the till shows an error.")
        assert detail["transitions"][-1]["reason"] == "looking"


async def test_anothers_issue_is_not_there(premises: Premises, issue: str) -> None:
    async with premises.client(premises.rival_key) as rival:
        assert (await rival.get(f"/api/v1/issues/{issue.replace('#', '%23')}")).status_code == 404
        assert (await rival.get("/api/v1/issues")).json()["items"] == []


async def test_where_the_pack_is_not_loaded_issues_are_not_found(premises: Premises, acme: httpx.AsyncClient) -> None:
    premises.installation.extensions = [one for one in premises.installation.extensions if one.name != "operations"]
    answer = await acme.get("/api/v1/issues")
    assert (answer.status_code, "not loaded" in answer.json()["detail"]) == (404, True)
