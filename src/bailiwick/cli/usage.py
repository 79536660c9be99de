"""``bailiwick usage``: what organizations used, for people and for billing."""

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, print_json, print_table
from bailiwick.cli.session import organization_of, with_installation, with_organization
from bailiwick.cli.whole_file import write_whole
from bailiwick.identity import Organization
from bailiwick.identity.quotas import Usage, month_of
from bailiwick.identity.quotas.metering import as_csv, month_totals, plain_amount
from bailiwick.installation import Installation

app = typer.Typer(no_args_is_help=True)

Month = Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="The UTC month; else the present one.")]


@app.callback()
def usage() -> None:
    """Show and export what organizations used, by UTC day and month."""


@app.command()
def show(month: Month = None, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show what an organization used in a month."""
    first = month_of(month)

    async def read(installation: Installation, organization: Organization) -> list[Usage]:
        return await installation.metering.days(first, organization_id=organization.id)

    totals = month_totals(with_organization(org, read))
    if as_json:
        print_json({"month": f"{first:%Y-%m}", "totals": [_plain(total) for total in totals]})
        return
    print_table(
        ("resource", f">{first:%Y-%m}"),
        ((total["resource"], plain_amount(total["amount"])) for total in totals),
        empty=f"nothing was used in {first:%Y-%m}",
    )


@app.command()
def export(
    month: Month = None,
    *,
    form: Annotated[Literal["csv", "json"], typer.Option("--format", help="csv or json.")] = "csv",
    org: Annotated[
        str | None, typer.Option("--org", metavar="NAME", help="One organization; else all of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to; else standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Write a month's usage by organization, resource and UTC day, as billing takes it in."""
    first = month_of(month)

    async def read(installation: Installation) -> list[Usage]:
        organization_id = None if org is None else (await organization_of(installation, org)).id
        return await installation.metering.days(first, organization_id=organization_id)

    days = with_installation(read)
    document = {
        "month": f"{first:%Y-%m}",
        "totals": [_plain(total) for total in month_totals(days)],
        "days": [
            _plain({"organization_id": d.organization_id, "resource": d.resource, "day": d.day, "amount": d.amount})
            for d in days
        ],
    }
    if out is None:
        if as_json or form == "json":
            print_json(document)
        else:
            typer.echo(as_csv(days), nl=False)
        return
    _write(out, document if as_json or form == "json" else as_csv(days))
    note(f"wrote {len(days)} lines to {out}", style="")


def _write(out: Path, content: Any) -> None:
    if isinstance(content, str):
        write_whole(out, content.encode())
    else:
        write_whole(out, orjson.dumps(content, default=str, option=orjson.OPT_INDENT_2) + b"\n")


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields as JSON: days as text, amounts as text so that no digit is lost."""
    return {
        name: plain_amount(value) if name == "amount" else str(value) if name == "day" else value
        for name, value in fields.items()
    }
