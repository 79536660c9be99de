"""Users: oneself, and for the installation's administrators everybody."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field, SecretStr

from bailiwick.api.access import Acting, Address, Admin, Anybody, Platform
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.people import (
    Email,
    LinkView,
    NewPassword,
    PersonName,
    Token,
    UserView,
    link_to,
    own_user,
    view_of_user,
)
from bailiwick.identity.people.permissions import Role

router = APIRouter(prefix="/users", tags=["users"])

UserId = Annotated[
    str, Path(max_length=100, description="A user's id.", examples=["0199b6ff-b66f-7000-8000-00000000000a"])
]


class UserPage(PageOf[UserView]):
    """A page of users."""


class NewUser(Body):
    """A user to make. They set their password by the link that comes back."""

    email: Email
    name: PersonName
    is_admin: bool = Field(default=False, description="Whether they administer the installation.", examples=[False])


class MadeUser(LinkView):
    """A user just made, and the link by which they set their password."""

    user: UserView = Field(description="The user.")


class UserChange(Body):
    """What an administrator changes of a user; what is left out stays."""

    name: str | None = Field(
        default=None, min_length=1, max_length=200, description="The person's name.", examples=["Maria"]
    )
    is_admin: bool | None = Field(
        default=None, description="Whether they administer the installation.", examples=[False]
    )
    is_disabled: bool | None = Field(default=None, description="Whether they are shut out.", examples=[True])


class OwnChange(Body):
    """What a user changes of themselves."""

    name: PersonName


class PasswordChange(Body):
    """A new password in the place of the old one."""

    old_password: SecretStr = Field(max_length=1000, description="The password of now.", examples=["what it was"])
    new_password: NewPassword


class MembershipView(BaseModel):
    """An organization one belongs to."""

    organization_id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000002"])
    slug: str = Field(description="Its short name.", examples=["acme"])
    name: str = Field(description="Its name.", examples=["Acme Bakeries"])
    role: Role = Field(description="One's role there.", examples=["developer"])
    created_at: datetime = Field(description="Since when (UTC).", examples=["2026-11-20T09:30:00Z"])


class MembershipList(BaseModel):
    """The organizations one belongs to."""

    items: list[MembershipView] = Field(description="All of them, by short name.")


class Joining(Body):
    """An invitation to accept."""

    token: Token


@router.get("/me", summary="Get oneself", responses=problems(403))
async def get_me(platform: Platform, caller: Anybody) -> UserView:
    """Return the user who asks; a key is nobody."""
    return view_of_user(await own_user(platform, caller))


@router.patch("/me", summary="Change oneself", responses=problems(403))
async def update_me(platform: Platform, caller: Anybody, actor: Acting, body: OwnChange) -> UserView:
    """Change one's name. Everything else about an account is for administrators."""
    user = await own_user(platform, caller)
    return view_of_user(await platform.accounts.rename(user.id, body.name, actor=actor))


@router.post("/me/password", status_code=204, summary="Change one's password", responses=problems(401, 403, 429))
async def change_password(platform: Platform, caller: Anybody, actor: Acting, body: PasswordChange) -> None:
    """Replace one's password, which takes the old one. Every other session of oneself ends."""
    user = await own_user(platform, caller)
    old, new = body.old_password.get_secret_value(), body.new_password.get_secret_value()
    await platform.passwords.change(user, old, new, actor=actor)
    await platform.sessions.revoke_all(user.id, actor=actor, keep=caller.session_id, reason="the password was changed")


@router.get("/me/memberships", summary="Get the organizations one belongs to", responses=problems(403))
async def get_my_memberships(platform: Platform, caller: Anybody) -> MembershipList:
    """Return the organizations one belongs to, with one's role in each."""
    user = await own_user(platform, caller)
    found = await platform.memberships.of_user(user.id)
    return MembershipList(items=[MembershipView.model_validate(one, from_attributes=True) for one in found])


@router.post("/me/memberships", status_code=201, summary="Accept an invitation", responses=problems(403, 409))
async def join_organization(platform: Platform, caller: Anybody, address: Address, body: Joining) -> MembershipView:
    """Accept an invitation to one's own email address."""
    user = await own_user(platform, caller)
    organization_id = await platform.invitations.accept_as(user, body.token.get_secret_value(), address=address)
    found = await platform.memberships.of_user(user.id)
    joined = next(one for one in found if one.organization_id == organization_id)
    return MembershipView.model_validate(joined, from_attributes=True)


@router.get("", summary="List users", responses=problems(403))
async def list_users(platform: Platform, _: Admin, limit: Limit = 50, cursor: Cursor = None) -> UserPage:
    """Return all users of the installation, newest first; for its administrators."""
    page = await platform.accounts.list(limit=limit, cursor=cursor)
    return UserPage(items=[view_of_user(user) for user in page.items], next_cursor=page.next_cursor)


@router.post("", status_code=201, summary="Make a user", responses=problems(403, 409))
async def create_user(platform: Platform, _: Admin, actor: Acting, request: Request, body: NewUser) -> MadeUser:
    """Make a user without a membership; for administrators of the installation."""
    user = await platform.accounts.create(body.email, body.name, is_admin=body.is_admin, actor=actor)
    token = await platform.password_resets.issue(user, actor=actor)
    return MadeUser(user=view_of_user(user), link=link_to(platform, request, "password", token))


@router.patch("/{user_id}", summary="Change a user", responses=problems(403, 404, 409))
async def update_user(platform: Platform, _: Admin, actor: Acting, user_id: UserId, body: UserChange) -> UserView:
    """Change a user; for administrators. Whoever is shut out loses every session at once."""
    accounts = platform.accounts
    user = await accounts.get(user_id)
    if body.name is not None:
        user = await accounts.rename(user.id, body.name, actor=actor)
    if body.is_admin is not None and body.is_admin != user.is_admin:
        user = await accounts.set_admin(user.id, body.is_admin, actor=actor)
    if body.is_disabled is None or body.is_disabled == user.is_disabled:
        return view_of_user(user)
    if body.is_disabled:
        user = await accounts.disable(user.id, actor=actor)
        await platform.sessions.revoke_all(user.id, actor=actor, reason="the account was disabled")
    else:
        user = await accounts.enable(user.id, actor=actor)
    return view_of_user(user)


@router.post("/{user_id}/reset-link", status_code=201, summary="Make a reset link", responses=problems(403, 404))
async def create_reset_link(platform: Platform, _: Admin, actor: Acting, request: Request, user_id: UserId) -> LinkView:
    """Make a link by which a user sets a new password; it works once and for a day, and ends the one before."""
    token = await platform.password_resets.issue(await platform.accounts.get(user_id), actor=actor)
    return LinkView(link=link_to(platform, request, "password", token))
