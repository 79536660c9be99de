"""The audit log over the API."""

import base64
import os

import httpx
import pytest

from bailiwick.audit import SYSTEM, Act
from bailiwick.audit.verifying import verify_lines
from bailiwick.kernel.ids import INSTALLATION
from tests.integration.api.conftest import Premises


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())


@pytest.fixture
async def recorded(_master_key: None, premises: Premises) -> Premises:
    """Three entries of Acme's and one of the installation."""
    for number in range(3):
        after = {"burst": number}
        await premises.installation.audit.record(
            Act(premises.acme.id, "limit.changed", SYSTEM, f"limit:kind:{number}", after=after)
        )
    await premises.installation.audit.record(Act(INSTALLATION, "organization.created", SYSTEM, "organization:1"))
    return premises


async def test_entries_are_listed_by_pages_and_filtered(recorded: Premises, acme: httpx.AsyncClient) -> None:
    page = (await acme.get("/api/v1/audit", params={"action": "limit.*", "limit": 2})).json()
    assert [entry["target"] for entry in page["items"]] == ["limit:kind:2", "limit:kind:1"]
    assert page["items"][0]["previous"] == page["items"][1]["hash"]
    rest = await acme.get("/api/v1/audit", params={"action": "limit.*", "cursor": page["next_cursor"]})
    assert [entry["target"] for entry in rest.json()["items"]] == ["limit:kind:0"]
    one = await acme.get("/api/v1/audit", params={"target": "limit:kind:1", "actor": "system"})
    assert len(one.json()["items"]) == 1
    later = await acme.get("/api/v1/audit", params={"since": "2199-01-01T00:00:00Z"})
    assert later.json()["items"] == []


async def test_an_export_is_verified_and_recorded(recorded: Premises, acme: httpx.AsyncClient) -> None:
    response = await acme.get("/api/v1/audit/export")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    verdict = verify_lines(response.content.splitlines(keepends=True))
    assert verdict.error is None
    assert verdict.organization_id == recorded.acme.id
    assert verdict.covered_seq == verdict.entries
    newest = (await acme.get("/api/v1/audit")).json()["items"][0]
    assert newest["action"] == "audit.exported"
    assert newest["actor"]["name"] == "acme"


async def test_another_organization_sees_nothing_of_it(recorded: Premises) -> None:
    async with recorded.client(recorded.rival_key) as rival:
        targets = [entry["target"] for entry in (await rival.get("/api/v1/audit")).json()["items"]]
        assert not [target for target in targets if target.startswith("limit:")]
        for path in ("audit", "audit/export", "audit/alarms"):
            assert (await rival.get(f"/api/v1/{path}", params={"organization": "acme"})).status_code == 404


async def test_the_installations_log_is_for_administrators(
    recorded: Premises, admin: httpx.AsyncClient, acme: httpx.AsyncClient
) -> None:
    entries = (await admin.get("/api/v1/audit/installation")).json()["items"]
    assert "organization.created" in [entry["action"] for entry in entries]
    assert verify_lines(
        (await admin.get("/api/v1/audit/installation/export")).content.splitlines(keepends=True)
    ).is_intact
    for path in ("", "/export", "/alarms"):
        assert (await acme.get(f"/api/v1/audit/installation{path}")).status_code == 403


async def test_a_hundred_reads_over_the_api_raise_an_alarm_that_is_listed_and_an_event(
    recorded: Premises, acme: httpx.AsyncClient
) -> None:
    for _ in range(100):
        assert (await acme.get("/api/v1/limits")).status_code == 200
    await recorded.installation.alarms.flush()
    (alarm,) = (await acme.get("/api/v1/audit/alarms")).json()["items"]
    assert (alarm["rule"], alarm["threshold"]) == ("mass_reads", 100)
    assert alarm["subject"].startswith(("key:", "service:"))
    events = (await acme.get("/api/v1/events", params={"type": "security.alarm"})).json()["items"]
    assert [event["payload"]["alarm_id"] for event in events] == [alarm["id"]]


async def test_failed_logins_raise_an_alarm_of_the_installation_that_home_hears_of(
    recorded: Premises, admin: httpx.AsyncClient
) -> None:
    for _ in range(5):
        await recorded.installation.alarms.login_failed("anna@example.org", None)
    (alarm,) = (await admin.get("/api/v1/audit/installation/alarms")).json()["items"]
    assert alarm["description"] == "5 failed logins by account:anna@example.org within 15 minutes; the rule is 5"
    events = (await admin.get("/api/v1/events", params={"type": "security.alarm"})).json()["items"]
    assert [event["key"] for event in events] == ["account:anna@example.org"]
