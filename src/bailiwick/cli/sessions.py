"""``bailiwick sessions``: logins that are still good, and their end."""

from typing import Annotated

import typer

from bailiwick.cli.options import AsJson, Cursor, Limit
from bailiwick.cli.output import note, print_json, print_more, print_table
from bailiwick.cli.session import with_installation
from bailiwick.identity import MACHINE, SessionRecord
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

UserEmail = Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="Of this user only.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]


@app.callback()
def sessions() -> None:
    """List logins that are still good; end one, all of a user, or refuse a single access token."""


@app.command("list")
def list_sessions(user: UserEmail = None, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List the sessions that are still good, newest first."""

    async def read(installation: Installation) -> Page[SessionRecord]:
        user_id = None if user is None else (await installation.accounts.get_by_email(user)).id
        return await installation.sessions.list(user_id, limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "user", "by", "from", "program", "began", "last used", "ends"),
        (
            (
                one.id, one.user_id, "+".join(one.methods), one.address, one.user_agent, one.created_at,
                one.last_used_at, one.expires_at,
            )
            for one in page.items
        ),
        empty="nobody is logged in",
    )  # fmt: skip
    print_more(page)


@app.command()
def revoke(
    session: Annotated[str | None, typer.Argument(metavar="[ID]", help="The session to end.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="End all sessions of this user.")] = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """End one session, or all of a user; within a second nothing of them opens a door."""
    if (session is None) == (user is None):
        raise InvalidInputError("name the session to end, or all of a user's with --user EMAIL")

    async def end(installation: Installation) -> int:
        if user is not None:
            user_id = (await installation.accounts.get_by_email(user)).id
            return await installation.sessions.revoke_all(user_id, actor=MACHINE.actor(), reason=reason)
        assert session is not None
        await installation.sessions.revoke(session, actor=MACHINE.actor(), reason=reason)
        return 1

    count = with_installation(end)
    if as_json:
        print_json({"revoked": count})
    else:
        note(f"ended {count} session{'' if count == 1 else 's'}", style="")


@app.command("revoke-token")
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="The access token's id, its claim jti.")],
    as_json: AsJson = False,
) -> None:
    """Refuse one access token; its session goes on."""

    async def end(installation: Installation) -> None:
        await installation.sessions.revoke_token(token, actor=MACHINE.actor())

    with_installation(end)
    if as_json:
        print_json({"revoked": token})
    else:
        note(f"refused {token}", style="")
