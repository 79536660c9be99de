"""The commands of ``bailiwick privacy`` about requests: erasures and their certificates."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table
from bailiwick.cli.session import operator, with_installation, with_organization
from bailiwick.cli.whole_file import write_whole
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.privacy.certificates import verify
from bailiwick.privacy.requests import DataRequest
from bailiwick.storage.pages import Page

Subject = Annotated[
    str,
    typer.Argument(metavar="SUBJECT", help="The person: an id, an email address, login:NAME, user:ID or name:NAME."),
]
_INPUT_BYTES = 16 * 1024 * 1024
_LOOK_SECONDS = 0.2


def erase(
    subject: Subject,
    *,
    here: Annotated[bool, typer.Option("--here", help="Work in this process until it is done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Erase everything about a person, for good; a worker does it, and a certificate says what went."""
    if not yes:
        typer.confirm("Erase everything about this person? It cannot be undone.", abort=True, err=True)

    async def ask(installation: Installation, organization: Organization) -> DataRequest:
        made = await installation.privacy.requests.make(organization.id, subject, "erasure", actor=operator())
        if here:
            async with installation.run_worker():
                return await _ended(installation, organization, made.id)
        return made

    request = with_organization(org, ask)
    if as_json:
        print_json(request)
        return
    note(f"request {request.id} is {request.state}" + (f": {request.reason}" if request.reason else ""), style="")
    if request.state == "pending":
        note(f"when a worker has done it: bailiwick privacy certificate {request.id} --out FILE")


def requests(limit: Limit = 50, cursor: Cursor = None, org: Org = HOME, as_json: AsJson = False) -> None:
    """List requests for copies and erasures, newest first."""

    async def read(installation: Installation, organization: Organization) -> Page[DataRequest]:
        return await installation.privacy.requests.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "kind", "person", "state", "asked", "reason"),
        ((one.id, one.kind, one.subject_id, one.state, one.requested_at, one.reason) for one in page.items),
        empty="no requests",
    )
    print_more(page)


def certificate(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The erasure, by its id.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the certificate.")],
    org: Org = HOME,
) -> None:
    """Write the signed certificate of an erasure to a file."""

    async def read(installation: Installation, organization: Organization) -> dict[str, Any]:
        return await installation.privacy.requests.certificate(organization.id, request)

    write_whole(out, orjson.dumps(with_organization(org, read), option=orjson.OPT_INDENT_2))
    note(f"written to {out}", style="")


def verify_certificate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask this installation whether the key is its own.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that a certificate is unchanged, and that this installation signed it."""
    try:
        with file.open("rb") as stream:
            document = orjson.loads(stream.read(_INPUT_BYTES))
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}; name the certificate's file") from error
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"{file} is no certificate: it cannot be read as JSON: {error}") from error

    if offline:
        verdict = verify(document)
    else:
        verdict = with_installation(lambda installation: installation.privacy.certificates.verify(document))
    if as_json:
        print_json(verdict)
    elif verdict.is_valid:
        by = "by this installation" if verdict.is_ours else f"by key {verdict.key_id}, whose owner was not asked for"
        note(f"valid: {verdict.reason}, {by}", style="green")
    else:
        note(f"NOT valid: {verdict.reason}", style="bold red")
    if not verdict.is_valid:
        raise typer.Exit(1)


async def _ended(installation: Installation, organization: Organization, request_id: str) -> DataRequest:
    while True:
        request = await installation.privacy.requests.get(organization.id, request_id)
        if request.state != "pending":
            return request
        await asyncio.sleep(_LOOK_SECONDS)
