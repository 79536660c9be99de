"""What an agent of the pack is asked to do."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bailiwick.packs.operations.event_types import PriorityName
from bailiwick.packs.operations.status import IssueStatus

OVERSIGHT = "oversight"


class OversightRequest(BaseModel):
    """Who is meant to do the issue, as the lifecycle chose; ``agent_id`` None: nobody can."""

    model_config = ConfigDict(frozen=True)

    agent_id: str | None
    agent_kind: str
    operation: str
    status: IssueStatus
    priority: PriorityName


class WorkAssignment(BaseModel):
    """One operation on one issue. The text is read when the work begins, so that it is the latest."""

    model_config = ConfigDict(frozen=True)

    issue_key: str
    operation: str
    oversight: OversightRequest | None = None
    # Nobody waits for the report: what it proposes is carried out without the issue being settled by it.
    is_by_itself: bool = False


class WorkReport(BaseModel):
    """What comes back from an agent's task."""

    model_config = ConfigDict(frozen=True)

    result_id: str
    operation: str
    status: Literal["done", "cannot_determine"]
    summary: str
    missing: tuple[str, ...]
    gates: list[dict[str, str | float | None]]
    is_passed: bool | None
    # What it asks to have done outside.
    comment: str | None = None
    labels: tuple[str, ...] = ()


class OversightReport(BaseModel):
    """What the project manager decided about urgent work."""

    model_config = ConfigDict(frozen=True)

    decision: Literal["proceed", "hold", "reassign", "escalate"]
    reasons: tuple[str, ...]
    reassign_to: str | None = None
