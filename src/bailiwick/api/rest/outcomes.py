"""Outcomes: what was expected of effects and results, what a later look found, and what agents achieved by that."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, Moment, PageOf, problems
from bailiwick.outcomes.model import OutcomeState
from bailiwick.outcomes.service import OutcomeFilter

router = APIRouter(prefix="/outcomes", tags=["outcomes"])

_ID = "0199b6ff-b66f-7000-8000-000000000008"
_AT = "2026-12-05T09:30:00Z"

OutcomeId = Annotated[str, Path(max_length=100, description="An outcome's id.", examples=[_ID])]


class OutcomeView(BaseModel):
    """One expectation, and the verdict once there is one."""

    id: str = Field(description="Its id, also that of the task that looks.", examples=[_ID])
    effect_id: str | None = Field(description="The effect it is about; null: the task's own result.", examples=[_ID])
    task_id: str = Field(description="The run that states it.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    agent_id: str | None = Field(description="The agent whose work it is.", examples=[None])
    effect_class: str | None = Field(description="The class of the effect.", examples=["external"])
    check: str = Field(description="How it is looked at.", examples=["event.absent"])
    claim: str = Field(description="What should be true, in words.", examples=["the issue is not opened again"])
    arguments: dict[str, Any] = Field(
        description="What the check needs to know.", examples=[{"type": "issue.reopened", "key": "acme/shop#7"}]
    )
    expected_at: datetime = Field(description="When it was stated (UTC).", examples=["2026-11-21T09:30:00Z"])
    check_at: datetime = Field(description="When to look (UTC).", examples=[_AT])
    state: OutcomeState = Field(description="What the look found.", examples=["worked"])
    missing: str | None = Field(description="What an unknown one lacks to be told.", examples=[None])
    evidence: dict[str, Any] | None = Field(
        description="`readings`: what was read, when, from where.",
        examples=[{"readings": [{"source": "the event log", "at": _AT, "seen": {"events": []}}]}],
    )
    checked_at: datetime | None = Field(description="When somebody looked (UTC).", examples=[_AT])
    late_seconds: float | None = Field(description="How much later than it should; null: in time.", examples=[None])


class OutcomePage(PageOf[OutcomeView]):
    """A page of outcomes."""


class SuccessView(BaseModel):
    """How often it worked, of what a later look could tell."""

    rate: float = Field(description="Verified, of verified and refuted.", examples=[0.9])
    low: float = Field(description="Lower end of the central 95% interval.", examples=[0.59])
    high: float = Field(description="Upper end of it.", examples=[0.98])


class ReportLineView(BaseModel):
    """What one agent achieved in one class. Every effect is in one column; the columns are never added up."""

    agent_id: str | None = Field(description="The agent; null: work without one.", examples=[_ID])
    agent: str | None = Field(description="Its name.", examples=["support-1"])
    effect_class: str = Field(description="The class, or `result` for results of tasks.", examples=["external"])
    identified: int = Field(description="Found and not done: declined, refused, or only watched.", examples=[4])
    proposed: int = Field(description="On its way: proposed, waiting for people, being done.", examples=[1])
    applied: int = Field(description="Done, and nothing was expected of it that could be looked at.", examples=[0])
    pending: int = Field(description="Done, and the look is still to come.", examples=[3])
    seen: int = Field(description="Looked at at once or too early to be proof, and it was there.", examples=[2])
    unseen: int = Field(description="Looked at at once or too early to be proof, and it was not there.", examples=[0])
    verified: int = Field(description="Looked at later, and it worked: the only success.", examples=[9])
    refuted: int = Field(description="Looked at later, and it did not work.", examples=[1])
    unverifiable: int = Field(description="Looked at, and nobody could tell.", examples=[0])
    failed: int = Field(description="Tried and not done.", examples=[0])
    unknown: int = Field(description="Nobody can tell whether it was done.", examples=[0])
    reverted: int = Field(description="Done and taken back.", examples=[0])
    success: SuccessView | None = Field(description="Null where no look could tell.")


class OutcomeReport(BaseModel):
    """What agents achieved; a line per agent and class."""

    items: list[ReportLineView] = Field(description="By agent and class.")
    next_cursor: None = Field(default=None, description="Always null.")


class CheckView(BaseModel):
    """One way to look later whether something worked."""

    name: str = Field(description="Its name.", examples=["event.absent"])
    summary: str = Field(description="What it finds.", examples=["No such event came in the meantime."])
    arguments: dict[str, Any] = Field(description="The JSON Schema of what it needs to know.")


class CheckList(BaseModel):
    """All checks of the installation; there are few, so they come at once."""

    items: list[CheckView] = Field(description="By name.")
    next_cursor: None = Field(default=None, description="Always null.")


@router.get("", summary="List outcomes", responses=problems(404), dependencies=[Needs("outcomes:read")])
async def list_outcomes(
    platform: Platform,
    organization: Tenant,
    *,
    state: Annotated[OutcomeState | None, Query(description="Only those in this state.", examples=["did_not"])] = None,
    check: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Only by this check.", examples=["event.absent"])
    ] = None,
    effect_id: Annotated[UUID | None, Query(description="Only of this effect.", examples=[_ID])] = None,
    task_id: Annotated[UUID | None, Query(description="Only of this run.", examples=[_ID])] = None,
    agent_id: Annotated[UUID | None, Query(description="Only of this agent.", examples=[_ID])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> OutcomePage:
    """Return what was expected and what was found, newest first."""
    wanted = OutcomeFilter(state, check, _text(effect_id), _text(task_id), _text(agent_id))
    page = await platform.outcomes.list(organization.id, wanted, limit=limit, cursor=cursor)
    return OutcomePage.model_validate(page, from_attributes=True)


@router.get("/report", summary="Report outcomes", responses=problems(404), dependencies=[Needs("outcomes:read")])
async def report_outcomes(
    platform: Platform,
    organization: Tenant,
    since: Annotated[
        Moment | None, Query(description="Only what was proposed since.", examples=["2026-11-01T00:00:00Z"])
    ] = None,
    agent_id: Annotated[UUID | None, Query(description="Only this agent.", examples=[_ID])] = None,
) -> OutcomeReport:
    """Return what agents achieved. Only what a later look verified counts as success."""
    lines = await platform.outcome_reports.report(organization.id, since=since, agent_id=_text(agent_id))
    return OutcomeReport(items=[ReportLineView.model_validate(line, from_attributes=True) for line in lines])


@router.get("/checks", summary="List checks", responses=problems(404), dependencies=[Needs("outcomes:read")])
async def list_checks(platform: Platform, organization: Tenant) -> CheckList:
    """Return the ways in which outcomes can be looked at."""
    del organization
    found = platform.registry.checks.all()
    return CheckList(
        items=[
            CheckView(name=check.name, summary=check.summary, arguments=check.arguments.model_json_schema())
            for check in found
        ]
    )


@router.get("/{outcome_id}", summary="Get an outcome", responses=problems(404), dependencies=[Needs("outcomes:read")])
async def get_outcome(platform: Platform, organization: Tenant, outcome_id: OutcomeId) -> OutcomeView:
    """Return one expectation with the verdict and its evidence."""
    return OutcomeView.model_validate(await platform.outcomes.get(organization.id, outcome_id), from_attributes=True)


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
