"""Members of an organization, and invitations to become one."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Anybody, Needs, Platform, Tenant, check_permission
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.people import Email, LinkView, RoleName, link_to, rank_of
from bailiwick.identity.people.permissions import Role

router = APIRouter(prefix="/members", tags=["members"])
invitations = APIRouter(prefix="/invitations", tags=["members"])

MemberRef = Annotated[
    str, Path(max_length=300, description="A member's user id or email address.", examples=["maria@example.org"])
]
InvitationId = Annotated[
    str, Path(max_length=100, description="An invitation's id.", examples=["0199b6ff-b66f-7000-8000-00000000000b"])
]


class MemberView(BaseModel):
    """A member of the organization."""

    user_id: str = Field(description="The user's id.", examples=["0199b6ff-b66f-7000-8000-00000000000a"])
    email: str = Field(description="Their email address.", examples=["maria@example.org"])
    name: str = Field(description="Their name.", examples=["Maria"])
    role: Role = Field(description="Their role here.", examples=["developer"])
    is_disabled: bool = Field(description="Whether the account is shut out everywhere.", examples=[False])
    created_at: datetime = Field(description="Since when they belong here (UTC).", examples=["2026-11-20T09:30:00Z"])
    last_login_at: datetime | None = Field(
        description="When they logged in last (UTC).", examples=["2026-11-20T09:30:00Z"]
    )


class MemberPage(PageOf[MemberView]):
    """A page of members."""


class MemberChange(Body):
    """Another role for a member."""

    role: RoleName


class InvitationView(BaseModel):
    """An invitation; never its token."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-00000000000b"])
    email: str = Field(description="Who is invited.", examples=["maria@example.org"])
    role: Role = Field(description="In which role.", examples=["developer"])
    state: Literal["pending", "accepted", "revoked", "expired"] = Field(
        description="What became of it.", examples=["pending"]
    )
    invited_by: str = Field(description="Who invited.", examples=["Ada"])
    created_at: datetime = Field(description="When (UTC).", examples=["2026-11-20T09:30:00Z"])
    expires_at: datetime = Field(description="Until when it can be accepted (UTC).", examples=["2026-11-27T09:30:00Z"])


class InvitationPage(PageOf[InvitationView]):
    """A page of invitations."""


class NewInvitation(Body):
    """Somebody to invite."""

    email: Email
    role: RoleName


class MadeInvitation(LinkView):
    """An invitation just made, and the link to hand over."""

    invitation: InvitationView = Field(description="The invitation.")


@router.get("", summary="List members", responses=problems(403, 404), dependencies=[Needs("members:read")])
async def list_members(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> MemberPage:
    """Return members, the newest users first."""
    page = await platform.memberships.list(organization.id, limit=limit, cursor=cursor)
    return MemberPage.model_validate(page, from_attributes=True)


@router.patch(
    "/{member}",
    summary="Change a member's role",
    responses=problems(403, 404, 409),
    dependencies=[Needs("members:write")],
)
async def change_member(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, member: MemberRef, body: MemberChange
) -> MemberView:
    """Give a member another role, neither of the two above one's own; the last owner keeps it."""
    found = await platform.memberships.get(organization.id, member)
    changed = await platform.memberships.change_role(
        organization.id, found.user_id, body.role, actor=actor, rank=rank_of(caller, organization)
    )
    return MemberView.model_validate(changed, from_attributes=True)


@router.delete("/{member}", status_code=204, summary="Remove a member", responses=problems(403, 404, 409))
async def remove_member(
    platform: Platform, organization: Tenant, caller: Anybody, actor: Acting, member: MemberRef
) -> None:
    """End a membership. Everybody may leave; removing others takes members:write and at least their role."""
    found = await platform.memberships.get(organization.id, member) if _is_own(caller.id, member) else None
    if found is None:
        check_permission(caller, "members:write", organization)
        found = await platform.memberships.get(organization.id, member)
    await platform.memberships.remove(organization.id, found.user_id, actor=actor, rank=rank_of(caller, organization))


@invitations.get("", summary="List invitations", responses=problems(403, 404), dependencies=[Needs("members:read")])
async def list_invitations(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> InvitationPage:
    """Return invitations, newest first, whatever became of them."""
    page = await platform.invitations.list(organization.id, limit=limit, cursor=cursor)
    return InvitationPage.model_validate(page, from_attributes=True)


@invitations.post(
    "",
    status_code=201,
    summary="Invite a member",
    responses=problems(403, 404, 409),
    dependencies=[Needs("members:write")],
)
async def invite_member(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, request: Request, body: NewInvitation
) -> MadeInvitation:
    """Invite an address, up to one's own role. No mail is sent: hand the link over.

    It works once and for seven days; an earlier invitation of the same address ends.
    """
    made, token = await platform.invitations.create(
        organization.id, body.email, body.role, actor=actor, rank=rank_of(caller, organization)
    )
    return MadeInvitation(
        invitation=InvitationView.model_validate(made, from_attributes=True),
        link=link_to(platform, request, "invitation", token),
    )


@invitations.delete(
    "/{invitation_id}",
    status_code=204,
    summary="Take an invitation back",
    responses=problems(403, 404),
    dependencies=[Needs("members:write")],
)
async def revoke_invitation(
    platform: Platform, organization: Tenant, actor: Acting, invitation_id: InvitationId
) -> None:
    """Take an invitation back; its link opens nothing any more."""
    await platform.invitations.revoke(organization.id, invitation_id, actor=actor)


def _is_own(caller_id: str, member: str) -> bool:
    return member.lower() == caller_id
