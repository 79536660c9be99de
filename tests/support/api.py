"""What tests of the API share: an extension of their own, clients, and the list of operations."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

from bailiwick.agents import Agent, AgentRecord
from bailiwick.api import create_app
from bailiwick.events import EventType
from bailiwick.extensions import Registrar
from bailiwick.installation import Installation
from bailiwick.tasks import DiscardTask, Run, TaskKind

METHODS = ("get", "put", "post", "delete", "patch")


class Note(BaseModel):
    text: str = ""
    number: int = 0


class Noter(Agent[Note]):
    """Notes what it is given."""

    kind = "noter"
    assignment = Note

    async def work(self, run: Run, agent: AgentRecord, assignment: Note) -> object:
        return {"noted": assignment.text, "by": agent.name}


class NotesExtension:
    """Two kinds of task, an agent and an event type for tests."""

    name = "notes"
    version = "1"
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        async def keep(run: Run, note: Note) -> object:
            return {"kept": await run.step("keep", lambda: note.text)}

        async def refuse(run: Run, note: Note) -> object:
            raise DiscardTask(f"no place for {note.text}")

        registrar.task_kind(TaskKind("note.keep", keep, Note))
        registrar.task_kind(TaskKind("note.refuse", refuse, Note))
        registrar.event_type(EventType("note.written", 1, Note, key=lambda note: f"note-{note.number}"))
        registrar.agent(Noter)


def client_of(app: FastAPI, key: str | None = None) -> httpx.AsyncClient:
    """A client without a network, with a key or without."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://api", headers=headers
    )


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document."""

    path: str
    method: str
    described: dict[str, Any]

    @property
    def name(self) -> str:
        return self.described["operationId"]

    def has_parameter(self, name: str, place: str = "query") -> bool:
        return any(
            parameter["name"] == name and parameter["in"] == place for parameter in self.described.get("parameters", [])
        )


def operations(app: FastAPI) -> Iterator[Operation]:
    """Every operation of an app."""
    for path, described in app.openapi()["paths"].items():
        for method in METHODS:
            if method in described:
                yield Operation(path, method, described[method])


class _SilentWakeups:
    def listen(self, topic: str, listener: object) -> None:
        """Never wake anybody."""


def unserved_app() -> FastAPI:
    """The app of no installation: good for looking at, not for asking."""
    settings = SimpleNamespace(trusted_proxies="", rate_limits=False)
    stub = SimpleNamespace(
        settings=settings,
        sessions=None,
        rates=None,
        metering=None,
        organizations=None,
        keys=None,
        wakeups=_SilentWakeups(),
        database=None,
        worker=None,
    )
    return create_app(cast("Installation", stub))
