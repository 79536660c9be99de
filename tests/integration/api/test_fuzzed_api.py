"""Whatever is sent, the API answers as its OpenAPI document says, and never with a defect."""

import asyncio
import itertools
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from psycopg import sql
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bailiwick.api.serving import Server
from bailiwick.audit import SYSTEM
from bailiwick.events import NewEvent
from bailiwick.events.rejections import NewRejection
from bailiwick.installation import Installation, Settings
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.tasks import NewTask
from bailiwick.tasks.schedules import NewSchedule
from tests.support.api import METHODS, NotesExtension, unserved_app

EXAMPLES = 12
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = unserved_app().openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
# A stream does not end.
OPERATIONS = [
    (path, method)
    for path, described in DOCUMENT["paths"].items()
    for method in METHODS
    if method in described and described[method]["operationId"] != "stream_events"
]
_numbers = itertools.count(1)


@dataclass
class Served:
    """Where the API answers, with which key, and what there is."""

    url: str
    key: str
    names: dict[str, str]


@pytest.fixture(scope="module")
def served(postgres: EmbeddedServer, migrated_template: str) -> Iterator[Served]:
    """One installation for all operations, served from a thread of its own."""
    name = f"fuzzed_{next(_numbers)}"
    with psycopg.connect(postgres.url_of("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(migrated_template)))  # fmt: skip
    url = postgres.url_of("postgres", name)
    ready: queue.Queue[tuple[Served, Callable[[], object]]] = queue.Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        configured = Settings(database_url=SecretStr(url), port=0, master_key=SecretStr("A" * 43 + "="))
        async with Installation.open(configured, extra=[NotesExtension()]) as installation:
            key = await installation.first_start()
            assert key is not None
            names = await furnish(installation)
            async with Server(installation) as server:
                loop = asyncio.get_running_loop()
                ready.put((Served(server.url, key, names), lambda: loop.call_soon_threadsafe(stop.set)))
                await stop.wait()

    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(asyncio.run, serve())
        while not serving.done():
            with suppress(queue.Empty):
                where, stop = ready.get(timeout=0.1)
                break
        else:
            serving.result()
            pytest.fail("the installation closed at once")
        yield where
        stop()
        serving.result()


async def furnish(installation: Installation) -> dict[str, str]:
    """Make one of everything, so that more than refusals is tried."""
    home = (await installation.home()).id
    task = await installation.queue.enqueue(home, NewTask("note.keep", {"text": "milk"}))
    event = (await installation.events.publish(home, [NewEvent("note.written", {})]))[0]
    await installation.directory.create(home, "noter", "clerk")
    await installation.schedules.put(home, NewSchedule("hourly", "note.keep", interval_seconds=3600.0))
    await installation.limits.set(home, "kind:note.keep", max_concurrency=1)
    await installation.rejections.keep(home, [NewRejection("github", 1, "no title", "{}")])
    await installation.service_accounts.create(home, "robot", "viewer")
    key = await installation.keys.make("robot key", organization_id=home, service_account="robot")
    user = await installation.accounts.create("fuzzed@example.org", "Fuzzed", actor=SYSTEM)
    session = await installation.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
    return {
        "account": "robot",
        "key": key.record.id,
        "session_id": session.session_id,
        "organization_ref": "home",
        "task_id": task.task_id,
        "event_id": event.event_id,
        "agent": "clerk",
        "schedule": "hourly",
        "subject": "kind:note.keep",
        "rejected_id": (await installation.rejections.list(home)).items[0].id,
    }


def aim(case: Any, names: dict[str, str]) -> None:
    """Turn a case to what is there, so that more than refusals is tried."""
    if case.path_parameters:
        case.path_parameters = {name: names.get(name, value) for name, value in case.path_parameters.items()}
    if isinstance(case.query, dict):
        case.query.pop("organization", None)
    if isinstance(case.body, dict):
        if "kind" in case.body:
            case.body["kind"] = "noter" if case.path == "/api/v1/agents" else "note.keep"
        for event in case.body.get("events", ()) if isinstance(case.body.get("events"), list) else ():
            if isinstance(event, dict):
                event["type"] = "note.written"


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=str)
def test_an_operation_answers_as_documented(served: Served, path: str, method: str) -> None:
    operation = SCHEMA[path][method]
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    # Where nothing can be wrong, no bad example can be made.
    can_be_bad = bool(operation.body) or any(True for _ in operation.iter_parameters())
    either = good | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) if can_be_bad else good

    @seed(20261120)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
    )
    @given(case=either, is_there=st.booleans())
    def ask(case: Any, is_there: bool) -> None:
        if is_there:
            aim(case, served.names)
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {served.key}"}
        answer = case.call(base_url=served.url)
        case.validate_response(answer, checks=CHECKS)

    ask()
