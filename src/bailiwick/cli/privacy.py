"""``bailiwick privacy``: people, their consents, copies and erasure of their data, holds and retention."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.privacy_keeping import hold, holds, release, retention
from bailiwick.cli.privacy_requests import Subject, certificate, erase, requests, verify_certificate
from bailiwick.cli.session import operator, with_installation, with_organization
from bailiwick.cli.whole_file import PRIVATE, write_whole
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.privacy import Consent, Evidence, Identifier
from bailiwick.privacy.scanning import Scanner, ScanReport
from bailiwick.privacy.subjects import DataSubject
from bailiwick.storage.embedded_folder import default_data_dir
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)


@app.callback()
def privacy() -> None:
    """People, their consents, copies and erasure of their data, legal holds and retention."""


@app.command()
def register(
    identifiers: Annotated[
        list[str],
        typer.Argument(metavar="IDENTIFIER...", help="email:ADDRESS, login:NAME, user:ID or name:NAME; several."),
    ],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Register a person under everything they are known by; identifiers are added to one who is registered.

    A login counts in texts as a mention (@login); a name, given as name:NAME,
    wherever it stands. Only what is registered is found by export and erasure.
    """
    known_by = [Identifier.parse(one) for one in identifiers]

    async def add(installation: Installation, organization: Organization) -> DataSubject:
        return await installation.privacy.subjects.register(organization.id, known_by, actor=operator())

    subject = with_organization(org, add)
    if as_json:
        print_json(subject)
    else:
        screen().print(subject.id)


@app.command()
def subjects(limit: Limit = 50, cursor: Cursor = None, org: Org = HOME, as_json: AsJson = False) -> None:
    """List the registered people by id; what they are known by is sealed."""

    async def read(installation: Installation, organization: Organization) -> Page[DataSubject]:
        return await installation.privacy.subjects.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "registered", "erased"),
        ((one.id, one.created_at, one.erased_at) for one in page.items),
        empty="nobody; begin with: bailiwick privacy register email:ADDRESS",
    )
    print_more(page)


@app.command()
def consents(
    subject: Annotated[str | None, typer.Option("--subject", metavar="SUBJECT", help="Of one person only.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """List consents: who consents to what, until when."""

    async def read(installation: Installation, organization: Organization) -> Page[Consent]:
        service = installation.privacy
        found = None if subject is None else await service.subjects.get(organization.id, subject)
        return await service.consents.list(
            organization.id, subject_id=None if found is None else found.id, limit=limit, cursor=cursor
        )

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("person", "purpose", "state", "until", "changed"),
        ((one.subject_id, one.purpose, one.state, one.expires_at, one.changed_at) for one in page.items),
        empty="no consents; begin with: bailiwick privacy consent SUBJECT PURPOSE --state granted --method ...",
    )
    print_more(page)


@app.command()
def consent(
    subject: Subject,
    purpose: Annotated[str, typer.Argument(metavar="PURPOSE", help="collection, processing, marketing, ...")],
    *,
    state: Annotated[str, typer.Option("--state", help="pending, granted, denied or withdrawn.")],
    method: Annotated[str, typer.Option("--method", help="How it came about: web form, letter, call.")],
    text_version: Annotated[str | None, typer.Option("--text", help="Which version of the text was shown.")] = None,
    words: Annotated[str | None, typer.Option("--note", help="In the person's words; kept sealed.")] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Record that a person was asked, consents, refuses or withdraws; a withdrawal has effect at once."""

    async def change(installation: Installation, organization: Organization) -> Consent:
        service = installation.privacy
        found = await service.subjects.get(organization.id, subject)
        changes = {
            "pending": service.consents.ask, "granted": service.consents.grant, "denied": service.consents.deny,
            "withdrawn": service.consents.withdraw,
        }  # fmt: skip
        if state not in changes:
            raise InvalidInputError(f"no state {state!r} to record; use {', '.join(changes)}")
        evidence = Evidence(method, text_version, words)
        return await changes[state](organization.id, found.id, purpose, evidence=evidence, actor=operator())

    made = with_organization(org, change)
    if as_json:
        print_json(made)
    else:
        note(f"{made.purpose} is {made.state}", style="")


@app.command()
def export(
    subject: Subject,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the archive, readable by you.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Write everything the organization holds about a person to a JSON file."""

    async def collect(installation: Installation, organization: Organization) -> dict[str, Any]:
        return await installation.privacy.export_now(organization.id, subject, actor=operator())

    archive = with_organization(org, collect)
    write_whole(out, orjson.dumps(archive, option=orjson.OPT_INDENT_2), mode=PRIVATE)
    sections = archive["manifest"]["sections"]
    if as_json:
        print_json({"file": str(out), "manifest": archive["manifest"]})
        return
    print_table(
        ("place", ">rows", "sha256"), ((name, one["rows"], one["sha256"]) for name, one in sections.items()), empty=""
    )
    note(f"written to {out}")


@app.command()
def scan(
    values: Annotated[list[str], typer.Argument(metavar="VALUE...", help="What to search for, 4 characters or more.")],
    as_json: AsJson = False,
) -> None:
    """Search every column of every table, and the files we write, for values; exit 1 if anything is found."""

    async def search(installation: Installation) -> ScanReport:
        settings = installation.settings
        folder = None if settings.database_url is not None else settings.data_dir or default_data_dir()
        return await Scanner(installation.admin_url, folder).scan(values)

    report = with_installation(search)
    if as_json:
        print_json(report)
    else:
        print_table(
            ("value", "place", ">rows"), ((hit.value, hit.place, hit.rows) for hit in report.hits),
            empty=f"found nowhere in {report.columns} columns and {report.files} files",
        )  # fmt: skip
        for name, why in report.not_searched.items():
            note(f"not searched: {name.replace('_', ' ')}: {why}")
    if report.hits:
        raise typer.Exit(1)


for _command in (erase, requests, certificate, verify_certificate, hold, holds, release, retention):
    app.command()(_command)
