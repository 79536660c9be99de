"""Budgets over the API."""

from decimal import Decimal

import httpx

from bailiwick.kernel.ids import new_id
from tests.integration.api.conftest import Premises

_DAILY = {"scope": "organization", "unit": "money", "period": "day", "amount": "10"}


async def test_a_budget_is_made_shown_spent_from_and_removed_over_the_api(
    premises: Premises,
    owner: httpx.AsyncClient,
) -> None:
    made = await owner.put("/api/v1/budgets/daily", json=_DAILY)
    assert made.status_code == 200, made.text
    assert made.json()["ladder"] == [
        {"at": "0.8", "do": "tell"}, {"at": "1", "do": "ask"}, {"at": "1.2", "do": "stop"},
    ]  # fmt: skip
    task = new_id()
    await premises.installation.budgets.reserve(
        premises.acme.id, agent_id=None, task_id=task, unit="money", amount=Decimal(9), key="a"
    )
    shown = (await owner.get("/api/v1/budgets/daily")).json()
    assert shown["accounts"][0] | {"began_at": None, "ends_at": None} == {
        "holder": premises.acme.id, "began_at": None, "ends_at": None, "reserved": "9", "settled": "0",
    }  # fmt: skip
    assert [(one["key"], one["task_id"], one["amount"]) for one in shown["held"]] == [("a", task, "9")]
    events = (await owner.get("/api/v1/events?type=budget.reached")).json()["items"]
    assert [event["payload"]["do"] for event in events] == ["tell"]
    assert [one["name"] for one in (await owner.get("/api/v1/budgets")).json()["items"]] == ["daily"]
    assert (await owner.delete("/api/v1/budgets/daily")).status_code == 204
    assert (await owner.get("/api/v1/budgets/daily")).status_code == 404


async def test_what_cannot_hold_is_refused_with_the_reason(owner: httpx.AsyncClient) -> None:
    for change, said in (
        ({"ladder": [{"at": "1", "do": "tell"}]}, "the last rung stops or asks"),
        ({"ladder": [{"at": "1", "do": "ask"}, {"at": "0.5", "do": "stop"}]}, "rise"),
        ({"period": "life"}, "a run's budget is for its life"),
        ({"zone": "Nowhere"}, "no time zone"),
        ({"scope": "run", "period": "life", "subject": "me"}, "by its id"),
    ):
        answer = await owner.put("/api/v1/budgets/daily", json={**_DAILY, **change})
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
    answer = await owner.put("/api/v1/budgets/daily", json={**_DAILY, "scope": "agent", "subject": "nobody"})
    assert answer.status_code == 404


async def test_another_organizations_budgets_do_not_exist(
    premises: Premises,
    owner: httpx.AsyncClient,
) -> None:
    await owner.put("/api/v1/budgets/daily", json=_DAILY)
    async with premises.client(premises.rival_key) as rival:
        assert (await rival.get("/api/v1/budgets/daily")).status_code == 404
        assert (await rival.get("/api/v1/budgets")).json()["items"] == []
