"""Events over the API: published once, listed, and followed as they happen."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from bailiwick.api.serving import Server
from tests.integration.api.conftest import Premises


def note(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "note.written", "payload": {"text": f"note {number}", "number": number}, **more}


async def publish(client: httpx.AsyncClient, *numbers: int) -> list[str]:
    answer = await client.post("/api/v1/events", json={"events": [note(number) for number in numbers]})
    assert answer.status_code == 201, answer.text
    return [item["event_id"] for item in answer.json()["items"]]


async def test_events_are_recorded_once(acme: httpx.AsyncClient) -> None:
    body = {"events": [note(1, dedupe_key="k1"), note(2)]}
    first = (await acme.post("/api/v1/events", json=body)).json()["items"]
    second = (await acme.post("/api/v1/events", json=body)).json()["items"]
    assert [item["is_duplicate"] for item in first + second] == [False, False, True, False]
    assert first[0] == second[0] | {"is_duplicate": False}
    event = (await acme.get(f"/api/v1/events/{first[0]['event_id']}")).json()
    assert (event["type"], event["key"], event["payload"]["text"]) == ("note.written", "note-1", "note 1")


async def test_listings_are_filtered(acme: httpx.AsyncClient) -> None:
    ids = await publish(acme, 1, 2, 1)

    async def listed(query: str) -> list[str]:
        return [event["id"] for event in (await acme.get(f"/api/v1/events?{query}")).json()["items"]]

    assert await listed("") == ids[::-1]
    assert await listed("key=note-1") == [ids[2], ids[0]]
    assert await listed("type=note.written&key=note-2") == [ids[1]]
    assert await listed("type=issue.opened") == []


@pytest.mark.parametrize(
    "event",
    [
        note(1) | {"type": "no.such"},
        note(1) | {"payload": {"number": "many"}},
        note(1, occurred_at="2026-03-01T00:00:00"),
        note(1, occurred_at="0001-01-01T00:00:00Z"),
        note(1, cause_id="7"),
        note(1, colour="red"),
    ],
)
async def test_one_bad_event_refuses_all(acme: httpx.AsyncClient, event: dict[str, Any]) -> None:
    answer = await acme.post("/api/v1/events", json={"events": [note(0), event]})
    assert answer.status_code == 422
    assert (await acme.get("/api/v1/events")).json()["items"] == []


async def test_nobody_publishes_what_only_the_platform_tells(
    premises: Premises, acme: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    types = premises.installation.events.types
    internal = {name for name in types.names() if types.get(name).is_internal}
    assert internal >= {
        "session.replayed", "security.alarm", "quota.soft_limit_reached", "quota.hard_limit_reached",
        "consent.changed", "consent.withdrawn", "subject.erased", "learning.updated",
    }  # fmt: skip
    for name in internal:
        for client in (acme, admin):
            answer = await client.post("/api/v1/events", json={"events": [note(0), note(1) | {"type": name}]})
            assert (answer.status_code, name in answer.json()["detail"]) == (403, True), answer.text
    assert (await acme.get("/api/v1/events")).json()["items"] == []


async def test_pages_are_complete_and_repeat_nothing_while_events_come_in(acme: httpx.AsyncClient) -> None:
    before = await publish(acme, *range(25))
    walked: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await acme.get("/api/v1/events", params=query)).json()
        walked += [event["id"] for event in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await publish(acme, 99)
    assert walked == before[::-1]


class Stream:
    """The messages of one server-sent event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def message(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line and fields.get("data"):
                    return fields
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
        raise EOFError

    async def texts(self, count: int) -> list[str]:
        return [json.loads((await self.message())["data"])["payload"]["text"] for _ in range(count)]


@pytest.fixture
async def served(premises: Premises) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API on a port, with the key of Acme."""
    async with (
        Server(premises.installation) as server,
        httpx.AsyncClient(
            base_url=server.url, headers={"authorization": f"Bearer {premises.acme_key}"}, timeout=30
        ) as client,
    ):
        yield client


@asynccontextmanager
async def following(client: httpx.AsyncClient, query: str = "", **headers: str) -> AsyncGenerator[Stream]:
    async with client.stream("GET", f"/api/v1/events/stream{query}", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response)


async def test_a_stream_tells_what_happens_from_now_on(premises: Premises, served: httpx.AsyncClient) -> None:
    await publish(served, 1)
    async with following(served) as stream:
        async with premises.client(premises.rival_key) as rival:
            await publish(rival, 66)
        ids = await publish(served, 2, 3)
        message = await stream.message()
        assert (message["event"], json.loads(message["data"])["id"]) == ("note.written", ids[0])
        assert await stream.texts(1) == ["note 3"]


async def test_a_stream_goes_on_where_a_client_left_off(served: httpx.AsyncClient) -> None:
    async with following(served) as stream:
        await publish(served, 1, 2)
        await stream.message()
        position = (await stream.message())["id"]
    ids = await publish(served, 3, 4)
    async with following(served, **{"Last-Event-ID": position}) as stream:
        assert await stream.texts(2) == ["note 3", "note 4"]
    async with following(served, f"?after={ids[0]}") as stream:
        assert await stream.texts(1) == ["note 4"]


async def test_a_stream_can_be_of_some_types_only(served: httpx.AsyncClient) -> None:
    async with following(served, "?type=task.completed&type=note.written") as stream:
        await publish(served, 1)
        assert await stream.texts(1) == ["note 1"]


@pytest.mark.parametrize("position", ["nonsense", "00000000-0000-0000-0000-000000000000"])
async def test_a_stream_from_nowhere_is_refused(served: httpx.AsyncClient, position: str) -> None:
    answer = await served.get("/api/v1/events/stream", headers={"Last-Event-ID": position})
    assert answer.status_code == 422


async def test_a_stream_ends_when_its_key_is_revoked(premises: Premises, served: httpx.AsyncClient) -> None:
    async with following(served) as stream:
        await premises.installation.keys.revoke("acme")
        with pytest.raises(EOFError):
            await stream.message()


async def test_a_stream_ends_when_the_server_stops(premises: Premises) -> None:
    server = Server(premises.installation)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {premises.acme_key}"}) as client, server:
        opened = client.stream("GET", f"{server.url}/api/v1/events/stream")
        stream = Stream(await opened.__aenter__())
        async with asyncio.timeout(5):
            leaving = asyncio.create_task(server.__aexit__(None, None, None))
            with pytest.raises(EOFError):
                await stream.message()
            await leaving
        await opened.__aexit__(None, None, None)
