"""``bailiwick limits``: how much of an organization, a kind, an agent or a connector may run."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

import typer
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import ago, note, plain, print_json, print_table
from bailiwick.cli.session import operator, with_organization
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import NotFoundError
from bailiwick.tasks.limits import Limit

app = typer.Typer(no_args_is_help=True)

_Change = Callable[[Installation, Organization, str], Awaitable[None]]

Subject = Annotated[str, typer.Argument(help="'organization', 'kind:KIND', 'agent:NAME' or 'connector:NAME'.")]


@app.callback()
def limits() -> None:
    """List and set limits; pause and resume what they bound."""


@app.command("list")
def list_limits(org: Org = HOME, as_json: AsJson = False) -> None:
    """List all limits, pauses and open circuit breakers."""

    async def read(installation: Installation, organization: Organization) -> tuple[list[Limit], dict[str, str]]:
        found = await installation.limits.list(organization.id)
        return found, await _agent_names(installation, organization, found)

    found, names = with_organization(org, read)
    if as_json:
        items = [{**plain(limit), "agent": names.get(limit.subject)} for limit in found]
        print_json({"items": items, "next_cursor": None})
        return
    print_table(
        ("subject", ">at once", ">per second", ">burst", "state", "reason"),
        (
            (
                f"agent:{names[limit.subject]}" if limit.subject in names else limit.subject, limit.max_concurrency,
                limit.rate_per_second, limit.burst, _state(limit), limit.reason,
            )
            for limit in found
        ),
        empty="nothing is limited",
    )  # fmt: skip


@app.command("set")
def set_limit(
    subject: Subject,
    *,
    concurrency: Annotated[int | None, typer.Option("--concurrency", min=0, help="How many at once.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="How many may start per second.")] = None,
    burst: Annotated[float | None, typer.Option("--burst", min=1, help="How many may start at once.")] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Bound a subject; without a bound it is lifted."""

    async def change(installation: Installation, organization: Organization, resolved: str) -> None:
        await installation.limits.set(
            organization.id, resolved, max_concurrency=concurrency, rate_per_second=rate, burst=burst, actor=operator()
        )

    _changed(subject, org, change, "set", as_json=as_json)


@app.command()
def pause(
    subject: Subject,
    reason: Annotated[str | None, typer.Option("--reason", help="Shown to everyone who asks why.")] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Start no more of a subject's tasks; what runs goes on."""

    async def change(installation: Installation, organization: Organization, resolved: str) -> None:
        await installation.limits.pause(organization.id, resolved, reason=reason, actor=operator())

    _changed(subject, org, change, "paused", as_json=as_json)


@app.command()
def resume(subject: Subject, org: Org = HOME, as_json: AsJson = False) -> None:
    """End a pause, and close an open circuit breaker."""

    async def change(installation: Installation, organization: Organization, resolved: str) -> None:
        await installation.limits.resume(organization.id, resolved, actor=operator())

    _changed(subject, org, change, "resumed", as_json=as_json)


async def _agent_names(installation: Installation, organization: Organization, found: list[Limit]) -> dict[str, str]:
    """Return the names of limited agents by subject; one that is gone has none."""
    names: dict[str, str] = {}
    for limit in found:
        if limit.subject.startswith("agent:"):
            with suppress(NotFoundError):
                agent = await installation.directory.get(organization.id, limit.subject.removeprefix("agent:"))
                names[limit.subject] = agent.name
    return names


def _changed(subject: str, org: str, change: _Change, what: str, *, as_json: bool) -> None:
    async def apply(installation: Installation, organization: Organization) -> list[Limit]:
        resolved = subject
        if subject.startswith("agent:"):
            # People know an agent by its name, limits know it by its id.
            resolved = f"agent:{(await installation.directory.get(organization.id, subject[6:])).id}"
        await change(installation, organization, resolved)
        return [limit for limit in await installation.limits.list(organization.id) if limit.subject == resolved]

    found = with_organization(org, apply)
    if as_json:
        print_json(found[0] if found else {"subject": subject, "limit": None})
    else:
        note(f"{what}: {subject}", style="")


def _state(limit: Limit) -> Text:
    if limit.is_paused:
        return Text("paused", style="yellow")
    if limit.blocked_until is not None:
        return Text(f"circuit open, tried {ago(limit.blocked_until)}", style="red")
    return Text("running", style="green")
