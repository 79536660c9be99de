"""Agents: who there is, and how they do."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from bailiwick.agents import AgentRecord
from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body

router = APIRouter(prefix="/agents", tags=["agents"])

AgentName = Annotated[str, Path(max_length=200, description="An agent's id or name.", examples=["support-1"])]


class AgentView(BaseModel):
    """An agent."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000004"])
    kind: str = Field(description="Its kind, which is the code it runs.", examples=["support"])
    name: str = Field(description="Its name, unique in the organization.", examples=["support-1"])
    configuration: dict[str, Any] = Field(description="What its kind lets be set.", examples=[{}])
    capabilities: list[str] = Field(description="The kinds of task it may be chosen for.", examples=[["support.work"]])
    price: float = Field(description="What one task costs, in the organization's currency.", examples=[0.25])
    capacity: int = Field(description="How many tasks it can have in hand before its load weighs fully.", examples=[4])
    is_enabled: bool = Field(description="Whether it may be chosen.", examples=[True])
    created_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-20T09:30:00Z"])


class AgentStatisticsView(BaseModel):
    """What was measured of an agent."""

    agent_id: str = Field(description="The agent.", examples=["0199b6ff-b66f-7000-8000-000000000004"])
    name: str = Field(description="Its name.", examples=["support-1"])
    kind: str = Field(description="Its kind.", examples=["support"])
    done: int = Field(description="Tasks that ended with it.", examples=[120])
    completed: int = Field(description="Those that were completed.", examples=[117])
    discarded: int = Field(description="Those that failed for good.", examples=[3])
    cost: float = Field(description="What they cost, in the organization's currency.", examples=[29.25])
    load: int = Field(description="Tasks it has in hand.", examples=[2])
    p50_seconds: float | None = Field(
        description="Median time from first start to end of its last 500 completed tasks.", examples=[0.4]
    )
    p95_seconds: float | None = Field(description="The same at the 95th percentile.", examples=[1.9])


class AgentPage(PageOf[AgentStatisticsView]):
    """A page of agents with what was measured of each."""


class NewAgentBody(Body):
    """An agent to add."""

    kind: str = Field(min_length=1, max_length=200, description="A registered kind of agent.", examples=["support"])
    name: str = Field(min_length=1, max_length=200, description="Its name.", examples=["support-2"])
    configuration: dict[str, Any] = Field(default_factory=dict, description="What its kind lets be set.", examples=[{}])
    price: float = Field(
        default=0.0, ge=0, le=1e9, allow_inf_nan=False, description="What one task costs.", examples=[0.25]
    )
    capacity: int = Field(
        default=4, ge=1, le=1_000_000, description="Tasks in hand before its load weighs fully.", examples=[4]
    )


@router.get("", summary="List agents", responses=problems(404), dependencies=[Needs("agents:read")])
async def list_agents(platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None) -> AgentPage:
    """Return agents with their statistics, newest first."""
    page = await platform.directory.statistics(organization.id, limit=limit, cursor=cursor)
    return AgentPage.model_validate(page, from_attributes=True)


@router.get("/{agent}", summary="Get an agent", responses=problems(404), dependencies=[Needs("agents:read")])
async def get_agent(platform: Platform, organization: Tenant, agent: AgentName) -> AgentView:
    """Return one agent by id or name."""
    return _view(await platform.directory.get(organization.id, agent))


@router.post(
    "", status_code=201, summary="Add an agent", responses=problems(404, 409), dependencies=[Needs("agents:write")]
)
async def create_agent(platform: Platform, organization: Tenant, actor: Acting, body: NewAgentBody) -> AgentView:
    """Add an agent; it may be chosen from its first moment on."""
    made = await platform.directory.create(
        organization.id,
        body.kind,
        body.name,
        configuration=body.configuration,
        price=body.price,
        capacity=body.capacity,
        actor=actor,
    )
    return _view(made)


@router.post(
    "/{agent}/enable", summary="Enable an agent", responses=problems(404), dependencies=[Needs("agents:write")]
)
async def enable_agent(platform: Platform, organization: Tenant, actor: Acting, agent: AgentName) -> AgentView:
    """Let an agent be chosen."""
    return _view(await platform.directory.enable(organization.id, agent, is_enabled=True, actor=actor))


@router.post(
    "/{agent}/disable", summary="Disable an agent", responses=problems(404), dependencies=[Needs("agents:write")]
)
async def disable_agent(platform: Platform, organization: Tenant, actor: Acting, agent: AgentName) -> AgentView:
    """Let an agent be chosen no more; what it has in hand stays with it."""
    return _view(await platform.directory.enable(organization.id, agent, is_enabled=False, actor=actor))


def _view(agent: AgentRecord) -> AgentView:
    return AgentView.model_validate(agent, from_attributes=True)
