"""Outcomes and autonomy over the API."""

import httpx
import pytest

from bailiwick.kernel.ids import new_id
from tests.integration.api.conftest import Premises, premises
from tests.integration.outcomes.test_report import put_outcome
from tests.support.autonomy import put_effect

__all__ = ["premises"]


async def agent_of(premises: Premises) -> str:
    """Add an agent to acme and return its id."""
    made = await premises.installation.directory.create(premises.acme.id, "noter", "Nora")
    return made.id


async def a_person(premises: Premises) -> httpx.AsyncClient:
    """Log in a person who may set levels."""
    return premises.client((await premises.log_in(await premises.user("boss", acme="admin"))).access)


async def earn(premises: Premises, login_url: str, agent_id: str) -> str:
    """Let an agent earn to act with notice; return the promotion that waits."""
    acme, autonomy = premises.acme.id, premises.installation.autonomy
    async with premises.installation.database.transaction(acme) as connection:
        await autonomy.level(acme, agent_id, "write", connection=connection)
    for _ in range(20):
        effect = put_effect(login_url, org=acme, agent=agent_id)
        async with premises.installation.database.transaction(acme) as connection:
            await autonomy.record_decision(acme, agent_id, "write", "approved", effect_id=effect, connection=connection)
    (promotion,) = (await premises.installation.standings.promotions(acme)).items
    return promotion.id


async def test_levels_are_listed_explained_and_set(premises: Premises) -> None:
    agent = await agent_of(premises)
    async with await a_person(premises) as client:
        (listed,) = (await client.get("/api/v1/autonomy")).json()["items"]
        assert (listed["agent_id"], listed["levels"]["write"]) == (agent, 2)
        body = {"level": 3, "reason": "a month without faults"}
        answer = await client.put(f"/api/v1/autonomy/agents/{agent}/write", json=body)
        assert answer.status_code == 200, answer.text
        shown = (await client.get("/api/v1/autonomy/agents/Nora")).json()
        standing = {one["effect_class"]: one for one in shown["standings"]}["write"]
        assert (standing["level"], standing["set_by"], standing["reason"]) == (3, "person", "a month without faults")
        assert standing["missing"].startswith("50 more acts with evidence; 10 more verified outcomes")
        assert [move["to_level"] for move in shown["moves"]] == [3]


async def test_a_key_is_nobodys_own_word_for_destructive_acts(premises: Premises) -> None:
    agent = await agent_of(premises)
    body = {"level": 5, "reason": "why not"}
    async with premises.client(premises.acme_key) as client:
        refused = await client.put(f"/api/v1/autonomy/agents/{agent}/destructive", json=body)
        assert refused.status_code == 403
    owner = await premises.user("Ada", acme="owner")
    tokens = await premises.log_in(owner)
    async with premises.client(tokens.access) as client:
        answer = await client.put(f"/api/v1/autonomy/agents/{agent}/destructive?organization=acme", json=body)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("answer", ["confirm", "refuse"])
async def test_a_promotion_is_answered_once(premises: Premises, login_url: str, answer: str) -> None:
    promotion = await earn(premises, login_url, await agent_of(premises))
    url = f"/api/v1/autonomy/promotions/{promotion}"
    async with await a_person(premises) as client:
        (listed,) = (await client.get("/api/v1/autonomy/promotions?state=proposed")).json()["items"]
        assert (listed["id"], listed["evidence"]["trials"]) == (promotion, 20)
        first = await client.post(f"{url}/{answer}", json={"reason": "well considered"})
        assert first.status_code == 200, first.text
        assert (await client.get(url)).json()["state"] == first.json()["state"] != "proposed"
        assert (await client.post(f"{url}/confirm", json={})).status_code == 409


async def test_rules_are_read_and_set(premises: Premises) -> None:
    async with await a_person(premises) as client:
        rules = (await client.get("/api/v1/autonomy/rules")).json()
        rules["act"]["bound"] = 0.99
        assert (await client.put("/api/v1/autonomy/rules", json=rules)).json()["act"]["bound"] == 0.99
        rules["act"]["bound"] = 2
        assert (await client.put("/api/v1/autonomy/rules", json=rules)).status_code == 422


async def test_another_organization_sees_nothing_of_it(premises: Premises, login_url: str) -> None:
    agent = await agent_of(premises)
    promotion = await earn(premises, login_url, agent)
    tokens = await premises.log_in(await premises.user("rita", rival="owner"))
    async with premises.client(tokens.access) as client:
        assert (await client.get("/api/v1/autonomy")).json()["items"] == []
        assert (await client.get("/api/v1/autonomy/promotions")).json()["items"] == []
        assert (await client.get(f"/api/v1/autonomy/promotions/{promotion}")).status_code == 404
        assert (await client.get(f"/api/v1/autonomy/agents/{agent}")).status_code == 404
        body = {"level": 3, "reason": "theirs"}
        assert (await client.put(f"/api/v1/autonomy/agents/{agent}/write", json=body)).status_code == 404
        assert (await client.post(f"/api/v1/autonomy/promotions/{promotion}/confirm", json={})).status_code == 404
        assert (await client.get("/api/v1/outcomes/report")).json()["items"] == []


async def test_outcomes_are_listed_shown_and_reported(premises: Premises, login_url: str) -> None:
    acme, outcome_id = premises.acme.id, new_id()
    await premises.installation.database.execute(
        'insert into outcomes (id, organization_id, task_id, "check", claim, check_at) '
        "values (%s, %s, %s, 'event.absent', 'nobody opens it again', now() + interval '14 days')",
        (outcome_id, acme, new_id()),
        organization_id=acme,
    )
    put_effect(login_url, org=acme, state="verified")
    effect = put_effect(login_url, org=acme, state="verified")
    put_outcome(login_url, acme, effect=effect, state="worked", **{"class": "write"})
    async with premises.client(premises.acme_key) as client:
        (listed,) = (await client.get("/api/v1/outcomes?state=pending&check=event.absent")).json()["items"]
        assert listed == (await client.get(f"/api/v1/outcomes/{outcome_id}")).json()
        assert (listed["claim"], listed["checked_at"]) == ("nobody opens it again", None)
        lines = (await client.get("/api/v1/outcomes/report")).json()["items"]
        assert {line["effect_class"]: (line["seen"], line["verified"], line["pending"]) for line in lines} == {
            "write": (1, 1, 0), "result": (0, 0, 1),
        }  # fmt: skip
        assert lines[-1]["success"]["rate"] == 1.0
        checks = (await client.get("/api/v1/outcomes/checks")).json()["items"]
        assert "metric.above" in [check["name"] for check in checks]
    async with premises.client(premises.rival_key) as client:
        assert (await client.get(f"/api/v1/outcomes/{outcome_id}")).status_code == 404
