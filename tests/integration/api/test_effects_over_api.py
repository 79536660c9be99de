"""Effects and tools over the API."""

import httpx

from bailiwick.audit import EntryFilter
from tests.integration.api.conftest import Premises
from tests.support.effects_rows import put_effect


async def test_effects_are_listed_shown_and_settled(
    premises: Premises, owner: httpx.AsyncClient, login_url: str
) -> None:
    known = put_effect(login_url, premises.acme.id, "verified")
    unknown = put_effect(login_url, premises.acme.id, tool="folder.blind")
    listed = (await owner.get("/api/v1/effects")).json()["items"]
    assert [one["id"] for one in listed] == [unknown, known]
    for query, expected in (("state=unknown", [unknown]), ("tool=folder.append", [known]), ("target=file:x", [])):
        found = (await owner.get(f"/api/v1/effects?{query}")).json()["items"]
        assert [one["id"] for one in found] == expected, query
    page = (await owner.get("/api/v1/effects?limit=1")).json()
    following = (await owner.get(f"/api/v1/effects?limit=1&cursor={page['next_cursor']}")).json()
    assert [one["id"] for one in following["items"]] == [known]
    shown = (await owner.get(f"/api/v1/effects/{unknown}")).json()
    assert [move["state"] for move in shown["moves"]] == ["proposed", "executing", "unknown"]
    settled = await owner.post(f"/api/v1/effects/{unknown}/settle", json={"outcome": "failed", "reason": "not there"})
    assert (settled.status_code, settled.json()["state"]) == (200, "failed"), settled.text
    again = await owner.post(f"/api/v1/effects/{unknown}/settle", json={"outcome": "applied", "reason": "there"})
    assert again.status_code == 409
    entries = await premises.installation.audit.list(premises.acme.id, EntryFilter(target=f"effect:{unknown}"))
    assert [(one.action, one.reason, one.after and one.after["state"]) for one in entries.items] == [
        ("effect.settled", "not there", "failed"),
    ]  # fmt: skip


async def test_tools_are_listed_with_their_contract(acme: httpx.AsyncClient) -> None:
    tools = (await acme.get("/api/v1/tools")).json()["items"]
    assert [tool["name"] for tool in tools] == sorted(tool["name"] for tool in tools)
    comment = next(tool for tool in tools if tool["name"] == "github.comment")
    assert comment["effect_class"] in ("write", "external")
    assert comment["arguments"]["type"] == "object"


async def test_another_organizations_effects_do_not_exist(
    premises: Premises, owner: httpx.AsyncClient, login_url: str
) -> None:
    theirs = put_effect(login_url, premises.rival.id)
    assert (await owner.get("/api/v1/effects")).json()["items"] == []
    assert (await owner.get(f"/api/v1/effects/{theirs}")).status_code == 404
    settle = {"outcome": "applied", "reason": "mine now"}
    assert (await owner.post(f"/api/v1/effects/{theirs}/settle", json=settle)).status_code == 404
    assert (await owner.get("/api/v1/effects/nonsense")).status_code == 404
