"""``bailiwick members``: who belongs to an organization, and in which role."""

from typing import Annotated

import typer

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.session import with_organization
from bailiwick.cli.users import ACTOR, Email
from bailiwick.identity import Organization
from bailiwick.identity.people.invitations import INVITATION_DAYS, Invitation
from bailiwick.identity.people.memberships import Member
from bailiwick.identity.people.permissions import parse_role
from bailiwick.installation import Installation
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

_ROLES = "owner, admin, developer, operator or viewer"
RoleOption = Annotated[str, typer.Option("--role", metavar="ROLE", help=f"{_ROLES}.")]


@app.callback()
def members() -> None:
    """List, add, change, remove and invite the members of an organization."""


@app.command("list")
def list_members(org: Org = HOME, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List members, the newest users first."""

    async def read(installation: Installation, organization: Organization) -> Page[Member]:
        return await installation.memberships.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("email", "name", "role", "since", "last login"),
        ((one.email, one.name, one.role, one.created_at, one.last_login_at) for one in page.items),
        empty="no members; begin with: bailiwick members invite EMAIL --role owner",
    )
    print_more(page)


@app.command()
def add(email: Email, org: Org = HOME, role: RoleOption = "viewer", as_json: AsJson = False) -> None:
    """Make a user of this installation a member; the first one of an organization is its owner."""
    wanted = parse_role(role)

    async def join(installation: Installation, organization: Organization) -> Member:
        user = await installation.accounts.get_by_email(email)
        await installation.memberships.add(organization.id, user.id, wanted, actor=ACTOR)
        return await installation.memberships.get(organization.id, user.id)

    _show(with_organization(org, join), as_json=as_json)


@app.command("role")
def change_role(
    email: Email,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"{_ROLES}.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Give a member another role; the last owner keeps it."""
    wanted = parse_role(role)

    async def change(installation: Installation, organization: Organization) -> Member:
        member = await installation.memberships.get(organization.id, email)
        return await installation.memberships.change_role(
            organization.id, member.user_id, wanted, actor=ACTOR, rank="owner"
        )

    _show(with_organization(org, change), as_json=as_json)


@app.command()
def remove(email: Email, org: Org = HOME, as_json: AsJson = False) -> None:
    """End a membership; the account stays, and so does the last owner."""

    async def end(installation: Installation, organization: Organization) -> None:
        member = await installation.memberships.get(organization.id, email)
        await installation.memberships.remove(organization.id, member.user_id, actor=ACTOR, rank="owner")

    with_organization(org, end)
    if as_json:
        print_json({"removed": email})
    else:
        note(f"removed {email}", style="")


@app.command()
def invite(email: Email, org: Org = HOME, role: RoleOption = "viewer", as_json: AsJson = False) -> None:
    """Invite somebody and print the link to hand over: no mail is sent from here."""
    wanted = parse_role(role)

    async def make(installation: Installation, organization: Organization) -> tuple[Invitation, str]:
        invitation, token = await installation.invitations.create(
            organization.id, email, wanted, actor=ACTOR, rank="owner"
        )
        return invitation, f"{installation.settings.address()}/invitation?token={token}"

    invitation, link = with_organization(org, make)
    if as_json:
        print_json({"invitation": invitation, "link": link, "mail": "not configured"})
        return
    note(f"sending mail: not configured; hand this link over. It works once, for {INVITATION_DAYS} days:")
    screen().print(link, soft_wrap=True, markup=False)


@app.command()
def invitations(org: Org = HOME, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List invitations, newest first, whatever became of them."""

    async def read(installation: Installation, organization: Organization) -> Page[Invitation]:
        return await installation.invitations.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "email", "role", "state", "by", "until"),
        ((one.id, one.email, one.role, one.state, one.invited_by, one.expires_at) for one in page.items),
        empty="no invitations; begin with: bailiwick members invite EMAIL --role ROLE",
    )
    print_more(page)


@app.command()
def uninvite(
    invitation: Annotated[str, typer.Argument(metavar="ID", help="The invitation's id, as the listing shows it.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Take an invitation back; its link opens nothing any more."""

    async def end(installation: Installation, organization: Organization) -> None:
        await installation.invitations.revoke(organization.id, invitation, actor=ACTOR)

    with_organization(org, end)
    if as_json:
        print_json({"revoked": invitation})
    else:
        note(f"revoked {invitation}", style="")


def _show(member: Member, *, as_json: bool) -> None:
    if as_json:
        print_json(member)
    else:
        note(f"{member.email} is {member.role}", style="")
