"""``bailiwick users``: the people of this installation."""

from typing import Annotated

import typer

from bailiwick.audit import Actor
from bailiwick.cli.options import AsJson, Cursor, Limit
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.passwords import ask_password
from bailiwick.cli.session import with_installation
from bailiwick.identity.model import MACHINE
from bailiwick.identity.people.accounts import User
from bailiwick.installation import Installation
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's email address.")]

ACTOR: Actor = MACHINE.actor()


@app.callback()
def users() -> None:
    """List, create, verify, disable and enable users; make links to get in."""


@app.command("list")
def list_users(limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List users, newest first."""

    async def read(installation: Installation) -> Page[User]:
        return await installation.accounts.list(limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("email", "name", "standing", "made", "last login"),
        ((user.email, user.name, _standing(user), user.created_at, user.last_login_at) for user in page.items),
        empty="no users; the first gets in by: bailiwick users owner-link",
    )
    print_more(page)


@app.command()
def create(
    email: Email,
    name: Annotated[
        str | None, typer.Option("--name", help="The person's name; by default the address before its @.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="An administrator of the whole installation.")] = False,
    with_password: Annotated[
        bool, typer.Option("--password", help="Set the password now: asked for, or read from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a user; without --password a link is printed by which the user sets it.

    Membership of an organization is given by: bailiwick members add.
    """
    password = ask_password() if with_password else None

    async def make(installation: Installation) -> tuple[User, str | None]:
        if password is not None:
            user = await installation.passwords.create_user(
                email, name or email.partition("@")[0], password, actor=ACTOR, is_admin=admin
            )
            return user, None
        user = await installation.accounts.create(email, name or email.partition("@")[0], actor=ACTOR, is_admin=admin)
        return user, await _reset_link(installation, user)

    made, link = with_installation(make)
    if as_json:
        print_json({"user": made, "link": link})
        return
    note(f"made {made.email}", style="")
    if link is not None:
        _show_link("to set the password", link)


@app.command()
def disable(email: Email, as_json: AsJson = False) -> None:
    """Shut a user out at once: sessions end, memberships and passkeys stay for when they are enabled again."""

    async def shut_out(installation: Installation) -> User:
        user = await installation.accounts.get_by_email(email)
        disabled = await installation.accounts.disable(user.id, actor=ACTOR)
        await installation.sessions.revoke_all(user.id, actor=ACTOR, reason="the account was disabled")
        return disabled

    _show(with_installation(shut_out), "disabled", as_json=as_json)


@app.command()
def enable(email: Email, as_json: AsJson = False) -> None:
    """Let a disabled user in again."""

    async def let_in(installation: Installation) -> User:
        user = await installation.accounts.get_by_email(email)
        return await installation.accounts.enable(user.id, actor=ACTOR)

    _show(with_installation(let_in), "enabled", as_json=as_json)


@app.command()
def verify(email: Email, as_json: AsJson = False) -> None:
    """Say that an address is its user's own, so that an identity provider that vouches for it may let them in."""

    async def vouch(installation: Installation) -> User:
        user = await installation.accounts.get_by_email(email)
        return await installation.accounts.verify_email(user.id, actor=ACTOR)

    _show(with_installation(vouch), "verified", as_json=as_json)


@app.command("reset-link")
def reset_link(email: Email, as_json: AsJson = False) -> None:
    """Print a link by which a user sets a new password; it works once and for a day."""

    async def make(installation: Installation) -> str:
        return await _reset_link(installation, await installation.accounts.get_by_email(email))

    link = with_installation(make)
    if as_json:
        print_json({"email": email, "link": link})
    else:
        _show_link("to set the password", link)


@app.command("owner-link")
def owner_link(as_json: AsJson = False) -> None:
    """Print a new link by which the first administrator gets in, while there is none; it works once and for a day."""

    async def make(installation: Installation) -> str:
        await installation.home()
        return f"{installation.settings.address()}/setup?token={await installation.owner_link.issue()}"

    link = with_installation(make)
    if as_json:
        print_json({"link": link})
    else:
        _show_link("to become the administrator", link)


async def _reset_link(installation: Installation, user: User) -> str:
    token = await installation.password_resets.issue(user, actor=ACTOR)
    return f"{installation.settings.address()}/password?token={token}"


def _show_link(purpose: str, link: str) -> None:
    note(f"the link {purpose}, shown only now; it works once, until this time tomorrow:")
    screen().print(link, soft_wrap=True, markup=False)


def _show(user: User, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
    else:
        note(f"{done} {user.email}", style="")


def _standing(user: User) -> str:
    if user.is_disabled:
        return "disabled"
    return "administrator" if user.is_admin else "user"
