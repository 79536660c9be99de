"""An installation on a database of the test's own, with a worker that does the orchestrator's jobs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from bailiwick.connectors.github.connection import KIND as GITHUB
from bailiwick.extensions import Registrar
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import CannotDetermineError
from bailiwick.tasks import DiscardTask, NewTask, RetryPolicy, Run, TaskKind
from tests.support.engine import until

WARD = "Ward Street Bakery"


class Note(BaseModel):
    """A payload that may ask for failure."""

    model_config = ConfigDict(extra="forbid")

    fails: bool = False


class Workshop:
    """Task kinds of the tests: one that does as it is told, and two learners."""

    name = "workshop"
    version = "1"
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register them."""
        for kind, handler, payload in (
            ("note", _note, Note),
            ("bread.learn", _learn, Note),
            ("cake.learn", _learn_nothing, Note),
        ):
            registrar.task_kind(TaskKind(kind, handler, payload, RetryPolicy(max_attempts=1)))


async def _note(run: Run, payload: Note) -> str:
    if payload.fails:
        raise DiscardTask("it was told to fail")
    return "done"


async def _learn(run: Run, payload: Note) -> dict[str, int]:
    return {"loaves": 3}


async def _learn_nothing(run: Run, payload: Note) -> None:
    raise CannotDetermineError("a history of cakes")


class Platform:
    """An installation whose jobs are run on demand."""

    def __init__(self, installation: Installation, home_id: str, organization_id: str) -> None:
        self.installation = installation
        self.home_id = home_id
        self.organization_id = organization_id

    async def run(self, job: str, *, organization_id: str | None = None) -> dict[str, Any]:
        """Fire a job's schedule now and return the result of its task."""
        organization_id = organization_id or self.organization_id
        before = (await self.installation.schedules.get(organization_id, job)).last_task_id
        await self.installation.schedules.fire_now(organization_id, job)

        async def ended() -> str | None:
            schedule = await self.installation.schedules.get(organization_id, job)
            is_done = schedule.last_task_id != before and schedule.last_finished_at is not None
            return schedule.last_task_id if is_done else None

        task = await self.installation.tasks.get(organization_id, await until(ended, f"{job} ends", seconds=30))
        assert task.state == "completed", task.errors
        return task.result

    async def health(self) -> dict[str, Any]:
        """Run the health check."""
        return await self.run("system.health", organization_id=self.home_id)

    async def do(self, *, fails: bool = False, agent_id: str | None = None, times: int = 1) -> None:
        """Let notes be taken, and wait for them."""
        tasks = [
            await self.installation.queue.enqueue(
                self.organization_id, NewTask("note", Note(fails=fails), agent_id=agent_id)
            )
            for _ in range(times)
        ]

        async def all_ended() -> bool:
            row = await self.installation.database.fetch_one(
                "select count(*) as n from finished_tasks where id = any(%s::uuid[])",
                ([one.task_id for one in tasks],),
                organization_id=self.organization_id,
            )
            return row is not None and row["n"] == times

        await until(all_ended, "the notes are taken")

    async def events(self, event_type: str, organization_id: str | None = None) -> list[dict[str, Any]]:
        """Return the payloads of events, newest first."""
        page = await self.installation.event_reader.list(
            organization_id or self.organization_id, type_name=event_type, limit=100
        )
        return [event.payload for event in page.items]

    async def connect(self, target: str, **configuration: Any) -> None:
        """Connect a repository."""
        await self.installation.connections.add(self.organization_id, GITHUB, target, configuration)


@pytest.fixture
async def platform(login_url: str) -> AsyncIterator[Platform]:
    """A platform with a home, one organization and a worker."""
    settings = Settings(database_url=SecretStr(login_url), outbound_allowed="127.0.0.1:*")
    async with Installation.open(settings, extra=[Workshop()]) as installation:
        await installation.first_start()
        home, ward = await installation.home(), await installation.ensure_organization(WARD)
        async with installation.run_worker():
            yield Platform(installation, home.id, ward.id)
