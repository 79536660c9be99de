"""``bailiwick rejected``: records that were refused, kept until they are mended."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table, print_text
from bailiwick.cli.session import operator, with_organization
from bailiwick.connectors.importing import ImportReport
from bailiwick.connectors.sources import open_file
from bailiwick.events.rejections import Rejection
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidPayloadError
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

RecordId = Annotated[str, typer.Argument(metavar="RECORD_ID", help="The record.")]


@app.callback()
def rejected() -> None:
    """List and show refused records; mend and redrive them."""


@app.command("list")
def list_rejected(
    org: Org = HOME,
    *,
    with_redriven: Annotated[bool, typer.Option("--all", help="Those that were redriven too.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List refused records, newest first."""

    async def read(installation: Installation, organization: Organization) -> Page[Rejection]:
        return await installation.rejections.list(
            organization.id, with_redriven=with_redriven, limit=limit, cursor=cursor
        )

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "source", ">line", "refused", "reason"),
        ((record.id, record.source, record.line, record.rejected_at, record.reason) for record in page.items),
        empty="no rejected records",
    )
    print_more(page)


@app.command()
def show(record_id: RecordId, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show one record as it came; redirect it to a file, mend it there, redrive it."""
    record = with_organization(org, lambda installation, here: installation.rejections.get(here.id, record_id))
    if as_json:
        print_json(record)
        return
    note(f"{record.source}, line {record.line}: {record.reason}", style="yellow")
    print_text(record.raw)


@app.command()
def redrive(
    record_id: RecordId,
    mended: Annotated[
        str | None, typer.Option("--with", metavar="FILE|-", help="The mended record; without it the text kept.")
    ] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Read a record again, mended if a file is given; once accepted it leaves the list."""
    text = None if mended is None else _text(mended)

    async def again(installation: Installation, organization: Organization) -> ImportReport:
        return await installation.intake(organization.id).redrive(record_id, mended=text, actor=operator())

    report = with_organization(org, again)
    if as_json:
        print_json({"id": record_id, "accepted": report.accepted, "duplicates": report.duplicates})
    else:
        note(f"{report.accepted} accepted, {report.duplicates} were there before", style="")


def _text(file: str) -> str:
    with sys.stdin.buffer if file == "-" else open_file(Path(file)) as stream:
        try:
            return stream.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidPayloadError(f"{file} is not UTF-8 (byte {error.start + 1})") from error
