"""``bailiwick agents``: who there is, how they did, who may be chosen."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from bailiwick.agents import AgentRecord, AgentStatistics
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import duration, note, print_facts, print_json, print_more, print_table
from bailiwick.cli.session import operator, with_organization
from bailiwick.cli.submit import read_payload
from bailiwick.cli.values import amount, share
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="Name or id.")]


@app.callback()
def agents() -> None:
    """List, show, create, enable and disable agents."""


@app.command("list")
def list_agents(org: Org = HOME, limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List agents with what was measured of each."""

    async def read(
        installation: Installation, organization: Organization
    ) -> tuple[Page[AgentRecord], dict[str, AgentStatistics]]:
        page = await installation.directory.list(organization.id, limit=limit, cursor=cursor)
        measured = await installation.directory.statistics(organization.id, limit=limit, cursor=cursor)
        return page, {agent.agent_id: agent for agent in measured.items}

    page, measured = with_organization(org, read)
    if as_json:
        items = [_document(agent, measured.get(agent.id)) for agent in page.items]
        print_json({"items": items, "next_cursor": page.next_cursor})
        return
    print_table(
        ("name", "kind", "state", ">tasks", ">completed", ">p50", ">p95", ">in hand", ">price"),
        (_row(agent, measured.get(agent.id)) for agent in page.items),
        empty="no agents here; extensions bring them, or: bailiwick agents create KIND NAME",
    )
    print_more(page)


@app.command()
def show(agent: AgentName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show one agent."""

    async def read(
        installation: Installation, organization: Organization
    ) -> tuple[AgentRecord, AgentStatistics | None]:
        found = await installation.directory.get(organization.id, agent)
        return found, await _measured(installation, organization, found.id)

    found, measured = with_organization(org, read)
    document = _document(found, measured)
    if as_json:
        print_json(document)
    else:
        print_facts(
            {
                **document,
                "completed": None if document["completed"] is None else share(document["completed"]),
                "p50_seconds": duration(document["p50_seconds"]), "p95_seconds": duration(document["p95_seconds"]),
                "cost": amount(document["cost"]), "price": amount(document["price"]),
            }.items()
        )  # fmt: skip


@app.command()
def create(
    kind: Annotated[str, typer.Argument(help="Its kind: what it can do.")],
    name: Annotated[str, typer.Argument(help="Its name, unique in the organization.")],
    *,
    configuration: Annotated[str, typer.Option("--configuration", metavar="JSON|@FILE", help="Its settings.")] = "{}",
    price: Annotated[float, typer.Option("--price", min=0, help="What one task costs.")] = 0.0,
    capacity: Annotated[int, typer.Option("--capacity", min=1, help="How many tasks it takes at once.")] = 4,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Add an agent."""

    async def make(installation: Installation, organization: Organization) -> AgentRecord:
        return await installation.directory.create(
            organization.id, kind, name,
            configuration=read_payload(configuration), price=price, capacity=capacity, actor=operator(),
        )  # fmt: skip

    _told(with_organization(org, make), "created", as_json=as_json)


@app.command()
def enable(agent: AgentName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Let an agent be chosen again."""
    _told(_enabled(agent, org, is_enabled=True), "enabled", as_json=as_json)


@app.command()
def disable(agent: AgentName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Let an agent be chosen no more; what it has in hand stays with it."""
    _told(_enabled(agent, org, is_enabled=False), "disabled", as_json=as_json)


def _enabled(agent: str, org: str, *, is_enabled: bool) -> AgentRecord:
    async def change(installation: Installation, organization: Organization) -> AgentRecord:
        return await installation.directory.enable(organization.id, agent, is_enabled=is_enabled, actor=operator())

    return with_organization(org, change)


def _told(agent: AgentRecord, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(agent)
    else:
        note(f"{what} {agent.name} ({agent.kind}, {agent.id})", style="")


async def _measured(installation: Installation, organization: Organization, agent_id: str) -> AgentStatistics | None:
    cursor: str | None = None
    while True:
        page = await installation.directory.statistics(organization.id, limit=500, cursor=cursor)
        found = next((agent for agent in page.items if agent.agent_id == agent_id), None)
        if found is not None or page.next_cursor is None:
            return found
        cursor = page.next_cursor


def _document(agent: AgentRecord, measured: AgentStatistics | None) -> dict[str, Any]:
    done = measured.done if measured else 0
    return {
        **asdict(agent),
        "tasks": done,
        # Not how often it worked, which a later look tells: bailiwick outcomes report.
        "completed": measured.completed / done if measured and done else None,
        "p50_seconds": measured.p50_seconds if measured else None,
        "p95_seconds": measured.p95_seconds if measured else None,
        "in_hand": measured.load if measured else 0,
        "cost": measured.cost if measured else 0.0,
    }


def _row(agent: AgentRecord, measured: AgentStatistics | None) -> tuple[object, ...]:
    document = _document(agent, measured)
    completed = document["completed"]
    state = Text("enabled", style="green") if agent.is_enabled else Text("disabled", style="yellow")
    return (
        agent.name, agent.kind, state, document["tasks"], None if completed is None else share(completed),
        duration(document["p50_seconds"]), duration(document["p95_seconds"]), document["in_hand"], amount(agent.price),
    )  # fmt: skip
