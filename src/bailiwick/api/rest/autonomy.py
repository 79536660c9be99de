"""Autonomy: how far agents may go by themselves, why, and what is missing before they may go further."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.rehearsals import BoundText
from bailiwick.authority.autonomy import AutonomyRules
from bailiwick.authority.autonomy.model import PromotionState, SetBy
from bailiwick.authority.model import EffectClass
from bailiwick.replay.rehearsal import Bound, Bounds

router = APIRouter(prefix="/autonomy", tags=["autonomy"])

_ID = "0199b6ff-b66f-7000-8000-000000000003"
_AT = "2026-11-21T09:30:00Z"

AgentName = Annotated[str, Path(max_length=200, description="An agent's id or name.", examples=["support-1"])]
PromotionId = Annotated[str, Path(max_length=100, description="A promotion's id.", examples=[_ID])]
Class = Annotated[EffectClass, Path(description="A class of effects.", examples=["write"])]
Because = Field(min_length=1, max_length=2000, description="Why; it is audited.", examples=["a month without faults"])


class AgentLevelsView(BaseModel):
    """The levels of one agent."""

    agent_id: str = Field(description="The agent.", examples=[_ID])
    name: str = Field(description="Its name.", examples=["support-1"])
    kind: str = Field(description="What kind of agent it is.", examples=["support"])
    levels: dict[str, int] = Field(description="By class of effects, 1 to 5.", examples=[{"read": 4, "write": 2}])
    promotions: dict[str, str] = Field(description="Promotions that wait for a person, by class.", examples=[{}])


class AgentLevelsPage(PageOf[AgentLevelsView]):
    """A page of agents."""


class PromotionView(BaseModel):
    """A proposal to let an agent go one level further."""

    id: str = Field(description="Its id.", examples=[_ID])
    agent_id: str = Field(description="The agent.", examples=[_ID])
    effect_class: EffectClass = Field(description="In which class of effects.", examples=["write"])
    version: int = Field(description="The version of the agent that earned it.", examples=[1])
    from_level: int = Field(description="Where it is.", examples=[2])
    to_level: int = Field(description="Where it would be.", examples=[3])
    state: PromotionState = Field(description="What became of it.", examples=["proposed"])
    evidence: dict[str, Any] = Field(description="The trials and the bound.", examples=[{"trials": 20}])
    proposed_at: datetime = Field(description="When it was earned (UTC).", examples=[_AT])
    answered_at: datetime | None = Field(description="When it was answered (UTC).", examples=[None])
    answered_by: str | None = Field(description="By whom, as `kind:id`.", examples=[None])
    reason: str | None = Field(description="Why so.", examples=[None])


class PromotionPage(PageOf[PromotionView]):
    """A page of promotions."""


class StandingView(BaseModel):
    """Where an agent stands in one class, and by what."""

    effect_class: EffectClass = Field(description="The class of effects.", examples=["write"])
    level: int = Field(description="How far it may go, 1 to 5.", examples=[2])
    meaning: str = Field(description="The same in words.", examples=["propose"])
    set_by: SetBy | None = Field(description="How it came to the level; null: it began there.", examples=[None])
    reason: str | None = Field(description="Why it has the level.", examples=[None])
    changed_at: datetime | None = Field(description="Since when (UTC).", examples=[None])
    sources: dict[str, int] = Field(description="Evidence by where it comes from.", examples=[{"approved": 12}])
    successes: int = Field(description="Acts that were right.", examples=[12])
    failures: int = Field(description="Acts that were not.", examples=[0])
    verified: int = Field(description="Of both, acts that a later look told of.", examples=[3])
    mean: float = Field(description="Expected chance to do right.", examples=[0.93])
    lower: float = Field(description="What that chance exceeds with the confidence of the rules.", examples=[0.79])
    upper: float = Field(description="What it stays under with that confidence.", examples=[1.0])
    next_level: int | None = Field(description="The level to earn; null: none.", examples=[3])
    next_bound: float | None = Field(description="What the lower bound must reach for it.", examples=[0.8])
    missing: str | None = Field(description="What that still takes.", examples=["8 more acts with evidence"])
    promotion: PromotionView | None = Field(description="The promotion that waits for a person.")


class VersionView(BaseModel):
    """A version of an agent."""

    number: int = Field(description="Which, from 1.", examples=[1])
    fingerprint: str = Field(description="SHA-256 of what makes it one.", examples=["9f86d0" * 10 + "9f86"])
    document: dict[str, Any] = Field(
        description="Code, configuration, models, prompts.", examples=[{"kind": "support"}]
    )
    since: datetime = Field(description="Since when (UTC).", examples=[_AT])


class MoveView(BaseModel):
    """A change of a level."""

    effect_class: EffectClass = Field(description="In which class.", examples=["write"])
    version: int = Field(description="Of which version of the agent.", examples=[1])
    from_level: int = Field(description="From.", examples=[2])
    to_level: int = Field(description="To.", examples=[3])
    set_by: SetBy = Field(description="By what.", examples=["promotion"])
    reason: str = Field(description="Why.", examples=["20 of 20 acts right"])
    actor: str = Field(description="By whom, as `kind:id`.", examples=["user:0199b6ff-b66f-7000-8000-000000000002"])
    moved_at: datetime = Field(description="When (UTC).", examples=[_AT])


class AgentStandingView(BaseModel):
    """How far an agent may go, and everything that says why."""

    agent_id: str = Field(description="The agent.", examples=[_ID])
    name: str = Field(description="Its name.", examples=["support-1"])
    kind: str = Field(description="What kind of agent it is.", examples=["support"])
    rules: AutonomyRules = Field(description="What the organization asks for.")
    standings: list[StandingView] = Field(description="By class of effects.")
    versions: list[VersionView] = Field(description="Newest first; at most 50.")
    moves: list[MoveView] = Field(description="Newest first; at most 50.")


class LevelBody(Body):
    """A level by a person's word."""

    level: int = Field(
        ge=1, le=5, description="1 observe, 2 propose, 3 act with notice, 4 act, 5 also destructive.", examples=[3]
    )
    reason: str = Because


