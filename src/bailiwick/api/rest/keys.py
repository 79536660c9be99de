"""Keys: what programs of an organization call with."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from bailiwick.api.access import Address, Anybody, Needs, Platform, Tenant
from bailiwick.api.authentication import Authentication
from bailiwick.api.rest.pages import Cursor, Limit, Moment, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.identity import KeyRecord
from bailiwick.identity.people.permissions import Role

router = APIRouter(prefix="/keys", tags=["keys"])

_ID = "0199b6ff-b66f-7000-8000-000000000012"
KeyReference = Annotated[
    str, Path(min_length=1, max_length=200, description="A key's id, or its name.", examples=["nightly import"])
]


class KeyView(BaseModel):
    """What is known of a key; the key itself is not stored."""

    id: str = Field(description="Its id.", examples=[_ID])
    name: str = Field(description="What it is for.", examples=["nightly import"])
    prefix: str = Field(description="How it begins.", examples=["bw_x7Kq2a"])
    role: str | None = Field(description="What it may do at most.", examples=["operator"])
    scopes: list[str] | None = Field(
        description="What it may do of that; null: all.", examples=[["tasks:read", "tasks:write"]]
    )
    user_name: str | None = Field(description="The person it belongs to.", examples=["Maria Ortega"])
    service_account: str | None = Field(description="The service account it belongs to.", examples=[None])
    created_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-20T09:30:00Z"])
    last_used_at: datetime | None = Field(
        description="When it was used, to the minute (UTC).", examples=["2026-11-20T09:55:00Z"]
    )
    expires_at: datetime | None = Field(description="When it ends (UTC); null: never.", examples=[None])


class KeyPage(PageOf[KeyView]):
    """A page of keys."""


class IssuedKeyView(KeyView):
    """A new key; it cannot be shown again."""

    key: str = Field(description="The key itself.", examples=["bw_..."])


class NewKey(Body):
    """A key to make. It never may more than whoever makes it."""

    name: str = Field(min_length=1, max_length=200, description="What it is for.", examples=["nightly import"])
    role: Role | None = Field(
        default=None, description="What it may do at most; one's own role if left out.", examples=["operator"]
    )
    scopes: list[str] | None = Field(
        default=None, min_length=1, max_length=100,
        description="What it may do of that, as permissions; all of it if left out.",
        examples=[["tasks:read", "tasks:write"]],
    )  # fmt: skip
    expires_at: Moment | None = Field(
        default=None, description="When it ends; never if left out.", examples=["2027-11-20T00:00:00Z"]
    )
    service_account: str | None = Field(
        default=None, min_length=1, max_length=200,
        description="The service account it is for, by id or name; it then has that account's role.", examples=[None],
    )  # fmt: skip


@router.get("", summary="List keys", responses=problems(404), dependencies=[Needs("keys:read")])
async def list_keys(platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None) -> KeyPage:
    """Return the keys of the organization that are not revoked, newest first."""
    page = await platform.keys.list(organization.id, limit=limit, cursor=cursor)
    return KeyPage.model_validate(page, from_attributes=True)


@router.get("/{key}", summary="Get a key's record", responses=problems(404), dependencies=[Needs("keys:read")])
async def get_key(platform: Platform, organization: Tenant, key: KeyReference) -> KeyView:
    """Return what is known of one key; never the key itself."""
    return _view(await platform.keys.get(organization.id, key))


@router.post("", status_code=201, summary="Make a key", responses=problems(404), dependencies=[Needs("keys:write")])
async def create_key(
    platform: Platform, organization: Tenant, caller: Anybody, address: Address, body: NewKey
) -> IssuedKeyView:
    """Make a key and return it this once."""
    issued = await platform.keys.make(
        body.name, organization_id=organization.id, role=body.role, scopes=body.scopes, expires_at=body.expires_at,
        service_account=body.service_account, maker=caller, address=address,
    )  # fmt: skip
    return IssuedKeyView(**_view(issued.record).model_dump(), key=issued.key)


@router.delete(
    "/{key}", status_code=204, summary="Revoke a key", responses=problems(404), dependencies=[Needs("keys:write")]
)
async def revoke_key(
    platform: Platform, organization: Tenant, request: Request, caller: Anybody, *, address: Address, key: KeyReference
) -> None:
    """Revoke the key of that id, or all of that name; within a second they open nothing any more."""
    await platform.keys.revoke(key, organization_id=organization.id, maker=caller, address=address)
    authentication: Authentication = request.app.state.authentication
    authentication.forget()


def _view(record: KeyRecord) -> KeyView:
    return KeyView.model_validate(record, from_attributes=True)
