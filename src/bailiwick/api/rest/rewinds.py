"""Rewinds: what a run did is taken back, the newest first."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import TaskId, problems
from bailiwick.effects.rewind_plan import Prospect, RewindPlan
from bailiwick.effects.rewinding import RewindPayload, next_step

router = APIRouter(prefix="/runs", tags=["runs"])

_ID = "0199b6ff-b66f-7000-8000-000000000009"


class RewindBody(Body):
    """How far to go back, and what to do about what cannot be taken back."""

    to_step: int = Field(
        ge=0, le=2_000_000_000, description="The first step of the journal whose effects are taken back.", examples=[2]
    )
    dry_run: bool = Field(default=False, description="Only say what would be done.", examples=[True])
    around: bool = Field(
        default=False, description="Leave standing what cannot be taken back, and go on around it.", examples=[False]
    )
    even_moved: bool = Field(default=False, description="Take back also what was changed since.", examples=[False])
    reason: str = Field(default="", max_length=1000, description="Why; approvers see it.", examples=["wrong customer"])


class UndoItem(BaseModel):
    """One effect, and what is to be said of taking it back."""

    effect_id: str = Field(description="The effect.", examples=[_ID])
    step: int = Field(description="The step of the run that did it.", examples=[4])
    tool: str = Field(description="The tool that did it.", examples=["github.close_issue"])
    target: str = Field(description="What it changed.", examples=["issue:acme/shop#7"])
    prospect: Prospect = Field(
        description="`undo`: it is taken back; `reverted`: it was already; `no_inverse`: nothing takes it back; "
        "`too_late`: the time for it is over; `moved`: its target was changed since; `unknown`: nobody can tell "
        "how it stands.",
        examples=["undo"],
    )
    why: str = Field(description="Why, where it is not plain.", examples=[""])
    inverse: str | None = Field(description="The tool that takes it back.", examples=["github.reopen_issue"])
    limits: str = Field(description="What taking it back does not restore.", examples=["who closed it stays visible"])
    until: datetime | None = Field(description="Until when it can be taken back (UTC); null: for ever.")


class RewindView(BaseModel):
    """What a rewind does, and the task that does it."""

    task_id: str | None = Field(
        description="The task that takes everything back; null for a dry run, or where nothing is left to take back.",
        examples=["0199b6ff-b66f-7000-8000-000000000004"],
    )
    undos: list[UndoItem] = Field(description="Every effect of the run from that step on, the newest first.")
    children: list[str] = Field(description="Runs it spawned that did something; rewind them by themselves.")
    next: str = Field(
        description="What to do next, as a command.", examples=[f"bailiwick tasks fork {_ID} --from-step 2"]
    )


@router.post(
    "/{task_id}/rewind", summary="Rewind a run", responses=problems(404, 409, 503),
    dependencies=[Needs("effects:write")],
)  # fmt: skip
async def rewind_run(
    platform: Platform, organization: Tenant, actor: Acting, task_id: TaskId, body: RewindBody
) -> RewindView:
    """Take back what a run did from a step on, each effect by an effect of its own that is decided like any other.

    Nothing begins where an effect cannot be taken back and nobody said to go on around it.
    """
    run = await platform.tasks.get(organization.id, task_id)
    wanted = RewindPayload(run=run.id, **body.model_dump(exclude={"dry_run"}))
    if body.dry_run:
        return _view(await platform.rewinding.plan(organization.id, wanted), None)
    begun = await platform.rewinding.begin(organization.id, wanted, actor=actor)
    return _view(begun.plan, begun.task_id)


def _view(plan: RewindPlan, task_id: str | None) -> RewindView:
    return RewindView(
        task_id=task_id,
        undos=[UndoItem.model_validate(one, from_attributes=True) for one in plan.undos],
        children=list(plan.children),
        next=next_step(plan.task_id, plan.to_step),
    )
