"""Rejected records: what a reader refused, kept until it is mended and read again."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.events.rejections import Rejection

router = APIRouter(prefix="/rejected", tags=["rejected"])

_EXCERPT_CHARACTERS = 500

RejectedId = Annotated[
    str, Path(max_length=100, description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000007"])
]


class RejectedSummary(BaseModel):
    """A refused record, in short."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000007"])
    source: str = Field(description="What read it: `github`, `csv` or `meters`.", examples=["github"])
    line: int | None = Field(description="The line of the file where it starts, from 1.", examples=[17])
    reason: str = Field(description="Why it was refused.", examples=["number: missing"])
    excerpt: str = Field(description="Its first 500 characters, as they came: untrusted.", examples=['{"title": "…'])
    is_truncated: bool = Field(description="Whether only its beginning was kept.", examples=[False])
    rejected_at: datetime = Field(description="When it was refused (UTC).", examples=["2026-11-20T09:30:00Z"])
    redriven_at: datetime | None = Field(description="When it was read again with success (UTC).", examples=[None])


class RejectedDetail(RejectedSummary):
    """A refused record, whole."""

    raw: str = Field(description="The record as it came: untrusted.", examples=['{"title": "The till is down"}'])


class RejectedPage(PageOf[RejectedSummary]):
    """A page of refused records."""


class Redrive(Body):
    """How to read a record again."""

    mended: str | None = Field(
        default=None,
        min_length=1,
        max_length=512 * 1024,
        description="The record, mended; without it the text that was kept is read again.",
        examples=['{"number": 7, "title": "The till is down"}'],
    )


class Redriven(BaseModel):
    """What came of it."""

    accepted: int = Field(description="New events.", examples=[1])
    duplicates: int = Field(description="Events that were there before.", examples=[0])


@router.get("", summary="List rejected records", responses=problems(404), dependencies=[Needs("records:read")])
async def list_rejected(
    platform: Platform,
    organization: Tenant,
    *,
    with_redriven: Annotated[
        bool, Query(description="Also those that were redriven already.", examples=[False])
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RejectedPage:
    """Return the records that wait to be mended, newest first."""
    page = await platform.rejections.list(organization.id, with_redriven=with_redriven, limit=limit, cursor=cursor)
    return RejectedPage(
        items=[RejectedSummary.model_validate(_fields(record)) for record in page.items],
        next_cursor=page.next_cursor,
    )


@router.get(
    "/{rejected_id}", summary="Get a rejected record", responses=problems(404), dependencies=[Needs("records:read")]
)
async def get_rejected(platform: Platform, organization: Tenant, rejected_id: RejectedId) -> RejectedDetail:
    """Return one refused record with its text."""
    record = await platform.rejections.get(organization.id, rejected_id)
    return RejectedDetail.model_validate({**_fields(record), "raw": record.raw})


@router.post(
    "/{rejected_id}/redrive",
    summary="Redrive a rejected record",
    responses=problems(404, 409),
    dependencies=[Needs("records:write")],
)
async def redrive_rejected(
    platform: Platform,
    organization: Tenant,
    actor: Acting,
    *,
    rejected_id: RejectedId,
    body: Redrive | None = None,
) -> Redriven:
    """Read a refused record again, mended or as it was; once accepted it leaves the list."""
    mended = None if body is None else body.mended
    report = await platform.intake(organization.id).redrive(rejected_id, mended=mended, actor=actor)
    return Redriven(accepted=report.accepted, duplicates=report.duplicates)


def _fields(record: Rejection) -> dict[str, object]:
    return {
        "id": record.id,
        "source": record.source,
        "line": record.line,
        "reason": record.reason,
        "excerpt": record.raw[:_EXCERPT_CHARACTERS],
        "is_truncated": record.is_truncated,
        "rejected_at": record.rejected_at,
        "redriven_at": record.redriven_at,
    }
