"""``bailiwick outcomes``: what was expected, what a later look found, and what agents achieved by that."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import print_facts, print_json, print_more, print_table
from bailiwick.cli.session import with_organization
from bailiwick.cli.values import share
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.outcomes import OutcomeRecord
from bailiwick.outcomes.reporting import ReportLine
from bailiwick.outcomes.service import OutcomeFilter
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    "identified", "proposed", "applied", "pending", "seen", "unseen", "verified", "refuted", "unverifiable", "failed",
    "unknown", "reverted",
)  # fmt: skip


@app.callback()
def outcomes() -> None:
    """List and show what was expected and found; report what worked."""


@app.command("list")
def list_outcomes(
    *,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="pending, worked, did_not or unknown.")
    ] = None,
    check: Annotated[str | None, typer.Option("--check", metavar="NAME", help="Only by this check.")] = None,
    org: Org = HOME,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List expectations with what a look found, newest first."""

    async def read(installation: Installation, organization: Organization) -> Page[OutcomeRecord]:
        wanted = OutcomeFilter(state=state, check=check)
        return await installation.outcomes.list(organization.id, wanted, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "state", "check", "claim", "look at", "missing"),
        ((one.id, one.state, one.check, one.claim, one.check_at, one.missing) for one in page.items),
        empty="nothing was expected yet; effects and results of tasks state what should be true later",
    )
    print_more(page)


@app.command()
def show(
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="Its id.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Show one expectation with the verdict and its evidence."""

    async def read(installation: Installation, organization: Organization) -> OutcomeRecord:
        return await installation.outcomes.get(organization.id, outcome)

    found = with_organization(org, read)
    if as_json:
        print_json(found)
    else:
        print_facts(asdict(found).items())


@app.command()
def checks(org: Org = HOME, as_json: AsJson = False) -> None:
    """List the ways in which outcomes can be looked at."""

    async def read(installation: Installation, organization: Organization) -> list[dict[str, Any]]:
        del organization
        return [
            {"name": check.name, "summary": check.summary, "arguments": check.arguments.model_json_schema()}
            for check in installation.registry.checks.all()
        ]

    found = with_organization(org, read)
    if as_json:
        print_json({"items": found, "next_cursor": None})
        return
    print_table(
        ("name", "finds", "needs to know"),
        ((one["name"], one["summary"], ", ".join(one["arguments"].get("properties", {}))) for one in found),
        empty="no checks; extensions bring them",
    )


@app.command()
def report(
    *,
    agent: Annotated[str | None, typer.Option("--agent", metavar="AGENT", help="Only this one, by name or id.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", help="What was proposed from this moment on (UTC).")
    ] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Report what agents achieved: every effect in one column, and only what a later look verified is a success."""
    moment = None if since is None else since.replace(tzinfo=UTC)

    async def read(installation: Installation, organization: Organization) -> Sequence[ReportLine]:
        agent_id = None if agent is None else (await installation.directory.get(organization.id, agent)).id
        return await installation.outcome_reports.report(organization.id, since=moment, agent_id=agent_id)

    lines = with_organization(org, read)
    if as_json:
        items = [{**asdict(line), "success": None if line.success is None else asdict(line.success)} for line in lines]
        print_json({"items": items, "next_cursor": None})
        return
    print_table(
        ("agent", "class", *(f">{column}" for column in _COLUMNS), ">success (95%)"),
        (
            (
                line.agent or line.agent_id or "no agent", line.effect_class,
                *(getattr(line, column) for column in _COLUMNS), _success(line),
            )
            for line in lines
        ),
        empty="no effects and no expectations in that time",
    )  # fmt: skip


def _success(line: ReportLine) -> str:
    found = line.success
    return "not known" if found is None else f"{share(found.rate)} ({share(found.low)} to {share(found.high)})"
