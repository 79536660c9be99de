"""Every command, asked as one organization about what belongs to another."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from bailiwick.cli.app import COMMANDS, load
from bailiwick.connectors import facts
from bailiwick.connectors.issues import IssueRecord
from bailiwick.events.rejections import NewRejection
from bailiwick.installation import Installation, Settings
from bailiwick.packs.operations.reader import IssueReader
from bailiwick.tasks import NewTask
from bailiwick.tasks.schedules import NewSchedule
from devtools.reference.doors import command_tree
from tests.integration.cli.conftest import Command
from tests.support.engine import until

# Stands in everything that acme keeps, and in nothing that a command is called with.
SECRET = "the-secret-of-acme"
# What acme's things are called, where a name is asked for.
NAMED = "acmes-own"

# Not asked, each with the reason.
LEFT_OUT = {
    "import github": "reads a file and writes into the organization it names",
    "import csv": "reads a file and writes into the organization it names",
    "import meters": "reads a file and writes into the organization it names",
    "backtest": "reads a file, or the history of the organization it names",
    "events tail": "runs until it is stopped; its stream is that of `events list`",
}


@dataclass(frozen=True)
class Acme:
    """What acme has, by the name of the argument that would ask for it."""

    arguments: dict[str, str]


async def furnish(url: str) -> Acme:
    async with Installation.open(Settings(database_url=SecretStr(url))) as platform:
        acme = await platform.create_organization("Acme")
        await platform.create_organization("Rival")
        agent = await platform.directory.create(acme.id, "support", NAMED, configuration={"note": SECRET})
        task = await platform.queue.enqueue(
            acme.id, NewTask("system.sync", {}, delay_seconds=3600, agent_id=agent.id, choice={"why": SECRET})
        )
        issue = IssueRecord(
            source="test", repository=NAMED + "/shop", number=1, title=SECRET, body=SECRET, created_at=datetime.now(UTC)
        )
        [event] = await platform.events.publish(acme.id, [facts.opened(issue)])
        await platform.schedules.put(acme.id, NewSchedule(NAMED, "system.sync", interval_seconds=3600.0))
        await platform.rejections.keep(acme.id, [NewRejection("csv", 1, SECRET, SECRET)])
        rejected = (await platform.rejections.list(acme.id)).items[0]
        await platform.connections.add(acme.id, "github", NAMED + "/shop", {"note": SECRET})
        await platform.limits.pause(acme.id, f"kind:{NAMED}", reason=SECRET)
        async with platform.run_worker():
            await until(lambda: known(platform, acme.id), "the issue is known")
    return Acme({
        "record_id": rejected.id, "target": NAMED + "/shop", "repository": NAMED + "/shop", "task_id": task.task_id,
        "task_ids": task.task_id, "agent": agent.id, "event_id": event.event_id, "key": NAMED + "/shop#1",
        "about": NAMED + "/shop#1", "name": NAMED, "subject": f"kind:{NAMED}",
    })  # fmt: skip


async def known(platform: Installation, organization_id: str) -> bool:
    return bool((await IssueReader(platform.database).list(organization_id)).items)


@pytest.fixture
def acme(login_url: str) -> Acme:
    return asyncio.run(furnish(login_url))


def kept(url: str) -> dict[str, list[str]]:
    """Every row of acme's, by table."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select table_name from information_schema.columns where column_name = 'organization_id' "
            "and table_schema = 'public' and table_name !~ '_\\d{4}_\\d{2}$' order by 1"
        ).fetchall()
        found: dict[str, list[str]] = {}
        for (table,) in tables:
            rows = connection.execute(
                f"select x::text from {table} x where organization_id = "  # type: ignore[arg-type]
                "(select id from organizations where slug = 'acme') order by 1"
            ).fetchall()
            found[table] = [row for (row,) in rows]
        return found


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that is about one organization."""
    for name in COMMANDS:
        for path, command in command_tree(name, load(name)):
            if not hasattr(command, "commands") and any(one.name == "org" for one in command.params):
                yield path, command


# What is asked for beside the thing itself.
BESIDE = {"from_step": ("--from-step", "0"), "decision": ("--decision", "confirm")}


def line(path: str, command: Any, acme: Acme) -> list[str] | None:
    """The command's words, or None where something is asked for that acme has none of."""
    words = path.split(" ")
    for one in command.params:
        if one.param_type_name == "argument":
            if one.name not in acme.arguments:
                if one.required:
                    return None
                continue
            words.append(acme.arguments[one.name])
        elif one.name in BESIDE:
            words += BESIDE[one.name]
    return [*words, "--org", "rival"]


@pytest.mark.timeout(180)
def test_no_command_shows_or_changes_what_belongs_to_another(bailiwick: Command, acme: Acme, login_url: str) -> None:
    before = kept(login_url)
    assert SECRET in str(before)
    asked: list[str] = []
    for path, command in commands():
        words = line(path, command, acme)
        if path in LEFT_OUT or words is None:
            continue
        ran = bailiwick(*words)
        asked.append(path)
        assert SECRET not in ran.out + ran.err, words
    assert len(asked) > 30, asked
    assert kept(login_url) == before
