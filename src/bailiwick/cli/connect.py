"""``bailiwick connect``: outside systems that are polled, and send webhooks."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import duration, note, print_json, print_more, print_table
from bailiwick.cli.secret_input import read_secrets
from bailiwick.cli.session import operator, with_organization
from bailiwick.connectors.connections import ConnectionRecord
from bailiwick.connectors.github.connection import KIND, GitHubConnection
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.orchestrator.sync import KIND as SYNC
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

Target = Annotated[str, typer.Argument(metavar="OWNER/REPO", help="The connection, by repository or id.")]
_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9_.-]{1,100}")
Token = Annotated[str | None, typer.Option("--token", metavar="-", help="Take the token from standard input.")]
Secret = Annotated[
    str | None, typer.Option("--secret", metavar="-", help="Take the webhooks' secret from standard input.")
]
_STATE_STYLES = {"active": "green", "paused": "yellow", "refused": "bold red"}


@app.callback()
def connect() -> None:
    """Connect a GitHub repository; list, pause, resume and remove connections."""


@app.command()
def github(
    repository: Annotated[str, typer.Argument(metavar="OWNER/REPO", help="The repository.")],
    *,
    token: Token = None,
    secret: Secret = None,
    token_env: Annotated[
        str | None, typer.Option("--token-env", metavar="NAME", help="The environment variable that holds the token.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="The file that holds it, instead.")] = None,
    secret_env: Annotated[
        str | None, typer.Option("--secret-env", metavar="NAME", help="The variable with the webhooks' secret.")
    ] = None,
    secret_file: Annotated[Path | None, typer.Option("--secret-file", help="The file that holds it, instead.")] = None,
    interval: Annotated[
        int,
        typer.Option(
            "--interval",
            min=10,
            max=86400,
            metavar="SECONDS",
            help="Poll not more often than this; how often is looked is the schedule system.sync.",
        ),
    ] = 60,
    history: Annotated[bool, typer.Option("--history", help="Read closed issues too, as history.")] = False,
    pull_requests: Annotated[bool, typer.Option("--pull-requests", help="Take pull requests as issues too.")] = False,
    base_url: Annotated[str | None, typer.Option("--base-url", help="The API of a GitHub of your own.")] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Poll a repository's issues, and take its webhooks.

    The schedule system.sync polls, and skips what was polled within --interval.
    To poll now: schedules run system.sync. To have it look every minute:
    schedules add system.sync system.sync --every 60.

    --token - and --secret - read the token and the webhooks' secret from
    standard input, a line each in this order, or ask on a terminal; they are
    stored encrypted. Of --token-env and --token-file only the name is stored,
    and the processes that work (up, worker) must have what they name.
    """
    given = read_secrets({"token": token, "webhook secret": secret})
    if not _REPOSITORY.fullmatch(repository):
        raise InvalidInputError(f"{repository!r} is no repository; write it as OWNER/REPO")
    settings = GitHubConnection.of(
        {
            "token_variable": token_env, "token_file": _absolute(token_file), "secret_variable": secret_env,
            "secret_file": _absolute(secret_file), "base_url": base_url, "interval_seconds": interval,
            "include_history": history, "include_pull_requests": pull_requests,
        }
    )  # fmt: skip

    async def add(installation: Installation, organization: Organization) -> tuple[ConnectionRecord, str]:
        document = settings.model_dump(mode="json", exclude_defaults=True)
        made = await installation.connections.add(
            organization.id, KIND, repository, document, credentials=given, actor=operator()
        )
        return made, await _when_polled(installation, organization)

    made, when = with_organization(org, add)
    for name in (token_env, secret_env):
        if name is not None and name not in os.environ:
            note(f"{name} is not set here; set it where `bailiwick up` runs", style="yellow")
    if as_json:
        print_json(made)
        return
    note(f"connected {made.target} ({made.id}); {when}, not more often than every {duration(interval)}", style="")
    suffix = "" if org == HOME else f" --org {org}"
    note(f"poll now: bailiwick schedules run {SYNC}{suffix}")
    note(f"look more often: bailiwick schedules add {SYNC} {SYNC} --every {interval}{suffix}")
    if secret or secret_env or secret_file:
        note(f"webhooks: POST /api/v1/webhooks/github/{made.id}, content type application/json, event 'Issues'")


@app.command("list")
def list_connections(org: Org = HOME, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List connections and how their last poll went."""

    async def read(installation: Installation, organization: Organization) -> Page[ConnectionRecord]:
        return await installation.connections.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "kind", "target", "state", "last polled", "next poll", "reason"),
        (
            (
                connection.id, connection.kind, connection.target,
                Text(connection.state, style=_STATE_STYLES.get(connection.state, "")), connection.last_polled_at,
                connection.next_poll_at if connection.state == "active" else None, connection.last_error,
            )
            for connection in page.items
        ),
        empty="nothing is connected; begin with: bailiwick connect github OWNER/REPO",
    )  # fmt: skip
    print_more(page)


@app.command()
def credentials(
    target: Target, *, token: Token = None, secret: Secret = None, org: Org = HOME, as_json: AsJson = False
) -> None:
    """Store another token or webhooks' secret, encrypted; both are read from standard input or asked for.

    Two lines for --secret are two secrets that are both good, while one is
    being replaced at GitHub.
    """
    given = read_secrets({"token": token, "webhook secret": secret})
    if not given:
        raise InvalidInputError("say what to store: --token - or --secret - or both")

    async def replace(installation: Installation, organization: Organization) -> ConnectionRecord:
        found = await installation.connections.get(organization.id, target)
        await installation.connections.credentials.replace(found, given, actor=operator())
        return await installation.connections.get(organization.id, found.id)

    _told(with_organization(org, replace), "stored credentials of", as_json=as_json)


@app.command()
def pause(target: Target, org: Org = HOME, as_json: AsJson = False) -> None:
    """Poll no more until resumed."""
    found = with_organization(
        org, lambda installation, here: installation.connections.set_state(here.id, target, "paused", actor=operator())
    )
    _told(found, "paused", as_json=as_json)


@app.command()
def resume(target: Target, org: Org = HOME, as_json: AsJson = False) -> None:
    """Poll again, also after GitHub refused."""
    found = with_organization(
        org, lambda installation, here: installation.connections.set_state(here.id, target, "active", actor=operator())
    )
    _told(found, "resumed", as_json=as_json)


@app.command()
def remove(target: Target, org: Org = HOME, as_json: AsJson = False) -> None:
    """Forget a connection; what came through it stays."""
    found = with_organization(
        org, lambda installation, here: installation.connections.remove(here.id, target, actor=operator())
    )
    _told(found, "removed", as_json=as_json)


async def _when_polled(installation: Installation, organization: Organization) -> str:
    """Say which schedule polls and how often, as it is set here."""
    try:
        schedule = await installation.schedules.get(organization.id, SYNC)
    except NotFoundError:
        return f"polled by nothing, for there is no schedule {SYNC} here"
    if schedule.is_paused:
        return f"polled once the schedule {SYNC} is resumed; it is paused"
    often = f"every {duration(schedule.interval_seconds)}" if schedule.cron is None else f"at {schedule.cron!r}"
    return f"polled by the schedule {SYNC} ({often}) while a worker runs"


def _told(connection: ConnectionRecord, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(connection)
    else:
        note(f"{what} {connection.kind} {connection.target}", style="")


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.expanduser().absolute())
