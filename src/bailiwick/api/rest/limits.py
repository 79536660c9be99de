"""Limits: how much of an organization, a kind, an agent or a connector may run, and what is stopped."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import problems
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError, NotFoundError

router = APIRouter(prefix="/limits", tags=["limits"])

Subject = Annotated[
    str,
    Path(
        min_length=1,
        max_length=250,
        description="`organization`, `kind:<kind>`, `agent:<id>` or `connector:<name>`.",
        examples=["kind:issue.triage"],
    ),
]


class LimitView(BaseModel):
    """What bounds a subject."""

    subject: str = Field(description="What is bounded.", examples=["kind:issue.triage"])
    max_concurrency: int | None = Field(description="The most tasks at once; null: any number.", examples=[10])
    rate_per_second: float | None = Field(description="The most starts per second; null: any rate.", examples=[5.0])
    burst: float | None = Field(description="How many may start at once after a quiet time.", examples=[10.0])
    is_paused: bool = Field(description="Whether nothing of it is started.", examples=[False])
    blocked_until: datetime | None = Field(description="Until when its circuit breaker is open (UTC).", examples=[None])
    consecutive_failures: int = Field(description="Failures in a row; five open the breaker.", examples=[0])
    reason: str | None = Field(description="Why it is stopped.", examples=[None])


class LimitList(BaseModel):
    """All limits of an organization; there are few, so they come at once."""

    items: list[LimitView] = Field(description="By subject.")
    next_cursor: None = Field(default=None, description="Always null.")


class LimitBody(Body):
    """The bounds; both null lifts them."""

    max_concurrency: int | None = Field(
        default=None, ge=0, le=1_000_000, description="The most tasks at once.", examples=[10]
    )
    rate_per_second: float | None = Field(
        default=None, gt=0, le=1e6, allow_inf_nan=False, description="The most starts per second.", examples=[5.0]
    )
    burst: float | None = Field(
        default=None, ge=1, le=1e6, allow_inf_nan=False, description="How many may start at once; needs a rate.",
        examples=[10.0],
    )  # fmt: skip


class Pause(Body):
    """Why a subject is paused."""

    reason: str | None = Field(
        default=None, min_length=1, max_length=1000, description="Shown with the limit.", examples=["maintenance"]
    )


@router.get("", summary="List limits", responses=problems(404), dependencies=[Needs("limits:read")])
async def list_limits(platform: Platform, organization: Tenant) -> LimitList:
    """Return every limit of the organization, with pauses and open circuit breakers."""
    found = await platform.limits.list(organization.id)
    return LimitList(items=[LimitView.model_validate(limit, from_attributes=True) for limit in found])


@router.put("/{subject}", summary="Bound a subject", responses=problems(404), dependencies=[Needs("limits:write")])
async def put_limit(
    platform: Platform, organization: Tenant, actor: Acting, subject: Subject, body: LimitBody
) -> LimitView:
    """Set a subject's bounds; tasks already queued follow at once."""
    if body.burst is not None and body.rate_per_second is None:
        raise InvalidInputError("burst means nothing without rate_per_second; give both or neither")
    await platform.limits.set(organization.id, subject, **body.model_dump(), actor=actor)
    return await _view(platform, organization.id, subject)


@router.post(
    "/{subject}/pause", summary="Pause a subject", responses=problems(404), dependencies=[Needs("limits:write")]
)
async def pause_subject(
    platform: Platform, organization: Tenant, actor: Acting, subject: Subject, body: Pause | None = None
) -> LimitView:
    """Start no more of a subject's tasks until it is resumed; what runs goes on."""
    reason = None if body is None else body.reason
    await platform.limits.pause(organization.id, subject, reason=reason, actor=actor)
    return await _view(platform, organization.id, subject)


@router.post(
    "/{subject}/resume", summary="Resume a subject", responses=problems(404), dependencies=[Needs("limits:write")]
)
async def resume_subject(platform: Platform, organization: Tenant, actor: Acting, subject: Subject) -> LimitView:
    """End a pause and close an open circuit breaker."""
    await platform.limits.resume(organization.id, subject, actor=actor)
    return await _view(platform, organization.id, subject)


async def _view(platform: Installation, organization_id: str, subject: str) -> LimitView:
    for limit in await platform.limits.list(organization_id):
        if limit.subject == subject:
            return LimitView.model_validate(limit, from_attributes=True)
    raise NotFoundError(f"no limit on {subject!r} in this organization")
