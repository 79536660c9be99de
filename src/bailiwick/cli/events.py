"""``bailiwick events``: what happened."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_document, print_json, print_json_line, print_more, print_table, screen
from bailiwick.cli.session import with_organization
from bailiwick.cli.values import moment
from bailiwick.events import Event
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.ids import id_at
from bailiwick.storage.pages import Page
from bailiwick.storage.waking import EVENTS

app = typer.Typer(no_args_is_help=True)

TypeName = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only of this type.")]
Key = Annotated[str | None, typer.Option("--key", help="Only about this, for example an issue: owner/name#7.")]
# A lost notification costs so long.
_POLL_SECONDS = 2.0


@app.callback()
def events() -> None:
    """List, show and follow events."""


@app.command("list")
def list_events(
    *,
    org: Org = HOME,
    type_name: TypeName = None,
    key: Key = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List events, newest first."""

    async def read(installation: Installation, organization: Organization) -> Page[Event]:
        return await installation.event_reader.list(
            organization.id, type_name=type_name, key=key, limit=limit, cursor=cursor
        )

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "type", "about", "happened", "recorded", "labels"),
        (
            (event.id, event.type, event.key, event.occurred_at, event.recorded_at, ", ".join(event.labels))
            for event in page.items
        ),
        empty="no such events",
    )
    print_more(page)


@app.command()
def show(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Show one event with its payload."""

    async def read(installation: Installation, organization: Organization) -> Event:
        return await installation.event_reader.get(organization.id, event_id)

    event = with_organization(org, read)
    if as_json:
        print_json(event)
        return
    screen().print(_line(event))
    print_document("payload", event.payload)
    note(f"what followed: bailiwick trace {event.id}{'' if org == HOME else f' --org {org}'}")


@app.command()
def tail(
    org: Org = HOME,
    type_name: TypeName = None,
    since: Annotated[str | None, typer.Option("--since", metavar="EVENT_ID", help="Begin behind this event.")] = None,
    as_json: AsJson = False,
) -> None:
    """Follow events as they are recorded, until Ctrl-C. With --json one document per line."""

    async def follow(installation: Installation, organization: Organization) -> None:
        woken = asyncio.Event()
        installation.wakeups.listen(EVENTS, lambda _: woken.set())
        last = since or id_at(datetime.now(UTC))
        while True:
            woken.clear()
            for event in await installation.event_reader.after(organization.id, last):
                last = event.id
                if type_name in (None, event.type):
                    print_json_line(event) if as_json else screen().print(_line(event))
            try:
                await asyncio.wait_for(woken.wait(), _POLL_SECONDS)
            except TimeoutError:
                continue

    note("following; Ctrl-C ends")
    with_organization(org, follow)


def _line(event: Event) -> Text:
    return Text.assemble(
        (f"{moment(event.recorded_at)}  ", "dim"), (event.type, "bold magenta"), f"  {event.key or ''}",
        (f"  {event.id}", "dim"), (f"  {', '.join(event.labels)}", "yellow"),
    )  # fmt: skip
