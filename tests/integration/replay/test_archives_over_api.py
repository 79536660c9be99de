"""Archives and rehearsals over the API: who may, and what they are told."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from bailiwick.audit import Actor
from bailiwick.authority import Proposal
from bailiwick.replay.archive import parse_archive
from tests.integration.api.conftest import Premises
from tests.integration.api.test_autonomy_over_api import agent_of, earn
from tests.integration.api.test_tasks_over_api import UNKNOWN, ended, submit

PERSON = Actor("user", UNKNOWN, "Ada")
SHUT = "rules:\n  - {name: shut, then: deny}\n"
LOOSE = "rules:\n  - {name: open, then: allow}\n"


async def test_a_run_is_exported_as_one_signed_file_and_the_export_is_audited(
    premises: Premises, acme: httpx.AsyncClient
) -> None:
    async with premises.installation.run_worker():
        task = (await ended(acme, await submit(acme)))["id"]
    async with premises.client(premises.admin_key) as admin:
        answer = await admin.get(f"/api/v1/runs/{task}/archive?organization=acme&audit=true")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{task}.run.zip"'
    archive = parse_archive(answer.content)
    assert (archive.is_signed, archive.task["kind"]) == (True, "note.keep")
    assert archive.audit is not None
    acts = await premises.installation.audit.list(premises.acme.id)
    assert acts.items[0].action == "run.exported"


async def test_who_may_not_read_the_audit_log_exports_no_run(premises: Premises, acme: httpx.AsyncClient) -> None:
    task = await submit(acme)
    operator = await premises.user("Otto", acme="operator")
    async with premises.client((await premises.log_in(operator)).access) as client:
        assert (await client.get(f"/api/v1/runs/{task}")).status_code == 200
        assert (await client.get(f"/api/v1/runs/{task}/archive")).status_code == 403


@pytest.mark.parametrize("task", [UNKNOWN, "no-id"])
async def test_there_is_no_archive_of_what_is_not_there_or_another_organization_s(
    premises: Premises, acme: httpx.AsyncClient, task: str
) -> None:
    async with premises.client(premises.admin_key) as admin:
        assert (await admin.get(f"/api/v1/runs/{task}/archive?organization=acme")).status_code == 404
        other = await submit(acme)
        assert (await admin.get(f"/api/v1/runs/{other}/archive?organization=rival")).status_code == 404


async def decided(premises: Premises) -> None:
    """Record one decision of an agent, by a policy that denies."""
    platform, organization_id = premises.installation, premises.acme.id
    agent = await platform.directory.create(organization_id, "noter", "Nora")
    await platform.policies.put(organization_id, SHUT, actor=PERSON)
    platform.authority.knows_tool = None
    proposal = Proposal(
        organization_id, UNKNOWN, "mail.send", "external", {"to": "ada"}, "person:7", datetime.now(UTC),
        agent_id=agent.id, price=Decimal(1), is_reversible=True,
    )  # fmt: skip
    async with platform.database.transaction(organization_id) as connection:
        decision = await platform.authority.decide(proposal, connection=connection)
    assert decision.outcome == "deny"


async def test_a_worse_policy_is_refused_and_one_that_changes_nothing_passes(
    premises: Premises, acme: httpx.AsyncClient
) -> None:
    await decided(premises)
    worse = await acme.post("/api/v1/rehearsals/policy", json={"policy": LOOSE})
    assert worse.status_code == 200, worse.text
    found = worse.json()
    assert (found["is_passed"], found["regressions"], found["compared"]) == (False, 1, 1)
    assert found["changes"][0]["old"]["rule"] == "shut"
    allowed = await acme.post("/api/v1/rehearsals/policy", json={"policy": LOOSE, "max_regressions": "100%"})
    assert allowed.json()["is_passed"]
    same = (await acme.post("/api/v1/rehearsals/policy", json={"policy": SHUT, "agent": "Nora"})).json()
    assert (same["is_passed"], same["same"]) == (True, 1)
    async with premises.client(premises.rival_key) as rival:
        other = (await rival.post("/api/v1/rehearsals/policy", json={"policy": LOOSE})).json()
    assert (other["runs"], other["is_passed"]) == (0, False)


async def test_a_level_is_rehearsed_and_nonsense_is_refused(premises: Premises, acme: httpx.AsyncClient) -> None:
    await decided(premises)
    asked = {"agent": "Nora", "effect_class": "external", "level": 4}
    found = (await acme.post("/api/v1/rehearsals/level", json=asked)).json()
    assert (found["subject"], found["compared"], found["same"]) == ("level", 1, 1)
    for path, body in (
        ("policy", {"policy": "rules: [}"}),
        ("policy", {"policy": SHUT, "max_regressions": "many"}),
        ("level", {**asked, "level": 9}),
    ):
        assert (await acme.post(f"/api/v1/rehearsals/{path}", json=body)).status_code == 422
    assert (await acme.post("/api/v1/rehearsals/level", json={**asked, "agent": "Nobody"})).status_code == 404


async def test_a_policy_is_put_in_force_only_if_its_rehearsal_passes_where_that_is_asked_for(
    premises: Premises, owner: httpx.AsyncClient
) -> None:
    await decided(premises)
    path = "/api/v1/policies/current"
    refused = await owner.put(path, json={"source": LOOSE, "max_regressions": "0"})
    assert (refused.status_code, refused.json()["code"]) == (409, "rehearsal.refused"), refused.text
    assert "shut refused it" in refused.json()["detail"]
    assert (await premises.installation.policies.get(premises.acme.id)).version == 1
    assert (await owner.put(path, json={"source": LOOSE, "max_regressions": "1"})).status_code == 200
    assert (await premises.installation.policies.get(premises.acme.id)).version == 2


async def test_a_promotion_goes_on_only_if_its_rehearsal_passes_where_that_is_asked_for(
    premises: Premises, owner: httpx.AsyncClient, login_url: str
) -> None:
    promotion = await earn(premises, login_url, await agent_of(premises))
    url = f"/api/v1/autonomy/promotions/{promotion}"
    # What it earned came from no decision that could be made again.
    refused = await owner.post(f"{url}/confirm", json={"max_regressions": "0"})
    assert (refused.status_code, refused.json()["code"]) == (409, "rehearsal.refused"), refused.text
    assert (await owner.get(url)).json()["state"] == "proposed"
    assert (await owner.post(f"{url}/confirm", json={})).status_code == 200
