"""Schedules: tasks that recur."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Anybody, Needs, Platform, Tenant, check_addition, check_kind
from bailiwick.api.rest.labels import Labels
from bailiwick.api.rest.pages import Cursor, Limit, Moment, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.identity import Caller, Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import NotFoundError
from bailiwick.tasks.schedules import CatchUp, NewSchedule, Overlap

router = APIRouter(prefix="/schedules", tags=["schedules"])

ScheduleName = Annotated[
    str, Path(min_length=1, max_length=200, description="A schedule's name; its id does too.", examples=["nightly"])
]


class ScheduleBody(Body):
    """When and what; either `cron` or `interval_seconds`."""

    kind: str = Field(min_length=1, max_length=200, description="The kind of task to make.", examples=["sla.sweep"])
    payload: dict[str, Any] = Field(default_factory=dict, description="What each task is given.", examples=[{}])
    cron: str | None = Field(
        default=None, min_length=1, max_length=200, description="Minute, hour, day, month, weekday.",
        examples=["30 2 * * *"],
    )  # fmt: skip
    interval_seconds: float | None = Field(
        default=None, gt=0, lt=1e9, allow_inf_nan=False, description="Every so often.", examples=[None]
    )
    timezone: str = Field(
        default="UTC", min_length=1, max_length=100, description="Where `cron` reads the clock.",
        examples=["Europe/Berlin"],
    )  # fmt: skip
    jitter_seconds: float = Field(
        default=0.0, ge=0, le=86_400, allow_inf_nan=False, description="Delays each firing by a random part of it.",
        examples=[0],
    )  # fmt: skip
    overlap: Overlap = Field(
        default="skip", description="While the last task is unfinished: skip, allow both, or cancel the older.",
        examples=["skip"],
    )  # fmt: skip
    catch_up: CatchUp = Field(
        default="latest", description="Of firings missed while nothing ran, make up for none, the latest, or all.",
        examples=["latest"],
    )  # fmt: skip
    priority: int = Field(default=2, ge=0, le=3, description="0 (P0, most urgent) to 3 (P3).", examples=[2])
    agent_id: UUID | None = Field(default=None, description="The agent who is to do it.", examples=[None])
    first_fire_at: Moment | None = Field(default=None, description="When it fires first.", examples=[None])
    is_paused: bool = Field(default=False, description="Whether a new schedule begins paused.", examples=[False])


class ScheduleView(BaseModel):
    """A schedule and its last run."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000005"])
    name: str = Field(description="Its name, unique in the organization.", examples=["nightly"])
    kind: str = Field(description="The kind of task it makes.", examples=["sla.sweep"])
    payload: dict[str, Any] = Field(description="What each task is given.", examples=[{}])
    priority: int = Field(description="0 (P0) to 3 (P3).", examples=[2])
    agent_id: str | None = Field(description="The agent who is to do it.", examples=[None])
    cron: str | None = Field(description="Minute, hour, day, month, weekday.", examples=["30 2 * * *"])
    interval_seconds: float | None = Field(description="Every so often.", examples=[None])
    timezone: str = Field(description="Where `cron` reads the clock.", examples=["UTC"])
    jitter_seconds: float = Field(description="The most a firing is delayed by chance.", examples=[0])
    overlap: str = Field(description="skip, allow or cancel.", examples=["skip"])
    catch_up: str = Field(description="none, latest or all.", examples=["latest"])
    is_paused: bool = Field(description="Whether it fires no more until resumed.", examples=[False])
    next_fire_at: datetime | None = Field(description="When it fires next (UTC).", examples=["2026-11-21T02:30:00Z"])
    last_fire_at: datetime | None = Field(description="When it fired last (UTC).", examples=["2026-11-20T02:30:00Z"])
    last_task_id: str | None = Field(
        description="The task it made last.", examples=["0199b6ff-b66f-7000-8000-000000000001"]
    )
    last_state: str | None = Field(description="That task's state.", examples=["completed"])
    last_finished_at: datetime | None = Field(
        description="When that task ended (UTC).", examples=["2026-11-20T02:30:04Z"]
    )
    skipped: int = Field(description="Firings skipped because the last task was unfinished.", examples=[0])
    created_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-01T09:30:00Z"])
    labels: Labels


