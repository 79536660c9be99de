"""What people do to tasks: cancel, pause, resume, redrive, fork; one or many at once."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Anybody, Needs, Platform, Tenant, check_addition, check_kind, check_permission
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import TaskId, problems
from bailiwick.api.rest.tasks import TaskDetail, detail_of
from bailiwick.audit import Actor
from bailiwick.identity import Caller, Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.tasks.control import only

router = APIRouter(prefix="/tasks", tags=["tasks"])

Action = Literal["cancel", "pause", "resume", "redrive"]

MAX_AT_ONCE = 1000


class Cancellation(Body):
    """Why a task is cancelled."""

    reason: str = Field(
        default="cancelled by request", min_length=1, max_length=1000, description="Kept with the task.",
        examples=["ordered twice"],
    )  # fmt: skip


class Fork(Body):
    """Where a fork begins."""

    from_step: int = Field(
        ge=0, le=2_000_000_000, description="The first step of the journal that is done anew, from 0.", examples=[2]
    )


class ForkedTask(BaseModel):
    """The task that was made."""

    task_id: str = Field(description="The new task.", examples=["0199b6ff-b66f-7000-8000-000000000003"])


class TaskActions(Body):
    """One action on many tasks."""

    action: Action = Field(description="What to do.", examples=["pause"])
    task_ids: list[UUID] = Field(
        min_length=1,
        max_length=MAX_AT_ONCE,
        description="The tasks.",
        examples=[["0199b6ff-b66f-7000-8000-000000000001"]],
    )
    reason: str | None = Field(
        default=None, min_length=1, max_length=1000, description="Kept with cancelled tasks; for `cancel` only.",
        examples=[None],
    )  # fmt: skip


class TaskActionsOutcome(BaseModel):
    """What became of each."""

    changed: list[str] = Field(
        description="The tasks it changed; with `cancel` their descendants too.",
        examples=[["0199b6ff-b66f-7000-8000-000000000001"]],
    )
    unchanged: list[str] = Field(
        description="Those that are not in a state for it, or not in this organization.", examples=[[]]
    )


@router.post("/actions", summary="Act on many tasks", responses=problems(404), dependencies=[Needs("tasks:write")])
async def act_on_tasks(
    platform: Platform, caller: Anybody, actor: Acting, organization: Tenant, body: TaskActions
) -> TaskActionsOutcome:
    """Cancel, pause, resume or redrive up to 1,000 tasks; each changes or stays, whatever becomes of the others."""
    if body.reason is not None and body.action != "cancel":
        raise InvalidInputError("a reason is kept with cancelled tasks only; leave it out")
    if body.action == "cancel":
        check_permission(caller, "tasks:cancel", organization)
    wanted = [str(task_id) for task_id in body.task_ids]
    if body.action == "redrive":
        await _check_redrive(platform, caller, organization, wanted)
    reason = body.reason or "cancelled by request"
    changed = await _act(platform, organization.id, body.action, wanted, actor=actor, reason=reason)
    unchanged = sorted(set(wanted) - set(changed))
    return TaskActionsOutcome(changed=changed, unchanged=unchanged)


@router.post(
    "/{task_id}/cancel", summary="Cancel a task", responses=problems(404, 409), dependencies=[Needs("tasks:cancel")]
)
async def cancel_task(
    platform: Platform, organization: Tenant, actor: Acting, task_id: TaskId, body: Cancellation | None = None
) -> TaskDetail:
    """End an unfinished task and its descendants; a run under way writes nothing more."""
    reason = (body or Cancellation()).reason
    return await _act_on_one(platform, organization.id, "cancel", task_id, actor=actor, reason=reason)


@router.post(
    "/{task_id}/pause", summary="Pause a task", responses=problems(404, 409), dependencies=[Needs("tasks:write")]
)
async def pause_task(platform: Platform, organization: Tenant, actor: Acting, task_id: TaskId) -> TaskDetail:
    """Park an unfinished task; its finished steps stay."""
    return await _act_on_one(platform, organization.id, "pause", task_id, actor=actor)


@router.post(
    "/{task_id}/resume", summary="Resume a task", responses=problems(404, 409), dependencies=[Needs("tasks:write")]
)
async def resume_task(platform: Platform, organization: Tenant, actor: Acting, task_id: TaskId) -> TaskDetail:
    """Let a paused task go on where it was."""
    return await _act_on_one(platform, organization.id, "resume", task_id, actor=actor)


@router.post(
    "/{task_id}/redrive", summary="Redrive a task", responses=problems(404, 409), dependencies=[Needs("tasks:write")]
)
async def redrive_task(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, task_id: TaskId
) -> TaskDetail:
    """Bring a discarded or cancelled task back; finished steps are not run again."""
    found = await platform.tasks.get(organization.id, task_id)
    await _check_redrive(platform, caller, organization, [found.id])
    return await _act_on_one(platform, organization.id, "redrive", found.id, actor=actor)


@router.post(
    "/{task_id}/fork",
    status_code=201,
    summary="Fork a task",
    responses=problems(404),
    dependencies=[Needs("tasks:write")],
)
async def fork_task(
    platform: Platform, organization: Tenant, caller: Anybody, *, actor: Acting, task_id: TaskId, body: Fork
) -> ForkedTask:
    """Add a copy that keeps the steps before one and does the rest anew."""
    found = await platform.tasks.get(organization.id, task_id)
    # Of a kind whose extension is gone nothing says what it needs, and nothing carries it out.
    if found.kind in platform.queue.kinds.names():
        check_addition(caller, platform.queue.kinds.get(found.kind), organization)
    made = await platform.control.fork(organization.id, found.id, from_step=body.from_step, actor=actor)
    return ForkedTask(task_id=made)


async def _check_redrive(
    platform: Installation, caller: Caller, organization: Organization, task_ids: Sequence[str]
) -> None:
    """Refuse to have done again what the caller might not have asked for in the first place."""
    for name in await platform.tasks.kinds_of(organization.id, task_ids):
        if name in platform.queue.kinds.names():
            check_kind(caller, platform.queue.kinds.get(name), organization)


async def _act_on_one(
    platform: Installation, organization_id: str, action: Action, task_id: str, *, actor: Actor, reason: str = ""
) -> TaskDetail:
    # Asked for first, so that a task that is not there and one that is past it are told apart.
    task = await platform.tasks.get(organization_id, task_id)
    changed = await _act(platform, organization_id, action, [task.id], actor=actor, reason=reason)
    only(changed, task.id, _DONE[action])
    return detail_of(await platform.tasks.get(organization_id, task.id))


_DONE = {"cancel": "cancelled", "pause": "paused", "resume": "resumed", "redrive": "redriven"}


async def _act(
    platform: Installation, organization_id: str, action: Action, task_ids: Sequence[str], *, actor: Actor, reason: str
) -> list[str]:
    control = platform.control
    match action:
        case "cancel":
            return await control.cancel(organization_id, task_ids, reason=reason, actor=actor)
        case "pause":
            return await control.pause(organization_id, task_ids, actor=actor)
        case "resume":
            return await control.resume(organization_id, task_ids, actor=actor)
        case "redrive":
            return await control.redrive(organization_id, task_ids, actor=actor)
