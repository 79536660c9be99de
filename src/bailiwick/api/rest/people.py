"""What the resources about people share: how a user is shown, who asks, and the links that are handed over."""

from datetime import datetime
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, Field, SecretStr

from bailiwick.identity import Caller, Organization
from bailiwick.identity.login.password_rules import MAX_BYTES, MIN_CHARACTERS
from bailiwick.identity.people.accounts import User
from bailiwick.identity.people.one_time_links import MAX_TOKEN_CHARACTERS
from bailiwick.identity.people.permissions import Role, highest_role
from bailiwick.installation import Installation
from bailiwick.kernel.errors import ForbiddenError

Email = Annotated[
    str, Field(min_length=3, max_length=254, description="An email address.", examples=["maria@example.org"])
]
PersonName = Annotated[str, Field(min_length=1, max_length=200, description="The person's name.", examples=["Maria"])]
RoleName = Annotated[Role, Field(description="owner, admin, developer, operator or viewer.", examples=["developer"])]
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=MAX_BYTES,
        description=f"At least {MIN_CHARACTERS} characters of any kind; refused with the reason if it is personal, "
        "commonly used or known from a breach.",
        examples=["vexed otter prints maps"],
    ),
]
Token = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=MAX_TOKEN_CHARACTERS,
        description="The token of the link.",
        examples=["b7tRk0cJ9nqQW1m3Zx5vY8uLh2sAe4dFg6pTi0oKjMw"],
    ),
]


class UserView(BaseModel):
    """A user of the installation."""

    id: str = Field(description="Their id.", examples=["0199b6ff-b66f-7000-8000-00000000000a"])
    email: str = Field(description="Their email address.", examples=["maria@example.org"])
    name: str = Field(description="Their name.", examples=["Maria"])
    is_admin: bool = Field(description="Whether they administer the installation.", examples=[False])
    is_disabled: bool = Field(description="Whether they are shut out.", examples=[False])
    created_at: datetime = Field(description="When the account was made (UTC).", examples=["2026-11-20T09:30:00Z"])
    last_login_at: datetime | None = Field(
        description="When they logged in last (UTC).", examples=["2026-11-20T09:30:00Z"]
    )


class LinkView(BaseModel):
    """A link to hand over."""

    link: str = Field(
        description="It works once, and is shown only now.", examples=["https://ops.example.org/password?token=..."]
    )
    mail: str = Field(
        default="not configured", description="Whether it was mailed; today never.", examples=["not configured"]
    )


def view_of_user(user: User) -> UserView:
    """Return a user as the API shows them."""
    return UserView.model_validate(user, from_attributes=True)


async def own_user(platform: Installation, caller: Caller) -> User:
    """Return the user who asks.

    Raises:
        ForbiddenError: a key asks, which is nobody.
    """
    if caller.kind != "user":
        raise ForbiddenError("this is about the person who asks, and a key is nobody: log in")
    return await platform.accounts.get(caller.id)


def rank_of(caller: Caller, organization: Organization) -> Role:
    """Return the highest role a caller may give in an organization.

    Raises:
        ForbiddenError: not even the least.
    """
    rank = highest_role(caller.permissions_in(organization.id))
    if rank is None:
        raise ForbiddenError("you may do less here than the least of the roles, so you cannot give any")
    return rank


def link_to(platform: Installation, request: Request, page: str, token: str) -> str:
    """Return the address of one of the pages behind links."""
    return f"{platform.settings.address(platform.settings.port or request.url.port)}/{page}?token={token}"
