"""Rate limits, quotas and usage through the API."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from bailiwick.api import create_app
from bailiwick.api.rate_limiting import RateLimiting
from bailiwick.audit import SYSTEM
from bailiwick.identity.quotas import Rate
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import RateLimitedError
from tests.integration.api.conftest import Premises
from tests.support.api import NotesExtension


@dataclass
class Limited:
    """An installation that limits rates, behind a proxy that is believed."""

    installation: Installation
    app: FastAPI
    acme_id: str
    acme_key: str
    admin_key: str

    async def ask(self, path: str, *, key: str | None = None, address: str = "203.0.113.7") -> httpx.Response:
        headers = {"x-forwarded-for": address} | ({} if key is None else {"authorization": f"Bearer {key}"})
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("10.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path, headers=headers)


@pytest.fixture
async def limited(login_url: str) -> AsyncIterator[Limited]:
    settings = Settings(
        database_url=SecretStr(login_url), port=0, rate_limits=True, address_rate_per_minute=6,
        login_rate_per_minute=3, trusted_proxies="10.0.0.0/8",
    )  # fmt: skip
    async with Installation.open(settings, extra=[NotesExtension()]) as installation:
        admin_key = await installation.first_start()
        assert admin_key is not None
        acme = await installation.organizations.create("Acme")
        key = await installation.keys.issue("acme", organization_id=acme.id)
        yield Limited(installation, create_app(installation), acme.id, key, admin_key)


async def test_every_answer_says_what_is_left(limited: Limited) -> None:
    good = await limited.ask("/api/v1/tasks", key=limited.acme_key)
    assert good.status_code == 200
    assert good.headers["ratelimit-policy"] == '"key";q=120;w=12, "organization";q=600;w=12'
    assert good.headers["ratelimit"].startswith('"key";r=1')
    missing = await limited.ask("/api/v1/tasks/nothing", key=limited.acme_key)
    assert missing.status_code == 404
    assert "ratelimit" in missing.headers
    assert "ratelimit" not in (await limited.ask("/healthz")).headers


async def test_who_asks_too_often_is_told_when_to_come_again(limited: Limited) -> None:
    await limited.installation.quotas.set_rate(limited.acme_id, "key", Rate(per_minute=2, burst=3), actor=SYSTEM)
    answers = [await limited.ask("/api/v1/tasks", key=limited.acme_key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["code"] == "rate.limited"
    assert problem["retryable"]
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 30
    assert f'"key";r=0;t={wait}' in refused.headers["ratelimit"]
    # Another key of the organization is not to blame.
    other = await limited.installation.keys.issue("other", organization_id=limited.acme_id)
    assert (await limited.ask("/api/v1/tasks", key=other)).status_code == 200


async def test_an_organization_is_limited_over_all_its_keys(limited: Limited) -> None:
    await limited.installation.quotas.set_rate(limited.acme_id, "organization", Rate(1, 4), actor=SYSTEM)
    keys = [await limited.installation.keys.issue(f"k{n}", organization_id=limited.acme_id) for n in range(3)]
    answers = [(await limited.ask("/api/v1/tasks", key=keys[n % 3])).status_code for n in range(6)]
    assert answers == [200, 200, 200, 200, 429, 429]
    assert (await limited.ask("/api/v1/tasks", key=limited.admin_key)).status_code == 200


async def test_an_address_that_tries_keys_is_refused_before_they_are_looked_at(limited: Limited) -> None:
    tried = [(await limited.ask("/api/v1/tasks", key=f"bw_guess{n}")).status_code for n in range(9)]
    assert tried == [401] * 6 + [429] * 3
    assert (await limited.ask("/api/v1/tasks", key=limited.acme_key)).status_code == 429
    # From elsewhere the key opens, and good credentials cost an address nothing.
    elsewhere = [(await limited.ask("/api/v1/tasks", key=limited.acme_key, address="203.0.113.8")).status_code
                 for _ in range(10)]  # fmt: skip
    assert elsewhere == [200] * 10


async def test_a_client_of_ipv6_cannot_change_its_address_within_its_network(limited: Limited) -> None:
    tried = [
        (await limited.ask("/api/v1/tasks", key="bw_guess", address=f"2001:db8:0:1::{n:x}")).status_code
        for n in range(1, 9)
    ]
    assert tried == [401] * 6 + [429] * 2


async def test_this_machine_is_not_shut_out_by_what_others_try_through_it(limited: Limited) -> None:
    transport = httpx.ASGITransport(limited.app, raise_app_exceptions=False, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answers = [
            (await client.get("/api/v1/tasks", headers={"authorization": "Bearer bw_no"})).status_code for _ in range(9)
        ]
    assert answers == [401] * 9


async def test_logins_are_limited_by_account_from_anywhere(limited: Limited) -> None:
    rates: RateLimiting = limited.app.state.rates
    for _ in range(3):
        await rates.login({"state": {}}, "Anna@example.org ")
    with pytest.raises(RateLimitedError, match="account"):
        await rates.login({"state": {}}, "anna@example.org")
    await rates.login({"state": {}}, "ben@example.org")


async def test_calls_are_counted_and_refused_at_the_hard_limit(premises: Premises, acme: httpx.AsyncClient) -> None:
    admin = premises.client(premises.admin_key)
    async with admin:
        bounded = await admin.put("/api/v1/quotas/api_calls?organization=acme", json={"soft": 3, "hard": 5})
        assert bounded.status_code == 200
    answers = [(await acme.get("/api/v1/tasks")).status_code for _ in range(7)]
    assert answers == [200] * 5 + [403] * 2
    problem = (await acme.get("/api/v1/tasks")).json()
    assert problem["code"] == "quota.exceeded"
    assert "bailiwick quotas set api_calls --hard" in problem["detail"]
    # Whoever has nothing left may still see that, and it costs nothing.
    usage = (await acme.get("/api/v1/usage")).json()
    assert {total["resource"]: total["amount"] for total in usage["totals"]}["api_calls"] == "5"
    quota = next(q for q in (await acme.get("/api/v1/quotas")).json()["quotas"] if q["resource"] == "api_calls")
    assert (quota["used"], quota["hard"], quota["state"], quota["origin"]) == ("5", "5", "hard", "organization")


async def test_usage_is_exported_as_csv_with_what_was_asked(premises: Premises, acme: httpx.AsyncClient) -> None:
    for _ in range(12):
        await acme.get("/api/v1/tasks")
    await acme.post("/api/v1/tasks", json={"kind": "note.keep", "payload": {}})
    exported = await acme.get("/api/v1/usage?format=csv")
    assert exported.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert {row["resource"]: row["amount"] for row in rows} == {"api_calls": "13", "tasks": "1"}
    assert {row["organization_id"] for row in rows} == {premises.acme.id}
    async with premises.client(premises.admin_key) as admin:
        everybody = (await admin.get("/api/v1/usage/organizations")).json()
    assert {total["organization_id"] for total in everybody["totals"]} >= {premises.acme.id}


async def test_only_an_administrator_of_the_installation_changes_quotas(
    premises: Premises, acme: httpx.AsyncClient
) -> None:
    for method, path, body in (
        ("PUT", "/api/v1/quotas", {"plan": "unlimited"}),
        ("PUT", "/api/v1/quotas/tasks", {"hard": 10**9}),
        ("DELETE", "/api/v1/quotas/tasks", None),
        ("PUT", "/api/v1/quotas/rates/key", {"per_minute": 10**6}),
        ("GET", "/api/v1/plans", None),
        ("PUT", "/api/v1/plans/mine", {}),
        ("DELETE", "/api/v1/plans/mine", None),
        ("GET", "/api/v1/usage/organizations", None),
    ):
        assert (await acme.request(method, path, json=body)).status_code == 403, (method, path)
    # Another's are not even there.
    for path in ("/api/v1/usage", "/api/v1/quotas"):
        assert (await acme.get(f"{path}?organization=rival")).status_code == 404


async def test_an_administrator_makes_plans_and_puts_organizations_on_them(premises: Premises) -> None:
    async with premises.client(premises.admin_key) as admin:
        plan = {"quotas": {"tasks": {"hard": 2}}, "rates": {"key": {"per_minute": 60, "burst": 10}, "user": None}}
        made = await admin.put("/api/v1/plans/starter", json=plan)
        assert made.status_code == 200, made.text
        assert [plan["name"] for plan in (await admin.get("/api/v1/plans")).json()["items"]] == ["starter", "unlimited"]
        view = (await admin.put("/api/v1/quotas?organization=acme", json={"plan": "starter"})).json()
        assert view["plan"] == "starter"
        assert view["rates"] == {
            "key": {"per_minute": 60, "burst": 10}, "user": None, "organization": {"per_minute": 3000, "burst": 600}
        }  # fmt: skip
        assert (await admin.delete("/api/v1/plans/starter")).status_code == 409
        lifted = (await admin.put("/api/v1/quotas/tasks?organization=acme", json={})).json()
        assert next(q for q in lifted["quotas"] if q["resource"] == "tasks")["hard"] is None
        back = (await admin.delete("/api/v1/quotas/tasks?organization=acme")).json()
        assert next(q for q in back["quotas"] if q["resource"] == "tasks")["hard"] == "2"
        assert (
            await admin.put("/api/v1/quotas/rates/key?organization=acme", json={"per_minute": 5})
        ).status_code == 200
        await admin.put("/api/v1/quotas?organization=acme", json={"plan": "unlimited"})
        assert (await admin.delete("/api/v1/plans/starter")).status_code == 204
        assert (await admin.put("/api/v1/quotas/tasks", json={"soft": 9, "hard": 1})).status_code == 422
        assert (await admin.put("/api/v1/quotas/coffee", json={})).status_code == 422


async def test_a_task_over_the_quota_is_refused_at_the_door(premises: Premises, acme: httpx.AsyncClient) -> None:
    async with premises.client(premises.admin_key) as admin:
        await admin.put("/api/v1/quotas/tasks?organization=acme", json={"hard": 1})
    task = {"kind": "note.keep", "payload": {}}
    assert (await acme.post("/api/v1/tasks", json=task)).status_code == 201
    refused = await acme.post("/api/v1/tasks", json=task)
    assert refused.status_code == 403
    assert refused.json()["code"] == "quota.exceeded"
