"""``bailiwick service-accounts``: programs of an organization that are nobody in particular."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org, Yes
from bailiwick.cli.output import note, print_json, print_more, print_table
from bailiwick.cli.session import with_organization
from bailiwick.identity import Organization, ServiceAccount
from bailiwick.installation import Installation
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

AccountName = Annotated[str, typer.Argument(metavar="NAME", help="The service account, by name or id.")]
AccountRole = Annotated[str, typer.Option("--role", metavar="ROLE", help="What its keys may do at most.")]


@app.callback()
def service_accounts() -> None:
    """List, create, disable, enable and remove service accounts. They call with keys of their own."""


@app.command("list")
def list_accounts(org: Org = HOME, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List an organization's service accounts, newest first."""

    async def read(installation: Installation, organization: Organization) -> Page[ServiceAccount]:
        return await installation.service_accounts.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("name", "role", "standing", "made", "id"),
        ((one.name, one.role, _standing(one), one.created_at, one.id) for one in page.items),
        empty="no service accounts; begin with: bailiwick service-accounts create NAME --role ROLE",
    )
    print_more(page)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    role: AccountRole,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Make a service account; give it a key with: bailiwick keys create KEY --org ORG --service-account NAME."""
    _change(org, lambda installation, place: installation.service_accounts.create(place, name, role), as_json)


@app.command("set-role")
def set_role(name: AccountName, role: AccountRole, org: Org = HOME, as_json: AsJson = False) -> None:
    """Give a service account another role; its keys follow within a second."""
    _change(org, lambda installation, place: installation.service_accounts.set_role(place, name, role), as_json)


@app.command()
def disable(name: AccountName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Cut a service account off: within a second none of its keys opens anything."""
    _change(org, lambda installation, place: installation.service_accounts.disable(place, name), as_json)


@app.command()
def enable(name: AccountName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Let a disabled service account and its keys in again."""
    _change(org, lambda installation, place: installation.service_accounts.enable(place, name), as_json)


@app.command()
def remove(name: AccountName, org: Org = HOME, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove a service account with all its keys."""
    if not yes:
        typer.confirm(f"Remove {name} and all its keys?", abort=True, err=True)

    async def end(installation: Installation, organization: Organization) -> None:
        await installation.service_accounts.remove(organization.id, name)

    with_organization(org, end)
    if as_json:
        print_json({"removed": name})
    else:
        note(f"removed {name}", style="")


def _change(org: str, change: Callable[[Installation, str], Awaitable[ServiceAccount]], as_json: bool) -> None:
    async def work(installation: Installation, organization: Organization) -> ServiceAccount:
        return await change(installation, organization.id)

    account = with_organization(org, work)
    if as_json:
        print_json(account)
    else:
        note(f"{account.name}: {account.role}, {_standing(account)}", style="")


def _standing(account: ServiceAccount) -> str:
    return "disabled" if account.is_disabled else "enabled"
