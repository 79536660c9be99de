"""Effects: what agents changed outside, or wanted to; and the tools they have."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.authority.model import EffectClass
from bailiwick.effects.record import EffectFilter, EffectMove, EffectRecord
from bailiwick.effects.registry import view_of
from bailiwick.effects.tool import Recovery
from bailiwick.tasks.acting import EffectState

effects = APIRouter(prefix="/effects", tags=["effects"])
tools = APIRouter(prefix="/tools", tags=["effects"])

_ID = "0199b6ff-b66f-7000-8000-000000000007"

EffectId = Annotated[str, Path(max_length=100, description="An effect's id.", examples=[_ID])]
Name = Annotated[str | None, Query(min_length=1, max_length=200)]


class EffectView(BaseModel):
    """An effect, as it stands now."""

    id: str = Field(description="Its id, by which the tool's call is named for ever.", examples=[_ID])
    task_id: str = Field(description="The run that wants it.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    seq: int = Field(description="The durable call of the run that proposed it, from 0.", examples=[2])
    round: int = Field(description="How often it had to be proposed by then, because something moved.", examples=[1])
    agent_id: str | None = Field(description="The agent who wants it.", examples=[_ID])
    agent_kind: str | None = Field(description="What kind of agent that is.", examples=["support"])
    tool: str = Field(description="What does it.", examples=["github.comment"])
    tool_version: str = Field(description="The version of the tool it was decided for.", examples=["1"])
    effect_class: EffectClass = Field(description="What it does at worst.", examples=["external"])
    arguments: dict[str, Any] = Field(description="What the tool is given, without secrets.", examples=[{"number": 7}])
    target: str = Field(description="What is changed, as `kind:id`.", examples=["issue:acme/shop#7"])
    observed: Any = Field(description="The target's state that was decided about.", examples=[{"state": "open"}])
    price: Decimal = Field(description="What it costs, in the organization's currency.", examples=["0"])
    labels: list[str] = Field(description="Where its arguments come from.", examples=[["untrusted:github"]])
    policy: str = Field(description="Versions of the policy and the ceiling it was decided by.", examples=["3/0"])
    digest: str = Field(
        description="SHA-256 over everything a decision is bound to.", examples=["9f86d0" * 10 + "9f86"]
    )
    state: EffectState = Field(description="Where it is in its life.", examples=["verified"])
    decision_id: str | None = Field(description="The decision about it.", examples=[_ID])
    approval_id: str | None = Field(description="The approval it waits or waited for.", examples=[None])
    reason: str = Field(description="Why the agent wants it.", examples=["answers the question"])
    problem: str | None = Field(description="Why it was declined, failed or is unknown.", examples=[None])
    result: Any = Field(description="What the tool answered.", examples=[{"comment_id": 12}])
    evidence: list[dict[str, Any]] = Field(description="What was seen of it afterwards.", examples=[[]])
    undo: dict[str, Any] | None = Field(description="What takes it back.", examples=[None])
    undo_until: datetime | None = Field(description="Until when it can be taken back (UTC).", examples=[None])
    reverts: str | None = Field(description="The effect that this one takes back.", examples=[None])
    expectation: dict[str, Any] | None = Field(description="What should be true of it later.", examples=[None])
    calls: int = Field(description="How often the tool was called for it.", examples=[1])
    proposed_at: datetime = Field(description="When it was proposed (UTC).", examples=["2026-11-20T09:30:00Z"])
    began_at: datetime | None = Field(description="When the tool was called first.", examples=["2026-11-20T09:30:01Z"])
    ended_at: datetime | None = Field(description="When it was done or given up.", examples=["2026-11-20T09:30:02Z"])


class MoveView(BaseModel):
    """A state that an effect came to."""

    seq: int = Field(description="Its place in the effect's life, from 0.", examples=[1])
    state: EffectState = Field(description="The state.", examples=["executing"])
    at: datetime = Field(description="When (UTC).", examples=["2026-11-20T09:30:01Z"])
    note: str | None = Field(description="What is to be said about it.", examples=[None])


class EffectDetail(EffectView):
    """An effect with its whole life."""

    moves: list[MoveView] = Field(description="Every state it was in, in order.")


class EffectPage(PageOf[EffectView]):
    """A page of effects."""


class Settlement(Body):
    """What a person found who looked."""

    outcome: Literal["applied", "failed"] = Field(description="Whether it took place.", examples=["applied"])
    reason: str = Field(
        min_length=1,
        max_length=2000,
        description="How that is known; it is audited.",
        examples=["the comment is there"],
    )


class ToolItem(BaseModel):
    """One thing that agents can do outside, as far as they may."""

    name: str = Field(description="Its name.", examples=["github.comment"])
    version: str = Field(description="Its version; decisions are bound to it.", examples=["1"])
    effect_class: EffectClass = Field(description="What it does at worst.", examples=["external"])
    recovery: Recovery = Field(
        description="What can be known of a call that a crash interrupted.", examples=["findable"]
    )
    summary: str = Field(description="What it does.", examples=["Comment on an issue"])
    timeout_seconds: float = Field(description="How long a call may take.", examples=[60])
    arguments: dict[str, Any] = Field(description="The JSON Schema of its arguments.", examples=[{"type": "object"}])


class ToolList(BaseModel):
    """All tools of the installation; there are few, so they come at once."""

    items: list[ToolItem] = Field(description="By name.")
    next_cursor: None = Field(default=None, description="Always null.")


@tools.get("", summary="List tools", responses=problems(404), dependencies=[Needs("effects:read")])
async def list_tools(platform: Platform, organization: Tenant) -> ToolList:
    """Return what agents can do outside; whether one may is for the policy to say."""
    del organization
    found = [view_of(tool) for tool in platform.registry.tools.all()]
    return ToolList(items=[ToolItem.model_validate(tool, from_attributes=True) for tool in found])


@effects.get("", summary="List effects", responses=problems(404), dependencies=[Needs("effects:read")])
async def list_effects(
    platform: Platform,
    organization: Tenant,
    *,
    state: Annotated[EffectState | None, Query(description="Only those in this state.", examples=["unknown"])] = None,
    tool: Annotated[Name, Query(description="Only those of this tool.", examples=["github.comment"])] = None,
    effect_class: Annotated[
        EffectClass | None, Query(description="Only those of this class.", examples=["external"])
    ] = None,
    target: Annotated[Name, Query(description="Only those on this target.", examples=["issue:acme/shop#7"])] = None,
    task_id: Annotated[UUID | None, Query(description="Only those of this run.", examples=[_ID])] = None,
    agent_id: Annotated[UUID | None, Query(description="Only those of this agent.", examples=[_ID])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> EffectPage:
    """Return effects, newest first: what was done, what was declined, what waits."""
    wanted = EffectFilter(
        state=state, tool=tool, effect_class=effect_class, target=target,
        task_id=None if task_id is None else str(task_id), agent_id=None if agent_id is None else str(agent_id),
    )  # fmt: skip
    page = await platform.effects.list(organization.id, wanted, limit=limit, cursor=cursor)
    return EffectPage.model_validate(page, from_attributes=True)


@effects.get("/{effect_id}", summary="Get an effect", responses=problems(404), dependencies=[Needs("effects:read")])
async def get_effect(platform: Platform, organization: Tenant, effect_id: EffectId) -> EffectDetail:
    """Return one effect with every state it was in."""
    effect = await platform.effects.get(organization.id, effect_id)
    return _detail(effect, await platform.effects.history(organization.id, effect.id))


@effects.post(
    "/{effect_id}/settle",
    summary="Settle an effect",
    responses=problems(404, 409),
    dependencies=[Needs("effects:write")],
)
async def settle_effect(
    platform: Platform, organization: Tenant, actor: Acting, effect_id: EffectId, body: Settlement
) -> EffectDetail:
    """Say what became of an effect of which nobody can tell; its run goes on with that."""
    effect = await platform.effects.settle_unknown(
        organization.id, effect_id, body.outcome, actor=actor, reason=body.reason
    )
    return _detail(effect, await platform.effects.history(organization.id, effect.id))


def _detail(effect: EffectRecord, moves: list[EffectMove]) -> EffectDetail:
    view = EffectView.model_validate(effect, from_attributes=True)
    return EffectDetail(
        **view.model_dump(), moves=[MoveView.model_validate(move, from_attributes=True) for move in moves]
    )
