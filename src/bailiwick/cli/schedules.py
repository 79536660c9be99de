"""``bailiwick schedules``: tasks that recur."""

from typing import Annotated

import typer
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import duration, note, print_facts, print_json, print_more, print_table, state_text
from bailiwick.cli.session import operator, with_organization
from bailiwick.cli.submit import read_payload
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.storage.pages import Page
from bailiwick.tasks.schedules import NewSchedule, ScheduleRecord

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule, by name or id.")]


@app.callback()
def schedules() -> None:
    """List, show, add, pause, resume, run and remove schedules."""


@app.command("list")
def list_schedules(org: Org = HOME, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List schedules with their last run."""

    async def read(installation: Installation, organization: Organization) -> Page[ScheduleRecord]:
        return await installation.schedules.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("name", "kind", "every", "state", "next", "last", "last ended", ">skipped"),
        (
            (
                schedule.name, schedule.kind, _every(schedule),
                Text("paused", style="yellow") if schedule.is_paused else Text("running", style="green"),
                None if schedule.is_paused else schedule.next_fire_at, schedule.last_fire_at,
                state_text(schedule.last_state) if schedule.last_state else None, schedule.skipped,
            )
            for schedule in page.items
        ),
        empty="no schedules here",
    )  # fmt: skip
    print_more(page)


@app.command()
def show(name: Name, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show one schedule."""
    found = with_organization(org, lambda installation, here: installation.schedules.get(here.id, name))
    if as_json:
        print_json(found)
    else:
        print_facts((field, getattr(found, field)) for field in ScheduleRecord.__dataclass_fields__)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Its name; an existing one of that name is replaced.")],
    kind: Annotated[str, typer.Argument(help="The kind of task that it makes.")],
    *,
    cron: Annotated[
        str | None, typer.Option("--cron", help="Minute, hour, day, month, weekday: '0 6 * * 1-5'.")
    ] = None,
    every: Annotated[
        float | None, typer.Option("--every", min=0.001, metavar="SECONDS", help="The interval, instead of --cron.")
    ] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="Whose clock --cron reads, e.g. Europe/Berlin.")] = "UTC",
    jitter: Annotated[float, typer.Option("--jitter", min=0, metavar="SECONDS", help="Spread firings.")] = 0.0,
    overlap: Annotated[
        str, typer.Option("--overlap", help="While the last run goes on: skip, allow or cancel.")
    ] = "skip",
    catch_up: Annotated[
        str, typer.Option("--catch-up", help="Firings missed while nothing ran: none, latest or all.")
    ] = "latest",
    payload: Annotated[str, typer.Option("--payload", metavar="JSON|@FILE", help="The task's input.")] = "{}",
    priority: Annotated[int, typer.Option("--priority", min=0, max=3, help="0 (P0) to 3 (P3).")] = 2,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Add a schedule."""
    if overlap not in ("skip", "allow", "cancel") or catch_up not in ("none", "latest", "all"):
        raise InvalidInputError("--overlap is skip, allow or cancel; --catch-up is none, latest or all")
    new = NewSchedule(
        name, kind, read_payload(payload), cron=cron, interval_seconds=every, timezone=timezone, jitter_seconds=jitter,
        overlap=overlap, catch_up=catch_up, priority=priority, labels=operator().labels,
    )  # fmt: skip

    async def put(installation: Installation, organization: Organization) -> ScheduleRecord:
        installation.queue.kinds.get(kind).check_by_hand()
        made = await installation.schedules.put(organization.id, new, actor=operator())
        return await installation.schedules.get(organization.id, made)

    _told(with_organization(org, put), "added", as_json=as_json)


@app.command()
def pause(name: Name, org: Org = HOME, as_json: AsJson = False) -> None:
    """Fire no more until resumed."""
    _told(_changed("pause", name, org), "paused", as_json=as_json)


@app.command()
def resume(name: Name, org: Org = HOME, as_json: AsJson = False) -> None:
    """Fire again from now on; firings missed in the pause are not made up for."""
    _told(_changed("resume", name, org), "resumed", as_json=as_json)


@app.command()
def run(name: Name, org: Org = HOME, as_json: AsJson = False) -> None:
    """Fire now; the overlap policy holds as ever. A paused schedule is resumed by it."""
    _told(_changed("fire_now", name, org), "due now:", as_json=as_json)


@app.command()
def remove(name: Name, org: Org = HOME, as_json: AsJson = False) -> None:
    """Remove a schedule; tasks it made stay."""

    async def take(installation: Installation, organization: Organization) -> ScheduleRecord:
        found = await installation.schedules.get(organization.id, name)
        await installation.schedules.remove(organization.id, name, actor=operator())
        return found

    _told(with_organization(org, take), "removed", as_json=as_json)


def _changed(change: str, name: str, org: str) -> ScheduleRecord:
    async def apply(installation: Installation, organization: Organization) -> ScheduleRecord:
        await getattr(installation.schedules, change)(organization.id, name, actor=operator())
        return await installation.schedules.get(organization.id, name)

    return with_organization(org, apply)


def _told(schedule: ScheduleRecord, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(schedule)
    else:
        note(f"{what} {schedule.name} ({schedule.kind}, {_every(schedule)})", style="")


def _every(schedule: ScheduleRecord) -> str:
    if schedule.cron is not None:
        return schedule.cron if schedule.timezone == "UTC" else f"{schedule.cron} {schedule.timezone}"
    return duration(schedule.interval_seconds)
