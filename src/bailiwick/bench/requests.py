"""``bailiwick bench requests``: what authentication and row-level security add to a request."""

import base64
import copy
import gc
import random
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import Message, Scope

from bailiwick.api import create_app
from bailiwick.api.authentication import Authentication
from bailiwick.audit import SYSTEM
from bailiwick.bench.report import Report, ratio
from bailiwick.bench.rivals.measuring import percentile
from bailiwick.bench.rivals.scratch import scratch_database
from bailiwick.bench.server import bench_server
from bailiwick.bench.steps import STEPS, BenchExtension, StepsPayload
from bailiwick.identity import MACHINE, Caller
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import InternalError
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.tasks import NewTask
from bailiwick.tasks.reader import TaskReader

_TASKS = 500
_ROUNDS = 300
_WARM_UP = 30
_LIST = "/api/v1/tasks"


class _UnseparatedDatabase(Database):
    """Reads as a superuser and sets no tenant: no policy is applied to anything."""

    @asynccontextmanager
    async def transaction(self, organization_id: str | None = None) -> AsyncGenerator[Connection]:
        """Run a block in one transaction of nobody's."""
        del organization_id
        async with super().transaction() as connection:
            yield connection


class _NoAuthentication(Authentication):
    """Takes everybody for the administrator without looking."""

    async def authenticate(self, scope: Scope) -> Caller:
        """Return the administrator."""
        return MACHINE


@dataclass(frozen=True)
class _Way:
    """One way to ask: an app, the headers, and whether the app must ask the database who it is."""

    app: FastAPI
    headers: Mapping[str, str]
    path: str
    is_forgotten: bool = False


async def measure_requests(*, say: Callable[[str], None], rounds: int = _ROUNDS) -> Report:
    """Measure the same reads with and without authentication and row-level security, in turns on one server.

    Each request passes the whole app in this process, so that no network hides
    what is added. Both read the same rows by the same SQL; the plain one as a
    superuser without a tenant, for a caller nobody looked up.
    """
    master_key = SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())
    async with bench_server() as server, scratch_database(server.url, "requests") as url:
        settings = Settings(database_url=SecretStr(url), warm_start=False, rate_limits=False, master_key=master_key)
        async with Installation.open(settings, extra=[BenchExtension()]) as installation:
            say(f"adding {2 * _TASKS:,} tasks of two organizations")
            ways = await _ways(installation, url)
            try:
                say(f"asking {rounds} times in {len(ways)} ways, in turns")
                taken = await _measure(ways, rounds)
            finally:
                await ways["plain_list"].app.state.installation.database.close()
    figures: dict[str, float | None] = {}
    for name, times in taken.items():
        figures[f"{name}_p50_ms"] = percentile(times, 0.5)
        figures[f"{name}_p95_ms"] = percentile(times, 0.95)
    for name in taken:
        kind, read = name.rsplit("_", 1)
        if kind != "plain":
            for share in ("p50", "p95"):
                plain = figures[f"plain_{read}_{share}_ms"]
                figures[f"{name}_{share}_ratio"] = ratio(figures[f"{name}_{share}_ms"], plain)
    return Report("requests", figures, (), {"tasks": 2 * _TASKS, "rounds": rounds})


async def _ways(installation: Installation, url: str) -> dict[str, _Way]:
    """Return every way to read a page of tasks and a single task."""
    acme = await installation.organizations.ensure("acme")
    other = await installation.organizations.ensure("other")
    user = await installation.accounts.create("bench@example.org", "Bench", actor=SYSTEM)
    await installation.memberships.add(acme.id, user.id, "owner", actor=SYSTEM)
    for place in (acme, other):
        tasks = [NewTask(STEPS, StepsPayload(number=number)) for number in range(_TASKS)]
        await installation.queue.enqueue_many(place.id, tasks)
    one = (await installation.tasks.list(acme.id, limit=1)).items[0].id
    key = {"authorization": f"Bearer {await installation.keys.issue('bench', organization_id=acme.id)}"}
    pair = await installation.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
    token = {"authorization": f"Bearer {pair.access}"}
    browser = await installation.sessions.begin_in_browser(user.id, methods=["pwd"], address=None, user_agent=None)
    cookie = {"cookie": f"bailiwick_session={browser.token}"}
    app, plain = create_app(installation), await _plain_app(installation, url)
    ways: dict[str, _Way] = {}
    for read, path in (("list", f"{_LIST}?limit=50"), ("task", f"{_LIST}/{one}?")):
        named = f"{path}&organization=acme"
        ways[f"plain_{read}"] = _Way(plain, {}, named)
        ways[f"key_{read}"] = _Way(app, key, named)
        ways[f"token_{read}"] = _Way(app, token, named)
        ways[f"cookie_{read}"] = _Way(app, cookie, named)
        # The first request of a second, which looks everything up.
        ways[f"first_key_{read}"] = _Way(app, key, named, is_forgotten=True)
        ways[f"first_token_{read}"] = _Way(app, token, named, is_forgotten=True)
    return ways


async def _plain_app(installation: Installation, url: str) -> FastAPI:
    """Return the same app without authentication, on a connection that no policy applies to."""
    plain = copy.copy(installation)
    plain.database = _UnseparatedDatabase(url)
    await plain.database.open()
    plain.tasks = TaskReader(plain.database)
    app = create_app(plain)
    asking = app.state.authentication
    for middleware in app.user_middleware:
        if middleware.kwargs.get("authentication") is asking:
            middleware.kwargs["authentication"] = _NoAuthentication(plain.keys, plain.sessions, asking.proxies)
    return app


async def _measure(ways: Mapping[str, _Way], rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    # Shuffled, because whoever comes after a particular other pays for what that one left behind.
    order, shuffling = list(ways.items()), random.Random(0)  # noqa: S311 - the same order at every run
    for turn in range(_WARM_UP + rounds):
        shuffling.shuffle(order)
        for name, way in order:
            if way.is_forgotten:
                way.app.state.authentication.forget()
            began = time.perf_counter()
            await _ask(way)
            if turn >= _WARM_UP:
                taken[name].append((time.perf_counter() - began) * 1000)
        # Between measurements, so that it falls on none of them.
        if turn % 50 == 0:
            gc.collect()
    return taken


async def _ask(way: _Way) -> None:
    path, _, query = way.path.partition("?")
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.strip("&").encode(),
        "headers": [(name.encode(), value.encode()) for name, value in way.headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await way.app(scope, receive, send)
    if statuses != [200]:
        raise InternalError(f"{way.path} answered {statuses} while it was measured")
