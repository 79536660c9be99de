"""``bailiwick factors``: second factors of people, and which roles need one."""

from typing import Annotated, Any

import typer

from bailiwick.cli.options import HOME, AsJson, Org, Yes
from bailiwick.cli.output import note, print_facts, print_json, screen
from bailiwick.cli.session import operator, with_installation, with_organization
from bailiwick.identity import Organization
from bailiwick.identity.factors.totp import Enrolment
from bailiwick.installation import Installation

app = typer.Typer(no_args_is_help=True)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's email address.")]


@app.callback()
def factors() -> None:
    """Show, set up and reset second factors; say which roles of an organization need one."""


@app.command()
def show(email: Email, as_json: AsJson = False) -> None:
    """Show which second factors somebody has; never what they are."""

    async def read(installation: Installation) -> dict[str, Any]:
        user, ways = await installation.accounts.get_by_email(email), installation.ways_in
        return {
            "totp": await ways.totp.is_set_up(user.id),
            "recovery_codes_left": await ways.factors.recovery_codes.count_left(user.id),
            "passkeys": [{"id": one.id, "name": one.name} for one in await ways.passkeys.list(user.id)],
        }

    found = with_installation(read)
    if as_json:
        print_json(found)
        return
    passkeys = ", ".join(one["name"] for one in found["passkeys"]) or "none"
    print_facts(
        [
            ("authenticator", "set up" if found["totp"] else "none"),
            ("recovery codes left", found["recovery_codes_left"]),
            ("passkeys", passkeys),
        ]
    )


@app.command()
def enrol(
    email: Email,
    code: Annotated[
        str | None, typer.Option("--code", help="The first code, to finish what an earlier call began.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set an authenticator up: shows a QR code to scan, and asks for the first code."""
    if code is None:
        _show(with_installation(lambda installation: _enrolled(installation, email)), as_json=as_json)
        if as_json:
            return
        code = typer.prompt("First code", err=True)
    first = str(code)

    async def confirm(installation: Installation) -> list[str]:
        user = await installation.accounts.get_by_email(email)
        return await installation.ways_in.totp.confirm(user.id, first, actor=operator())

    codes = with_installation(confirm)
    if as_json:
        print_json({"recovery_codes": codes})
        return
    note("recovery codes, shown only now; each stands in for the authenticator once:")
    for one in codes:
        screen().print(one)


@app.command()
def reset(
    email: Email,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is audited.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Forget every second factor and passkey of somebody who lost them, and end their sessions."""
    if not yes:
        typer.confirm(f"Forget every second factor of {email}?", abort=True, err=True)

    async def forget(installation: Installation) -> dict[str, int]:
        user, ways, actor = await installation.accounts.get_by_email(email), installation.ways_in, operator()
        had_totp = await ways.totp.remove(user.id, actor=actor, reason=reason)
        passkeys = await ways.passkeys.list(user.id)
        for passkey in passkeys:
            await ways.passkeys.remove(user.id, passkey.id, actor=actor, reason=reason)
        ended = await installation.sessions.revoke_all(user.id, actor=actor, reason=reason)
        return {"authenticators": int(had_totp), "passkeys": len(passkeys), "sessions_ended": ended}

    done = with_installation(forget)
    if as_json:
        print_json(done)
    else:
        note(f"forgotten: {done['authenticators']} authenticator, {done['passkeys']} passkeys; "
             f"{done['sessions_ended']} sessions ended")  # fmt: skip


@app.command()
def require(
    roles: Annotated[
        list[str] | None, typer.Argument(metavar="ROLE...", help="Such as owner admin; see --none to ask of nobody.")
    ] = None,
    org: Org = HOME,
    none: Annotated[bool, typer.Option("--none", help="Ask a second factor of nobody.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say which roles of an organization need a second factor; without a role, show it."""

    async def change(installation: Installation, organization: Organization) -> list[str]:
        rules = installation.ways_in.rules
        if roles or none:
            await rules.require_second_factor(organization.id, roles or [], actor=operator())
        return list(await rules.second_factor_roles(organization.id))

    needed = with_organization(org, change)
    if as_json:
        print_json({"roles": needed})
    else:
        note(f"a second factor is needed by: {', '.join(needed) or 'nobody'}")


async def _enrolled(installation: Installation, email: str) -> Enrolment:
    user = await installation.accounts.get_by_email(email)
    return await installation.ways_in.totp.enrol(user.id, user.email)


def _show(enrolment: Enrolment, *, as_json: bool) -> None:
    import segno  # noqa: PLC0415 - only who enrols needs it

    if as_json:
        print_json({"uri": enrolment.uri, "secret": enrolment.secret})
        return
    segno.make(enrolment.uri, error="m", micro=False).terminal(compact=True)
    screen().print(enrolment.uri, soft_wrap=True, markup=False)
