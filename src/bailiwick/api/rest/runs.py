"""Runs: a task with everything that happened in it."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bailiwick.api.access import Needs, Platform, Tenant
from bailiwick.api.rest.pages import TaskId, problems
from bailiwick.api.rest.tasks import TaskDetail, detail_of

router = APIRouter(prefix="/runs", tags=["runs"])


class Step(BaseModel):
    """One step of the journal."""

    seq: int = Field(description="Its place in the journal, from 0.", examples=[0])
    kind: str = Field(description="`step`, `sleep`, `wait`, `spawn` and so on.", examples=["step"])
    name: str = Field(description="Its name.", examples=["classify"])
    result: Any = Field(description="What it returned; null while it is open.", examples=[{"department": "support"}])
    milliseconds: float | None = Field(description="How long it took.", examples=[3.2])
    started_at: datetime = Field(description="When it began (UTC).", examples=["2026-11-20T09:30:00Z"])
    finished_at: datetime | None = Field(
        description="When its result was journaled (UTC); null for a wait that has not ended.",
        examples=["2026-11-20T09:30:01Z"],
    )
    labels: list[str] = Field(
        description="The labels that the run carries from this step on, beside those it had.", examples=[[]]
    )


class RunView(BaseModel):
    """A task, its attempts and its journal."""

    task: TaskDetail = Field(description="The task, with the error of each failed attempt.")
    attempts: int = Field(description="How often it was begun: failures, lost workers and the present or last try.")
    steps: list[Step] = Field(description="The journal, in order; finished steps never run again.")


@router.get("/{task_id}", summary="Get a run", responses=problems(404), dependencies=[Needs("tasks:read")])
async def get_run(platform: Platform, organization: Tenant, task_id: TaskId) -> RunView:
    """Return a task with its attempts, its errors and its journal."""
    record = await platform.tasks.get(organization.id, task_id)
    steps = await platform.tasks.journal(organization.id, record.id)
    # A discarded task's last try is among its failures.
    tried = record.failures + record.recoveries
    under_way = record.started_at is not None and record.state in ("executing", "waiting", "completed")
    return RunView(
        task=detail_of(record),
        attempts=tried + under_way,
        steps=[Step.model_validate(step, from_attributes=True) for step in steps],
    )
