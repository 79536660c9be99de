"""``bailiwick keys``: the keys that open the API."""

from typing import Annotated

import typer

from bailiwick.cli.options import AsJson, Cursor, Limit
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.session import organization_of, with_installation
from bailiwick.identity import KeyRecord
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="What the key is for; revoking goes by it.")]


@app.callback()
def keys() -> None:
    """List, create and revoke API keys."""


@app.command("list")
def list_keys(limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List the keys that are not revoked, newest first; the keys themselves are not stored."""

    async def read(installation: Installation) -> Page[KeyRecord]:
        return await installation.keys.list(limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("name", "begins with", "opens", "made", "last used"),
        ((key.name, key.prefix, _opens(key), key.created_at, key.last_used_at) for key in page.items),
        empty="no keys; begin with: bailiwick keys create NAME --org ORG",
    )
    print_more(page)


@app.command()
def create(
    name: KeyName,
    org: Annotated[
        str | None, typer.Option("--org", metavar="NAME", help="The one organization that the key opens.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Open the whole installation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    if admin == (org is not None):
        raise InvalidInputError("say --org NAME for a key to one organization, or --admin for one to everything")

    async def make(installation: Installation) -> str:
        organization_id = None if org is None else (await organization_of(installation, org)).id
        return await installation.keys.issue(name, organization_id=organization_id)

    key = with_installation(make)
    if as_json:
        print_json({"name": name, "key": key, "organization": org})
    else:
        note("the key is shown only now:")
        screen().print(key, soft_wrap=True)


@app.command()
def revoke(name: KeyName, as_json: AsJson = False) -> None:
    """Revoke the keys of a name; they open nothing any more."""

    async def end(installation: Installation) -> None:
        await installation.keys.revoke(name)

    with_installation(end)
    if as_json:
        print_json({"revoked": name})
    else:
        note(f"revoked {name}", style="")


def _opens(key: KeyRecord) -> str:
    return key.organization or "everything"
