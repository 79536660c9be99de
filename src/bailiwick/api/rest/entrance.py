"""The entrance: what people do before they can log in. A link's token is their key; nobody else is let in."""

from fastapi import APIRouter

from bailiwick.api.access import Address, Platform
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import problems
from bailiwick.api.rest.people import Email, NewPassword, PersonName, Token, UserView, view_of_user
from bailiwick.audit import Actor
from bailiwick.kernel.errors import ForbiddenError

router = APIRouter(tags=["entrance"])


class FirstAdministrator(Body):
    """Who becomes the first administrator."""

    token: Token
    email: Email
    name: PersonName
    password: NewPassword


class Registration(Body):
    """A new account. It chooses no role and no organization: both come by invitation."""

    email: Email
    name: PersonName
    password: NewPassword


class Acceptance(Body):
    """An invitation accepted by somebody without an account; the email address is that of the invitation."""

    token: Token
    name: PersonName
    password: NewPassword


class PasswordReset(Body):
    """A new password, by a link from an administrator."""

    token: Token
    password: NewPassword


@router.post("/setup", status_code=201, summary="Become the administrator", responses=problems(409))
async def set_up(platform: Platform, address: Address, body: FirstAdministrator) -> UserView:
    """Make the first administrator, by the link that the first start printed; then log in.

    They own the home organization too, unless somebody does.
    """
    home = await platform.home()
    user = await platform.owner_link.claim(
        body.token.get_secret_value(),
        email=body.email,
        name=body.name,
        password=body.password.get_secret_value(),
        home_id=home.id,
        address=address,
    )
    return view_of_user(user)


@router.post("/registration", status_code=201, summary="Register", responses=problems(403, 409))
async def register(platform: Platform, address: Address, body: Registration) -> UserView:
    """Make an account, where open registration is switched on (`BAILIWICK_OPEN_REGISTRATION`); it is off by default.

    The account belongs to no organization until it accepts an invitation.
    """
    if not platform.settings.open_registration:
        raise ForbiddenError("registration is closed here; ask an administrator for an invitation")
    actor = Actor("anonymous", "", "somebody who registers", address)
    user = await platform.passwords.create_user(body.email, body.name, body.password.get_secret_value(), actor=actor)
    return view_of_user(user)


@router.post(
    "/invitations/accept", status_code=201, summary="Accept an invitation with a new account", responses=problems(409)
)
async def accept_invitation(platform: Platform, address: Address, body: Acceptance) -> UserView:
    """Make the account of the invited address and the membership; then log in.

    Who has an account already logs in and accepts by `POST /users/me/memberships`.
    """
    user = await platform.invitations.accept_as_new(
        body.token.get_secret_value(), name=body.name, password=body.password.get_secret_value(), address=address
    )
    return view_of_user(user)


@router.post("/password/reset", status_code=204, summary="Set a forgotten password")
async def reset_password(platform: Platform, address: Address, body: PasswordReset) -> None:
    """Set a new password by a link from an administrator. Every session of the user ends; log in anew."""
    user = await platform.password_resets.redeem(
        body.token.get_secret_value(), body.password.get_secret_value(), address=address
    )
    actor = Actor("user", user.id, user.name, address)
    await platform.sessions.revoke_all(user.id, actor=actor, reason="the password was reset")
