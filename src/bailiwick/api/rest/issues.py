"""Issues of the operations pack: where each stands, and everything that happened to it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.kernel.errors import NotFoundError
from bailiwick.packs.operations.reader import IssueFilterBy, IssueReader

router = APIRouter(prefix="/issues", tags=["issues"])

_EXTENSION = "operations"


class IssueView(BaseModel):
    """An issue in a listing."""

    id: str = Field(description="Its id here.", examples=["0199b6ff-b66f-7000-8000-000000000009"])
    key: str = Field(description="`owner/name#number`.", examples=["acme/shop#7"])
    number: int = Field(description="Its number in its repository.", examples=[7])
    title: str = Field(description="Its title: untrusted.", examples=["The till is down"])
    labels: list[str] = Field(description="Its labels, as they came.", examples=[["bug"]])
    author: str | None = Field(description="Who opened it.", examples=["maria"])
    state: str = Field(description="`open` or `closed` at its source.", examples=["open"])
    opened_at: datetime = Field(description="When it was opened (UTC).", examples=["2026-11-20T09:30:00Z"])
    closed_at: datetime | None = Field(description="When it was closed (UTC).", examples=[None])
    is_history: bool = Field(description="Whether it was closed before it was first seen.", examples=[False])
    reopened_count: int = Field(description="How often it was opened again.", examples=[0])
    department: str | None = Field(description="The department it was classified to.", examples=["support"])
    operation: str | None = Field(description="What that department is to do.", examples=["answer"])
    priority: str | None = Field(description="`P0` (most urgent) to `P3`.", examples=["P1"])
    status: str = Field(description="Where it stands in the lifecycle.", examples=["in-progress"])
    status_reason: str = Field(description="Why it stands there.", examples=["assigned to support-1"])
    status_at: datetime = Field(description="Since when (UTC).", examples=["2026-11-20T09:31:00Z"])
    done_at: datetime | None = Field(description="When it was done (UTC).", examples=[None])
    deadline_at: datetime | None = Field(
        description="When its service level ends (UTC).", examples=["2026-11-20T13:30:00Z"]
    )
    at_risk_at: datetime | None = Field(description="Since when the service level is at risk (UTC).", examples=[None])
    breached_at: datetime | None = Field(description="When the service level was missed (UTC).", examples=[None])
    duplicate_of: str | None = Field(description="The issue it repeats, by key.", examples=[None])
    agent_id: str | None = Field(description="The agent who has it.", examples=["0199b6ff-b66f-7000-8000-000000000004"])
    task_id: str | None = Field(
        description="The task that carries it.", examples=["0199b6ff-b66f-7000-8000-000000000001"]
    )
    confidence: float | None = Field(description="How sure the department is, from 0 to 1.", examples=[0.93])


class IssueDetailView(BaseModel):
    """An issue with everything that is kept about it."""

    summary: IssueView = Field(description="The issue as listings show it.")
    body: str = Field(description="Its text: untrusted.", examples=["Since nine the till shows an error."])
    classification: dict[str, Any] | None = Field(
        description="Department and priority with confidence and evidence.", examples=[{"department": "support"}]
    )
    choice: dict[str, Any] | None = Field(description="Why this agent: the terms for each candidate.", examples=[None])
    oversight: dict[str, Any] | None = Field(description="What the project manager decided, and why.", examples=[None])
    related: list[dict[str, Any]] = Field(description="Issues like it.", examples=[[]])
    escalations: list[dict[str, Any]] = Field(description="Each raise of its priority.", examples=[[]])
    transitions: list[dict[str, Any]] = Field(
        description="Every change of its status: who, why, when.",
        examples=[[{"from_status": None, "to_status": "todo", "actor": "lifecycle", "reason": "opened"}]],
    )
    results: list[dict[str, Any]] = Field(
        description="What agents found, with evidence, and what was missing.",
        examples=[[{"operation": "answer", "status": "done", "summary": "…"}]],
    )
    proposed_effects: list[dict[str, Any]] = Field(
        description="What agents asked to have done at the issue, from the ledger of effects: tool, arguments, state, "
        "and why not where it was declined.",
        examples=[[{"tool": "github.add_labels", "arguments": {"labels": ["needs-info"]}, "state": "verified"}]],
    )


class IssuePage(PageOf[IssueView]):
    """A page of issues."""


class SlaView(BaseModel):
    """Service levels of the issues whose clock ran."""

    met: int = Field(description="Done in time.", examples=[40])
    breached: int = Field(description="Late, done or not.", examples=[2])
    running: int = Field(description="Not done, and still in time.", examples=[5])


class IssueCounts(BaseModel):
    """How many issues came in open, and how they stand."""

    status: dict[str, int] = Field(description="By status.", examples=[{"done": 40, "in-progress": 5}])
    department: dict[str, int] = Field(description="By department.", examples=[{"support": 30, "qa": 15}])
    priority: dict[str, int] = Field(description="By priority.", examples=[{"P0": 1, "P2": 44}])
    sla: SlaView = Field(description="Service levels.")


async def _reader(platform: Platform) -> IssueReader:
    if not any(status.name == _EXTENSION and status.state == "loaded" for status in platform.extensions):
        raise NotFoundError(
            f"issues need the extension {_EXTENSION!r}, which is not loaded; see GET /api/v1/extensions"
        )
    return IssueReader(platform.database)


Issues = Annotated[IssueReader, Depends(_reader)]


@router.get("", summary="List issues", responses=problems(404), dependencies=[Needs("issues:read")])
async def list_issues(
    issues: Issues,
    organization: Tenant,
    *,
    status: Annotated[
        str | None, Query(max_length=50, description="This status only.", examples=["in-progress"])
    ] = None,
    department: Annotated[
        str | None, Query(max_length=100, description="This department only.", examples=["support"])
    ] = None,
    priority: Annotated[
        int | None, Query(ge=0, le=3, description="This priority only: 0 (P0) to 3 (P3).", examples=[0])
    ] = None,
    state: Annotated[
        Literal["open", "closed"] | None, Query(description="As it is at its source.", examples=["open"])
    ] = None,
    is_late: Annotated[bool | None, Query(description="Whether its service level was missed.", examples=[True])] = None,
    include_history: Annotated[
        bool, Query(description="Also issues that were closed before they were first seen.", examples=[False])
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> IssuePage:
    """Return issues, the newest on record first."""
    wanted = IssueFilterBy(status, department, priority, state, is_late, include_history)
    page = await issues.list(organization.id, wanted, limit=limit, cursor=cursor)
    return IssuePage.model_validate(page, from_attributes=True)


@router.get("/counts", summary="Count issues", responses=problems(404), dependencies=[Needs("issues:read")])
async def count_issues(issues: Issues, organization: Tenant) -> IssueCounts:
    """Return the numbers of issues by status, department and priority, and their service levels."""
    counts = await issues.counts(organization.id)
    sla = await issues.sla_counts(organization.id)
    return IssueCounts(**counts, sla=SlaView.model_validate(sla, from_attributes=True))


@router.get("/{issue:path}", summary="Get an issue", responses=problems(404), dependencies=[Needs("issues:read")])
async def get_issue(
    issues: Issues,
    organization: Tenant,
    issue: Annotated[
        str, Path(max_length=300, description="Its id, or its key with `#` as `%23`.", examples=["acme/shop%237"])
    ],
) -> IssueDetailView:
    """Return one issue with its transitions, results and what agents propose."""
    return IssueDetailView.model_validate(await issues.get(organization.id, issue), from_attributes=True)
