"""Two organizations with people in them, planted through the doors they really come through."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from bailiwick.audit import Actor
from bailiwick.extensions import Registrar
from bailiwick.identity import Organization
from bailiwick.installation import Installation, Settings
from bailiwick.privacy import Identifier
from bailiwick.tasks import DiscardTask, NewTask, RetryPolicy, Run, TaskKind
from tests.support.engine import until

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
CLERK = Actor("user", "00000000-0000-7000-8000-00000000c1e2", "a clerk")


class Message(BaseModel):
    text: str


class Desk:
    """A kind of task that fails with what it was given, and one that keeps it in its journal."""

    name = "desk"
    version = "1"
    migrations: Path | None = None

    def __init__(self) -> None:
        self.forgot: list[str] = []

    def register(self, registrar: Registrar) -> None:
        registrar.forgetting(self.forgot.append)
        registrar.task_kind(TaskKind("desk.fail", _fail, Message, RetryPolicy(max_attempts=1)))
        registrar.task_kind(TaskKind("desk.keep", _keep, Message))


async def _fail(run: Run, message: Message) -> None:
    raise DiscardTask(f"nobody can read {message.text}")


async def _keep(run: Run, message: Message) -> str:
    return await run.step("keep", lambda: f"kept {message.text}")


@dataclass
class Bureau:
    """An installation with two organizations that know nothing of each other."""

    installation: Installation
    acme: Organization
    rival: Organization
    desk: Desk

    async def idle(self) -> None:
        """Wait until nothing is left to do but what waits for a person."""

        async def is_idle() -> bool:
            for organization in (self.acme, self.rival):
                row = await self.installation.database.fetch_one(
                    "select count(*) as n from tasks where organization_id = %s and kind <> 'outcome.check' "
                    "and (wait_event is null or wait_event not in ('issue.released', 'approval.answered'))",
                    (organization.id,),
                    organization_id=organization.id,
                )
                if row is None or row["n"]:
                    return False
            return True

        await until(is_idle, "no task is left to do", seconds=40, every_seconds=0.05)

    async def do(self, organization: Organization, kind: str, text: str) -> str:
        made = await self.installation.queue.enqueue(organization.id, NewTask(kind, Message(text=text)))
        return made.task_id

    async def register(self, organization: Organization, *references: str) -> str:
        identifiers = [Identifier.parse(reference) for reference in references]
        return (await self.installation.privacy.subjects.register(organization.id, identifiers, actor=CLERK)).id

    async def request_ends(self, organization: Organization, request_id: str, states: Sequence[str] = ("done",)) -> str:
        async def ended() -> str | None:
            state = (await self.installation.privacy.requests.get(organization.id, request_id)).state
            return state if state != "pending" else None

        state = await until(ended, "the request ends", seconds=100, every_seconds=0.05)
        assert state in states
        return state


def settings_of(login_url: str) -> Settings:
    return Settings(
        database_url=SecretStr(login_url),
        master_key=SecretStr(MASTER_KEY),
        port=0,
        worker_lease_seconds=1.0,
        worker_concurrency=20,
    )


@pytest.fixture
async def bureau(login_url: str, tmp_path: Path) -> AsyncIterator[Bureau]:
    settings = settings_of(login_url)
    async with Installation.open(settings, extra=[desk := Desk()]) as installation:
        await installation.first_start()
        acme = await installation.create_organization("Acme")
        rival = await installation.create_organization("Rival")
        yield Bureau(installation, acme, rival, desk)