class ReasonBody(Body):
    """Why."""

    reason: str = Because


class ConfirmBody(Body):
    """Why, if there is something to say."""

    reason: str | None = Field(
        default=None, min_length=1, max_length=2000, description="Why; it is audited.", examples=["well done"]
    )
    max_regressions: BoundText | None = Field(
        default=None, examples=["0"],
        description="Refuse it unless the agent's recorded decisions, made again at that level, have no more "
        "regressions: a number or share.",
    )  # fmt: skip


@router.get("", summary="List levels", responses=problems(404), dependencies=[Needs("autonomy:read")])
async def list_autonomy(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> AgentLevelsPage:
    """Return agents with how far each may go in each class of effects."""
    page = await platform.standings.list(organization.id, limit=limit, cursor=cursor)
    return AgentLevelsPage.model_validate(page, from_attributes=True)


@router.get("/rules", summary="Get the rules", responses=problems(404), dependencies=[Needs("autonomy:read")])
async def get_autonomy_rules(platform: Platform, organization: Tenant) -> AutonomyRules:
    """Return what the organization asks for before an agent goes further."""
    return await platform.autonomy.rules(organization.id)


@router.put("/rules", summary="Set the rules", responses=problems(404), dependencies=[Needs("autonomy:write")])
async def put_autonomy_rules(
    platform: Platform, organization: Tenant, actor: Acting, body: AutonomyRules
) -> AutonomyRules:
    """Set what the organization asks for; what was earned stays until the next evidence."""
    return await platform.autonomy.put_rules(organization.id, body, actor=actor)


@router.get("/promotions", summary="List promotions", responses=problems(404), dependencies=[Needs("autonomy:read")])
async def list_promotions(
    platform: Platform,
    organization: Tenant,
    state: Annotated[
        PromotionState | None, Query(description="Only those in this state.", examples=["proposed"])
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PromotionPage:
    """Return proposals to let agents go further, newest first."""
    page = await platform.standings.promotions(organization.id, state=state, limit=limit, cursor=cursor)
    return PromotionPage.model_validate(page, from_attributes=True)


@router.get(
    "/promotions/{promotion_id}", summary="Get a promotion", responses=problems(404),
    dependencies=[Needs("autonomy:read")],
)  # fmt: skip
async def get_promotion(platform: Platform, organization: Tenant, promotion_id: PromotionId) -> PromotionView:
    """Return one proposal with what it rests on."""
    found = await platform.autonomy.promotion(organization.id, promotion_id)
    return PromotionView.model_validate(found, from_attributes=True)


@router.post(
    "/promotions/{promotion_id}/confirm", summary="Confirm a promotion", responses=problems(404, 409),
    dependencies=[Needs("autonomy:write")],
)  # fmt: skip
async def confirm_promotion(
    platform: Platform, organization: Tenant, actor: Acting, promotion_id: PromotionId, body: ConfirmBody
) -> PromotionView:
    """Let the agent go one level further, if what it earned still holds."""
    if body.max_regressions is not None:
        asked = await platform.autonomy.promotion(organization.id, promotion_id)
        await platform.rehearsals.require_level(
            organization.id, asked.agent_id, asked.effect_class, asked.to_level,
            Bounds(Bound.parse(body.max_regressions)),
        )  # fmt: skip
    found = await platform.autonomy.confirm(organization.id, promotion_id, actor=actor, reason=body.reason)
    return PromotionView.model_validate(found, from_attributes=True)


@router.post(
    "/promotions/{promotion_id}/refuse", summary="Refuse a promotion", responses=problems(404, 409),
    dependencies=[Needs("autonomy:write")],
)  # fmt: skip
async def refuse_promotion(
    platform: Platform, organization: Tenant, actor: Acting, promotion_id: PromotionId, body: ReasonBody
) -> PromotionView:
    """Keep the agent where it is; it is proposed again only after as much evidence again."""
    found = await platform.autonomy.refuse(organization.id, promotion_id, actor=actor, reason=body.reason)
    return PromotionView.model_validate(found, from_attributes=True)


@router.get(
    "/agents/{agent}", summary="Explain a level", responses=problems(404), dependencies=[Needs("autonomy:read")]
)
async def get_autonomy(platform: Platform, organization: Tenant, agent: AgentName) -> AgentStandingView:
    """Return how far an agent may go in each class, by what evidence, and what is missing for more."""
    found = await platform.standings.show(organization.id, agent)
    return AgentStandingView.model_validate(found, from_attributes=True)


@router.put(
    "/agents/{agent}/{effect_class}", summary="Set a level", responses=problems(404),
    dependencies=[Needs("autonomy:write")],
)  # fmt: skip
async def set_autonomy(
    platform: Platform, organization: Tenant, actor: Acting, *, agent: AgentName, effect_class: Class, body: LevelBody
) -> AgentStandingView:
    """Set how far an agent may go in a class; 5 only in person, not by a key."""
    found = await platform.standings.show(organization.id, agent)
    await platform.autonomy.set_level(
        organization.id, found.agent_id, effect_class, body.level, actor=actor, reason=body.reason
    )
    shown = await platform.standings.show(organization.id, found.agent_id)
    return AgentStandingView.model_validate(shown, from_attributes=True)
