"""The API on a port: health, readiness, metrics, and a port that is taken."""

import asyncio
import socket

import httpx
import psycopg
import pytest

from bailiwick.api.serving import PortInUseError, Server, claim_port
from bailiwick.kernel.errors import InvalidInputError
from tests.integration.api.conftest import Premises


async def test_it_answers_until_it_is_left(premises: Premises) -> None:
    async with Server(premises.installation) as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
        assert "server" not in answer.headers
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as late:
            await late.get(f"{server.url}/healthz")


async def test_a_request_under_way_is_answered_at_the_end(premises: Premises) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    server = Server(premises.installation)

    @server.app.get("/slow")
    async def slow() -> str:
        began.set()
        await go_on.wait()
        return "done"

    async with httpx.AsyncClient(headers={"authorization": f"Bearer {premises.acme_key}"}) as client, server:
        asked = asyncio.create_task(client.get(f"{server.url}/slow"))
        await began.wait()
        leaving = asyncio.create_task(server.__aexit__(None, None, None))
        await asyncio.sleep(0)
        go_on.set()
        assert (await asked).json() == "done"
        await leaving


def test_a_taken_port_is_told_at_once() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} on 127.0.0.1 is in use; stop the program"):
            claim_port("127.0.0.1", port)


def test_a_claimed_port_is_taken() -> None:
    with claim_port("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortInUseError):
            claim_port("127.0.0.1", port)
    claim_port("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "x" * 300])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot listen on"):
        claim_port(host, 0)


async def test_ready_says_why_not(premises: Premises) -> None:
    async with premises.client() as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"is_ready": True, "has_worker": False, "reasons": []})
        async with premises.installation.run_worker() as worker:
            del premises.app.state.readiness
            assert (await client.get("/readyz")).json()["has_worker"] is True
            await premises.installation.database.execute(
                "update workers set state = 'dead' where id = %s", (worker.id,)
            )
            del premises.app.state.readiness
            lost = await client.get("/readyz")
            assert lost.status_code == 503 or lost.json()["is_ready"], "a worker may have registered anew"
        await premises.installation.database.close()
        del premises.app.state.readiness
        down = await client.get("/readyz")
        assert (down.status_code, down.json()["reasons"]) == (503, ["the database does not answer"])


async def test_metrics_count_what_is_there(premises: Premises, admin: httpx.AsyncClient) -> None:
    for number in range(3):
        await admin.post("/api/v1/tasks", json={"kind": "note.keep", "payload": {"number": number}})
    await admin.post("/api/v1/tasks", json={"kind": "note.keep", "delay_seconds": 100})
    await premises.installation.database.execute(
        "insert into limits (organization_id, subject, blocked_until) values (%s, 'agent:x', now() + interval '1 h')",
        (premises.acme.id,),
        organization_id=premises.acme.id,
    )
    answer = await admin.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert lines['bailiwick_tasks{state="available"}'] == "3.0"
    assert lines['bailiwick_tasks{state="scheduled"}'] == "1.0"
    assert (lines["bailiwick_open_breakers"], lines["bailiwick_workers_alive"]) == ("1.0", "0.0")
    assert float(lines["bailiwick_oldest_available_task_seconds"]) >= 0
    assert any(line.startswith('bailiwick_http_request_seconds_count{method="POST",route="') for line in lines)


async def test_without_a_database_the_answer_says_to_try_again(premises: Premises, admin: httpx.AsyncClient) -> None:
    await admin.get("/api/v1/tasks")
    async with await psycopg.AsyncConnection.connect(premises.installation.url, autocommit=True) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
            "and pid <> pg_backend_pid() and usename = current_user"
        )
    answers = [await admin.get("/api/v1/tasks") for _ in range(5)]
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert all(answer.json()["retryable"] for answer in answers if answer.status_code == 503)
    assert answers[-1].status_code == 200
