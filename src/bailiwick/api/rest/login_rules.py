"""Login rules: what an organization asks of its members when they log in."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import problems
from bailiwick.identity.people.permissions import Role

router = APIRouter(prefix="/login-rules", tags=["login"])


class LoginRulesView(BaseModel):
    """An organization's login rules."""

    second_factor_roles: list[Role] = Field(
        description="The roles that need a second factor, from the least to the most.", examples=[["admin", "owner"]]
    )


class NewLoginRules(Body):
    """Login rules to set."""

    second_factor_roles: list[Role] = Field(
        max_length=10, description="The roles that need a second factor; none: nobody does.",
        examples=[["admin", "owner"]],
    )  # fmt: skip


@router.get("", summary="Show the login rules", responses=problems(404), dependencies=[Needs("organization:read")])
async def get_login_rules(platform: Platform, organization: Tenant) -> LoginRulesView:
    """Return what the organization asks of its members when they log in."""
    return LoginRulesView(second_factor_roles=await platform.ways_in.rules.second_factor_roles(organization.id))


@router.put("", summary="Set the login rules", responses=problems(404), dependencies=[Needs("organization:write")])
async def put_login_rules(
    platform: Platform, organization: Tenant, actor: Acting, body: NewLoginRules
) -> LoginRulesView:
    """Ask a second factor of roles, from the next login on; who has none sets one up in the middle of it."""
    rules = platform.ways_in.rules
    await rules.require_second_factor(organization.id, body.second_factor_roles, actor=actor)
    return LoginRulesView(second_factor_roles=await rules.second_factor_roles(organization.id))
