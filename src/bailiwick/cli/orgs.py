"""``bailiwick orgs``: organizations."""

from typing import Annotated

import typer

from bailiwick.cli.options import AsJson, Cursor, Limit
from bailiwick.cli.org_settings import app as settings
from bailiwick.cli.output import print_json, print_more, print_table
from bailiwick.cli.session import operator, with_installation
from bailiwick.identity import Organization
from bailiwick.installation import HOME, Installation
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)
app.add_typer(settings, name="settings")


@app.callback()
def orgs() -> None:
    """List and create organizations; show and change their settings."""


@app.command("list")
def list_organizations(limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List organizations, newest first."""

    async def read(installation: Installation) -> Page[Organization]:
        await installation.organizations.ensure(HOME)
        return await installation.organizations.list(limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(("slug", "name", "id", "made"), ((o.slug, o.name, o.id, o.created_at) for o in page.items), empty="")
    print_more(page)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name.")],
    slug: Annotated[
        str | None, typer.Option("--slug", help="Its short name, used by --org; by default made from the name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an organization with its agents and schedules."""

    async def make(installation: Installation) -> Organization:
        return await installation.create_organization(name, slug=slug, actor=operator())

    made = with_installation(make)
    if as_json:
        print_json(made)
    else:
        print_table(("slug", "name", "id"), [(made.slug, made.name, made.id)], empty="")