class SchedulePage(PageOf[ScheduleView]):
    """A page of schedules."""


@router.get("", summary="List schedules", responses=problems(404), dependencies=[Needs("schedules:read")])
async def list_schedules(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> SchedulePage:
    """Return schedules with their last runs, newest first."""
    page = await platform.schedules.list(organization.id, limit=limit, cursor=cursor)
    return SchedulePage.model_validate(page, from_attributes=True)


@router.get("/{schedule}", summary="Get a schedule", responses=problems(404), dependencies=[Needs("schedules:read")])
async def get_schedule(platform: Platform, organization: Tenant, schedule: ScheduleName) -> ScheduleView:
    """Return one schedule."""
    return await _view(platform, organization.id, schedule)


@router.put(
    "/{schedule}",
    summary="Make or replace a schedule",
    responses=problems(404),
    dependencies=[Needs("schedules:write")],
)
async def put_schedule(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, schedule: ScheduleName,
    body: ScheduleBody,
) -> ScheduleView:  # fmt: skip
    """Make the schedule of that name, or replace it; a replaced one keeps its last run and its pause."""
    check_addition(caller, platform.queue.kinds.get(body.kind), organization)
    with suppress(NotFoundError):
        # To replace a schedule is to remove it.
        await _changeable(platform, caller, organization, schedule)
    agent = None if body.agent_id is None else await platform.directory.get(organization.id, str(body.agent_id))
    wanted = NewSchedule(
        name=schedule,
        agent_id=None if agent is None else agent.id,
        labels=caller.labels,
        **body.model_dump(exclude={"agent_id"}),
    )
    return await _view(platform, organization.id, await platform.schedules.put(organization.id, wanted, actor=actor))


@router.post(
    "/{schedule}/pause", summary="Pause a schedule", responses=problems(404), dependencies=[Needs("schedules:run")]
)
async def pause_schedule(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, schedule: ScheduleName
) -> ScheduleView:
    """Fire no more until resumed."""
    found = await _changeable(platform, caller, organization, schedule)
    await platform.schedules.pause(organization.id, found, actor=actor)
    return await _view(platform, organization.id, found)


@router.post(
    "/{schedule}/resume", summary="Resume a schedule", responses=problems(404), dependencies=[Needs("schedules:run")]
)
async def resume_schedule(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, schedule: ScheduleName
) -> ScheduleView:
    """Fire again from now on; what fell into the pause is not made up for."""
    found = await _changeable(platform, caller, organization, schedule)
    await platform.schedules.resume(organization.id, found, actor=actor)
    return await _view(platform, organization.id, found)


@router.post(
    "/{schedule}/fire", summary="Fire a schedule now", responses=problems(404), dependencies=[Needs("schedules:run")]
)
async def fire_schedule(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, schedule: ScheduleName
) -> ScheduleView:
    """Let the next firing be due at once, and end a pause; the overlap policy holds as ever."""
    found = await _changeable(platform, caller, organization, schedule)
    await platform.schedules.fire_now(organization.id, found, actor=actor)
    return await _view(platform, organization.id, found)


@router.delete(
    "/{schedule}",
    status_code=204,
    summary="Remove a schedule",
    responses=problems(404),
    dependencies=[Needs("schedules:write")],
)
async def remove_schedule(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, schedule: ScheduleName
) -> None:
    """Remove a schedule; tasks it made stay."""
    found = await _changeable(platform, caller, organization, schedule)
    await platform.schedules.remove(organization.id, found, actor=actor)


async def _changeable(platform: Installation, caller: Caller, organization: Organization, schedule: str) -> str:
    """Return a schedule's id, or refuse a caller who may not have done, nor left undone, what it makes."""
    found = await platform.schedules.get(organization.id, schedule)
    # Of a kind whose extension is gone nothing says what it needs; such a schedule can still be cleared away.
    if found.kind in platform.queue.kinds.names():
        check_kind(caller, platform.queue.kinds.get(found.kind), organization)
    return found.id


async def _view(platform: Installation, organization_id: str, schedule: str) -> ScheduleView:
    return ScheduleView.model_validate(await platform.schedules.get(organization_id, schedule), from_attributes=True)
