"""Decisions: what was considered, allowed, asked about and declined; and why anything did or did not happen."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.authority.decisions import DecisionFilter, Decisions
from bailiwick.authority.model import Outcome, Voice
from bailiwick.installation.explaining import Explainer

decisions = APIRouter(prefix="/decisions", tags=["policies"])
why = APIRouter(prefix="/why", tags=["policies"])

_ID = "0199b6ff-b66f-7000-8000-000000000007"
DecisionId = Annotated[str, Path(max_length=100, description="A decision's id.", examples=[_ID])]
About = Annotated[
    str,
    Path(
        min_length=1, max_length=500,
        description="The id of an effect, decision, approval, task or event, or the key of an issue.",
        examples=["acme/shop#7"],
    ),
]  # fmt: skip


class OpinionView(BaseModel):
    """What one voice said."""

    voice: Voice = Field(description="Who: a rule, the level, the floor, ...", examples=["rule"])
    rule: str = Field(description="Its name.", examples=["no-mail-at-night"])
    outcome: Outcome = Field(description="What it said.", examples=["deny"])
    reason: str = Field(description="And why.", examples=["customers sleep"])


class TermsView(BaseModel):
    """Who has to say yes."""

    roles: list[str] = Field(description="Whose yes counts.", examples=[["admin"]])
    quorum: int = Field(description="How many.", examples=[2])
    expires_hours: float = Field(description="By when.", examples=[24])
    on_expiry: Literal["deny", "allow"] = Field(description="What silence means.", examples=["deny"])
    escalate_to: str | None = Field(description="Who is asked when nobody answers.", examples=["owner"])
    escalate_hours: float | None = Field(description="After how long.", examples=[None])


class DecisionView(BaseModel):
    """A decision, and what it was about."""

    id: str = Field(description="Its id.", examples=[_ID])
    task_id: str = Field(description="The run that proposed.", examples=[_ID])
    agent_id: str | None = Field(description="The agent who proposed.", examples=[_ID])
    agent_kind: str | None = Field(description="What kind of agent that is.", examples=["support"])
    tool: str = Field(description="With which tool.", examples=["github.comment"])
    effect_class: str = Field(description="What it does at worst.", examples=["external"])
    target: str = Field(description="To what.", examples=["issue:acme/shop#7"])
    price: Decimal = Field(description="At what price.", examples=["0"])
    labels: list[str] = Field(description="Where its arguments come from.", examples=[["untrusted:github"]])
    risk: float | None = Field(description="0 to 10; null: cannot be determined.", examples=[2.4])
    score: float | None = Field(description="0 to 1; null: cannot be determined.", examples=[None])
    confidence: float | None = Field(description="The agent's, 0 to 1.", examples=[0.9])
    outcome: Outcome = Field(description="What was decided.", examples=["deny"])
    voice: Voice = Field(description="Who decided.", examples=["rule"])
    rule: str = Field(description="By which rule.", examples=["no-mail-at-night"])
    reason: str = Field(description="And why.", examples=["customers sleep"])
    policy_version: int = Field(description="By which version of the policy; 0: there was none.", examples=[3])
    ceiling_version: int = Field(description="And of the installation's ceiling.", examples=[0])
    level: int = Field(description="The agent's autonomy then; 0: none.", examples=[2])
    terms: TermsView | None = Field(description="Who has to say yes; null unless that was decided.")
    notice: bool = Field(description="Whether people are told.", examples=[False])
    is_shadow: bool = Field(description="Whether it only records what the agent would have done.", examples=[False])
    considered: list[OpinionView] = Field(description="Everything that was said, the strictest first.")
    undetermined: list[str] = Field(
        description="Rules that would have allowed it, had what they ask been known.",
        examples=[["safe: cannot determine: risk missing"]],
    )
    proposed_because: str = Field(description="Why the agent wanted it.", examples=["answers the question"])
    decided_at: datetime = Field(description="When (UTC).", examples=["2026-11-20T09:30:00Z"])


class DecisionPage(PageOf[DecisionView]):
    """A page of decisions."""


class ExplanationView(BaseModel):
    """Why something did or did not happen."""

    about: str = Field(description="What was asked for.", examples=["acme/shop#7"])
    kind: str = Field(description="What that is.", examples=["key"])
    answer: list[str] = Field(
        description="In sentences.", examples=[["github.comment on issue:acme/shop#7 was done and is verified."]]
    )
    chains: list[dict[str, Any]] = Field(
        description="For each task: the events before it, the choice of the agent, and every proposal with decision, "
        "approval, execution, verification and outcome."
    )
    is_cut: bool = Field(description="Whether there is more than is shown.", examples=[False])


@decisions.get("", summary="List decisions", responses=problems(404), dependencies=[Needs("effects:read")])
async def list_decisions(
    platform: Platform,
    organization: Tenant,
    *,
    task: Annotated[UUID | None, Query(description="Of this run only.", examples=[_ID])] = None,
    agent: Annotated[UUID | None, Query(description="Of this agent only.", examples=[_ID])] = None,
    outcome: Annotated[Outcome | None, Query(description="Only those.", examples=["deny"])] = None,
    tool: Annotated[
        str | None, Query(min_length=1, max_length=500, description="With this tool only.", examples=["github.comment"])
    ] = None,
    target: Annotated[
        str | None,
        Query(min_length=1, max_length=500, description="About this target only.", examples=["issue:acme/shop#7"]),
    ] = None,
    shadow: Annotated[bool | None, Query(description="Only what observers would have done.", examples=[True])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DecisionPage:
    """Return what was decided, newest first: what was done, asked about, and declined."""
    wanted = DecisionFilter(
        None if task is None else str(task), None if agent is None else str(agent), outcome, tool, target, shadow
    )
    page = await Decisions(platform.database).list(organization.id, wanted, limit=limit, cursor=cursor)
    return DecisionPage.model_validate(page, from_attributes=True)


@decisions.get(
    "/{decision_id}", summary="Get a decision", responses=problems(404), dependencies=[Needs("effects:read")]
)
async def get_decision(platform: Platform, organization: Tenant, decision_id: DecisionId) -> DecisionView:
    """Return one decision with everything that was considered."""
    found = await Decisions(platform.database).get(organization.id, decision_id)
    return DecisionView.model_validate(found, from_attributes=True)


@why.get("/{about:path}", summary="Explain", responses=problems(404), dependencies=[Needs("effects:read")])
async def explain(platform: Platform, organization: Tenant, about: About) -> ExplanationView:
    """Answer why something happened or did not: from the event to the verified outcome, or to who said no."""
    found = await Explainer(platform.database, platform.policies).explain(organization.id, about)
    return ExplanationView.model_validate(found.document())
