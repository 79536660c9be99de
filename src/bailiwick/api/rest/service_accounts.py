"""Service accounts: programs of an organization that are nobody in particular."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from bailiwick.api.access import Address, Anybody, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.identity import ServiceAccount
from bailiwick.identity.people.permissions import Role

router = APIRouter(prefix="/service-accounts", tags=["keys"])

AccountReference = Annotated[
    str, Path(min_length=1, max_length=200, description="A service account's id or name.", examples=["importer"])
]


class ServiceAccountView(BaseModel):
    """A program with a role of its own."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000013"])
    name: str = Field(description="Its name.", examples=["importer"])
    role: Role = Field(description="What its keys may do at most.", examples=["operator"])
    is_disabled: bool = Field(description="Whether its keys open nothing.", examples=[False])
    created_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-20T09:30:00Z"])


class ServiceAccountPage(PageOf[ServiceAccountView]):
    """A page of service accounts."""


class NewServiceAccount(Body):
    """A service account to make."""

    name: str = Field(min_length=1, max_length=200, description="Its name.", examples=["importer"])
    role: Role = Field(description="What its keys may do at most.", examples=["operator"])


class ServiceAccountRole(Body):
    """Another role."""

    role: Role = Field(description="What its keys may do at most from now on.", examples=["viewer"])


@router.get("", summary="List service accounts", responses=problems(404), dependencies=[Needs("keys:read")])
async def list_service_accounts(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> ServiceAccountPage:
    """Return the organization's service accounts, newest first."""
    page = await platform.service_accounts.list(organization.id, limit=limit, cursor=cursor)
    return ServiceAccountPage.model_validate(page, from_attributes=True)


@router.get("/{account}", summary="Get a service account", responses=problems(404), dependencies=[Needs("keys:read")])
async def get_service_account(
    platform: Platform, organization: Tenant, account: AccountReference
) -> ServiceAccountView:
    """Return one service account by id or name."""
    return _view(await platform.service_accounts.get(organization.id, account))


@router.post(
    "",
    status_code=201,
    summary="Make a service account",
    responses=problems(404, 409),
    dependencies=[Needs("keys:write")],
)
async def create_service_account(
    platform: Platform, organization: Tenant, caller: Anybody, address: Address, body: NewServiceAccount
) -> ServiceAccountView:
    """Make a service account; make it a key next. Its role may not exceed what its maker may do."""
    made = await platform.service_accounts.create(organization.id, body.name, body.role, maker=caller, address=address)
    return _view(made)


@router.put(
    "/{account}/role",
    summary="Change a service account's role",
    responses=problems(404),
    dependencies=[Needs("keys:write")],
)
async def put_service_account_role(
    platform: Platform,
    organization: Tenant,
    caller: Anybody,
    address: Address,
    *,
    account: AccountReference,
    body: ServiceAccountRole,
) -> ServiceAccountView:
    """Give a service account another role; its keys follow within a second."""
    changed = await platform.service_accounts.set_role(
        organization.id, account, body.role, maker=caller, address=address
    )
    return _view(changed)


@router.post(
    "/{account}/disable",
    summary="Disable a service account",
    responses=problems(404),
    dependencies=[Needs("keys:write")],
)
async def disable_service_account(
    platform: Platform, organization: Tenant, caller: Anybody, address: Address, account: AccountReference
) -> ServiceAccountView:
    """Cut a service account off: within a second none of its keys opens anything."""
    accounts = platform.service_accounts
    return _view(await accounts.disable(organization.id, account, maker=caller, address=address))


@router.post(
    "/{account}/enable",
    summary="Enable a service account",
    responses=problems(404),
    dependencies=[Needs("keys:write")],
)
async def enable_service_account(
    platform: Platform, organization: Tenant, caller: Anybody, address: Address, account: AccountReference
) -> ServiceAccountView:
    """Let a service account and the keys it has in again."""
    accounts = platform.service_accounts
    return _view(await accounts.enable(organization.id, account, maker=caller, address=address))


@router.delete(
    "/{account}",
    status_code=204,
    summary="Remove a service account",
    responses=problems(404),
    dependencies=[Needs("keys:write")],
)
async def remove_service_account(
    platform: Platform, organization: Tenant, caller: Anybody, address: Address, account: AccountReference
) -> None:
    """Remove a service account with all its keys."""
    await platform.service_accounts.remove(organization.id, account, maker=caller, address=address)


def _view(account: ServiceAccount) -> ServiceAccountView:
    return ServiceAccountView.model_validate(account, from_attributes=True)
