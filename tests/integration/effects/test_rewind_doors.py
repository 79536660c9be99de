"""Rewinds over the API, on a whole installation with its own worker."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bailiwick.api import create_app
from bailiwick.extensions import Registrar
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import NewTask, TaskKind
from tests.support.acting import PERSON
from tests.support.api import NotesExtension, client_of
from tests.support.engine import AnyPayload, until
from tests.support.shelf import BurnTool, PutTool, Shelf, TakeTool, play


class ShelfExtension:
    """The tools of a shelf, and a kind of task that plays scripts on it."""

    name = "shelf"
    version = "1"
    migrations: Path | None = None

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def register(self, registrar: Registrar) -> None:
        for tool in (PutTool, TakeTool, BurnTool):
            registrar.tool(tool(self.shelf))
        registrar.task_kind(TaskKind("play", play, AnyPayload))


class House:
    """An installation with a shelf, an agent that may do everything, and a client of its organization."""

    def __init__(self, installation: Installation, shelf: Shelf, organization_id: str) -> None:
        self.installation = installation
        self.shelf = shelf
        self.organization_id = organization_id
        self.agents: dict[str, str] = {}

    async def hire(self, kind: str, name: str) -> None:
        agent = await self.installation.directory.create(self.organization_id, kind, name)
        self.agents[name] = agent.id
        for effect_class in ("write", "destructive"):
            await self.installation.autonomy.set_level(
                self.organization_id, agent.id, effect_class, 5, actor=PERSON, reason="a test"
            )

    async def ended(self, task_id: str) -> Any:
        async def look() -> Any:
            task = await self.installation.tasks.get(self.organization_id, task_id)
            return task if task.state.is_final else None

        return await until(look, f"task {task_id} ends", seconds=30)

    async def play(self, *script: tuple[str, str, str]) -> str:
        task = NewTask("play", {"script": script}, agent_id=self.agents["noter"])
        made = await self.installation.queue.enqueue(self.organization_id, task)
        assert (await self.ended(made.task_id)).result == ["verified"] * len(script)
        return made.task_id


@pytest.fixture
async def house(login_url: str, tmp_path: Path) -> AsyncIterator[House]:
    shelf = Shelf(tmp_path)
    settings = Settings(database_url=SecretStr(login_url), port=0, rate_limits=False, warm_start=False)
    async with (
        Installation.open(settings, extra=[NotesExtension(), ShelfExtension(shelf)]) as installation,
        installation.run_worker(),
    ):
        organization = await installation.organizations.create("Acme")
        made = House(installation, shelf, organization.id)
        await made.hire("noter", "noter")
        await made.hire("rewinder", "rewinder")
        yield made


async def test_a_run_is_rewound_over_the_api_as_its_dry_run_says(house: House) -> None:
    run = await house.play(("put", "a", "1"), ("burn", "b", "ash"), ("put", "c", "3"))
    key = await house.installation.keys.issue("acme", organization_id=house.organization_id)
    path = f"/api/v1/runs/{run}/rewind"
    async with client_of(create_app(house.installation), key) as client:
        dry = await client.post(path, json={"to_step": 0, "dry_run": True})
        assert dry.status_code == 200, dry.text
        assert [(one["step"], one["prospect"], one["inverse"]) for one in dry.json()["undos"]] == [
            (4, "undo", "shelf.take"), (2, "no_inverse", None), (0, "undo", "shelf.take"),
        ]  # fmt: skip
        assert dry.json()["task_id"] is None
        refused = await client.post(path, json={"to_step": 0})
        assert refused.status_code == 409
        assert "shelf.burn on file:b" in refused.json()["detail"]
        assert house.shelf.contents() == {"a": "1", "b": "ash", "c": "3"}
        begun = (await client.post(path, json={"to_step": 0, "around": True, "reason": "wrong shelf"})).json()
        assert begun["next"] == f"bailiwick tasks fork {run} --from-step 0"
        ended = await house.ended(begun["task_id"])
        assert [one["step"] for one in ended.result["undone"]] == [4, 0]
        assert house.shelf.contents() == {"b": "ash"}
        again = (await client.post(path, json={"to_step": 3})).json()
        assert (again["task_id"], [one["prospect"] for one in again["undos"]]) == (None, ["reverted"])
        assert (await client.post(f"/api/v1/runs/{new_id()}/rewind", json={"to_step": 0})).status_code == 404
        shown = (await client.get(f"/api/v1/effects?task_id={run}")).json()["items"]
        assert [one["state"] for one in shown] == ["reverted", "verified", "reverted"]


async def test_a_rewind_has_one_door_where_it_is_checked_and_audited(house: House) -> None:
    run = await house.play(("put", "a", "1"))
    key = await house.installation.keys.issue("acme", organization_id=house.organization_id)
    wanted = {"kind": "run.rewind", "payload": {"run": run, "to_step": 0}}
    schedule = {**wanted, "interval_seconds": 60}
    async with client_of(create_app(house.installation), key) as client:
        begun = (await client.post(f"/api/v1/runs/{run}/rewind", json={"to_step": 0})).json()
        await house.ended(begun["task_id"])
        for method, path, body in (
            ("POST", "/api/v1/tasks", wanted), ("PUT", "/api/v1/schedules/again", schedule),
            ("POST", f"/api/v1/tasks/{begun['task_id']}/fork", {"from_step": 0}),
        ):  # fmt: skip
            refused = await client.request(method, path, json=body)
            assert refused.status_code == 422, (path, refused.text)
            assert "bailiwick rewind RUN --to STEP" in refused.json()["detail"]


async def test_the_first_rewind_hires_who_answers_for_it_and_asks_people(login_url: str, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    settings = Settings(database_url=SecretStr(login_url), port=0, rate_limits=False, warm_start=False)
    async with (
        Installation.open(settings, extra=[NotesExtension(), ShelfExtension(shelf)]) as installation,
        installation.run_worker(),
    ):
        organization = await installation.organizations.create("Acme")
        house = House(installation, shelf, organization.id)
        await house.hire("noter", "noter")
        run = await house.play(("put", "a", "1"))
        key = await installation.keys.issue("acme", organization_id=organization.id)
        async with client_of(create_app(installation), key) as client:
            await client.post(f"/api/v1/runs/{run}/rewind", json={"to_step": 0})

            async def asked() -> Any:
                return (await client.get("/api/v1/approvals")).json()["items"]

            waiting = await until(asked, "people are asked", seconds=20)
        assert [one["tool"] for one in waiting] == ["shelf.take"]
        assert (await installation.directory.get(organization.id, "rewinder")).kind == "rewinder"
        assert shelf.contents() == {"a": "1"}
