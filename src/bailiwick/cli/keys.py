"""``bailiwick keys``: the keys that open the API, service accounts, and what tokens are signed with."""

from datetime import datetime
from typing import Annotated

import typer

from bailiwick.cli.moments import parse_expiry
from bailiwick.cli.options import AsJson, Cursor, Limit
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.session import organization_of, with_installation
from bailiwick.identity import MACHINE, IssuedKey, KeyRecord
from bailiwick.identity.tokens.signing import SigningKeyRecord
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="What the key is for; revoking goes by it.")]
KeyOrg = Annotated[str | None, typer.Option("--org", metavar="NAME", help="Of this organization only.")]


@app.callback()
def keys() -> None:
    """List, create and revoke API keys; rotate the key that signs access tokens."""


@app.command("list")
def list_keys(org: KeyOrg = None, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List the keys that are not revoked, newest first; the keys themselves are not stored."""

    async def read(installation: Installation) -> Page[KeyRecord]:
        organization_id = None if org is None else (await organization_of(installation, org)).id
        return await installation.keys.list(organization_id, limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("name", "begins with", "opens", "may", "belongs to", "made", "last used", "ends"),
        (
            (
                key.name, key.prefix, key.organization or "everything", _may(key),
                key.service_account or key.user_name, key.created_at, key.last_used_at, key.expires_at,
            )
            for key in page.items
        ),
        empty="no keys; begin with: bailiwick keys create NAME --org ORG",
    )  # fmt: skip
    print_more(page)


@app.command()
def create(
    name: KeyName,
    *,
    org: Annotated[
        str | None, typer.Option("--org", metavar="NAME", help="The one organization that the key opens.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Open the whole installation.")] = False,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="What it may do at most; owner if nothing is said.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="PERMISSION", help="Only this, such as tasks:read; may be given repeatedly."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="WHEN", help="Its end: 90d, 12h, or a moment in ISO 8601.")
    ] = None,
    service_account: Annotated[
        str | None, typer.Option("--service-account", metavar="NAME", help="The service account it is for.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    if admin == (org is not None):
        raise InvalidInputError("say --org NAME for a key to one organization, or --admin for one to everything")
    ends: datetime | None = None if expires is None else parse_expiry(expires)

    async def make(installation: Installation) -> IssuedKey:
        organization_id = None if org is None else (await organization_of(installation, org)).id
        return await installation.keys.make(
            name, organization_id=organization_id, role=role, scopes=scope, expires_at=ends,
            service_account=service_account,
        )  # fmt: skip

    issued = with_installation(make)
    if as_json:
        print_json({"name": name, "key": issued.key, "organization": org, "id": issued.record.id})
    else:
        note("the key is shown only now:")
        screen().print(issued.key, soft_wrap=True)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name, or its id.")],
    org: KeyOrg = None,
    as_json: AsJson = False,
) -> None:
    """Revoke the keys of a name in one organization, or one by its id; they open nothing any more."""

    async def end(installation: Installation) -> int:
        organization_id = None if org is None else (await organization_of(installation, org)).id
        return await installation.keys.revoke(name, organization_id=organization_id)

    count = with_installation(end)
    if as_json:
        print_json({"revoked": name, "count": count})
    else:
        note(f"revoked {name}" + (f", {count} keys of that name" if count > 1 else ""), style="")


@app.command("rotate-signing")
def rotate_signing(as_json: AsJson = False) -> None:
    """Sign access tokens with a new key; those signed before stay good until they expire, so nobody is logged out."""

    async def rotate(installation: Installation) -> str:
        return await installation.signing.rotate(actor=MACHINE.actor())

    kid = with_installation(rotate)
    if as_json:
        print_json({"kid": kid})
    else:
        note(f"access tokens are signed with {kid} from now on", style="")


@app.command("signing")
def list_signing(as_json: AsJson = False) -> None:
    """List the keys that sign and verify access tokens, newest first."""

    async def read(installation: Installation) -> list[SigningKeyRecord]:
        return await installation.signing.list()

    found = with_installation(read)
    if as_json:
        print_json({"items": found, "next_cursor": None})
        return
    print_table(
        ("kid", "algorithm", "made", "retired"),
        ((key.kid, key.algorithm, key.created_at, key.retired_at) for key in found),
        empty="no signing key yet; the first login makes one",
    )


def _may(key: KeyRecord) -> str:
    if key.scopes is not None:
        return ", ".join(key.scopes)
    return "everything" if key.role is None else key.role
