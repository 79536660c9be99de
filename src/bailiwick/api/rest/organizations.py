"""Organizations: the tenants of this installation."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Admin, Anybody, OrganizationMemory, Platform, find_visible
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.identity import Caller, Organization
from bailiwick.storage.pages import Page, after_cursor, cursor_of

router = APIRouter(prefix="/organizations", tags=["organizations"])


class OrganizationView(BaseModel):
    """An organization."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000002"])
    slug: str = Field(description="Its short name, for addresses and commands.", examples=["acme"])
    name: str = Field(description="Its name.", examples=["Acme Bakeries"])
    created_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-20T09:30:00Z"])


class OrganizationPage(PageOf[OrganizationView]):
    """A page of organizations."""


class NewOrganization(Body):
    """An organization to make."""

    name: str = Field(min_length=1, max_length=200, description="Its name.", examples=["Acme Bakeries"])
    slug: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Its short name; made from the name if left out.",
        examples=["acme"],
    )


@router.get("", summary="List organizations")
async def list_organizations(
    platform: Platform, caller: Anybody, request: Request, limit: Limit = 50, cursor: Cursor = None
) -> OrganizationPage:
    """Return organizations, newest first: an administrator sees all, others those they belong to."""
    if caller.is_admin:
        page = await platform.organizations.list(limit=limit, cursor=cursor)
    else:
        page = await _own(request.app.state.organizations, caller, limit, after_cursor(cursor))
    return OrganizationPage.model_validate(page, from_attributes=True)


@router.get("/{organization_ref}", summary="Get an organization", responses=problems(404))
async def get_organization(
    caller: Anybody,
    request: Request,
    organization_ref: Annotated[str, Path(max_length=200, description="Its slug or id.", examples=["acme"])],
) -> OrganizationView:
    """Return one organization by slug or id."""
    return _view(await find_visible(request.app.state.organizations, caller, organization_ref))


@router.post("", status_code=201, summary="Make an organization", responses=problems(403, 409))
async def create_organization(platform: Platform, _: Admin, actor: Acting, body: NewOrganization) -> OrganizationView:
    """Make an organization with the agents and schedules that every one gets; for administrators."""
    return _view(await platform.create_organization(body.name, slug=body.slug, actor=actor))


async def _own(memory: OrganizationMemory, caller: Caller, limit: int, after: str | None) -> Page[Organization]:
    wanted = sorted((one for one in caller.grants if after is None or one < after), reverse=True)
    found = [await find_visible(memory, caller, identifier) for identifier in wanted[:limit]]
    return Page(found, cursor_of(found[-1].id) if len(wanted) > limit else None)


def _view(organization: Organization) -> OrganizationView:
    return OrganizationView.model_validate(organization, from_attributes=True)
