"""Tasks: submitted, listed and looked at."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from bailiwick.api.access import Anybody, Needs, Platform, Tenant, check_addition
from bailiwick.api.rest.labels import Labels, Outside, door_labels
from bailiwick.api.rest.pages import Cursor, Limit, Moment, PageOf, TaskId, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.tasks import NewTask, TaskState
from bailiwick.tasks.reader import TaskFilter, TaskRecord

router = APIRouter(prefix="/tasks", tags=["tasks"])

_TEN_YEARS_SECONDS = 10 * 366 * 86_400


class TaskError(BaseModel):
    """A failed attempt."""

    at: datetime = Field(description="When it failed (UTC).", examples=["2026-11-20T09:31:00Z"])
    attempt: int | None = Field(default=None, description="Which attempt it was, from 1.", examples=[1])
    error: str = Field(description="The error's stable code or class.", examples=["cannot_determine"])
    message: str = Field(description="What it said.", examples=["cannot determine: the meter's unit missing"])
    where: str | None = Field(
        default=None, description="The innermost line of code.", examples=["model.py:42 in estimate"]
    )


class TaskSummary(BaseModel):
    """A task without its payload and result."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    kind: str = Field(description="What is to be done.", examples=["issue.triage"])
    state: TaskState = Field(
        description="`completed`, `cancelled` and `discarded` are final; the others are live.", examples=["executing"]
    )
    priority: int = Field(description="0 (P0, most urgent) to 3 (P3).", examples=[2])
    agent_id: str | None = Field(description="The agent who does it.", examples=[None])
    cause_id: str | None = Field(description="The event it follows from.", examples=[None])
    parent_id: str | None = Field(description="The task that made it.", examples=[None])
    forked_from: str | None = Field(description="The task it is a fork of.", examples=[None])
    failures: int = Field(description="How many attempts failed.", examples=[0])
    recoveries: int = Field(description="How often it lost its worker and was taken up again.", examples=[0])
    last_error: TaskError | None = Field(description="The latest failure.")
    reason: str | None = Field(description="Why it was cancelled or discarded.", examples=[None])
    is_paused: bool = Field(description="Whether it is parked until resumed.", examples=[False])
    wait_event: str | None = Field(description="The type of event it waits for.", examples=[None])
    wait_key: str | None = Field(description="The key of the event it waits for.", examples=[None])
    cost: float = Field(description="What it cost, in the organization's currency.", examples=[0.25])
    deadline_at: datetime | None = Field(description="When it should be done (UTC).", examples=["2026-11-20T13:30:00Z"])
    run_at: datetime | None = Field(description="When it is due, if that is by time (UTC).", examples=[None])
    inserted_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-20T09:30:00Z"])
    started_at: datetime | None = Field(description="When it was first executed (UTC).", examples=[None])
    finished_at: datetime | None = Field(description="When it ended (UTC).", examples=[None])
    labels: Labels


class TaskDetail(TaskSummary):
    """Everything that is kept about a task but its journal."""

    payload: Any = Field(description="What it was given; its schema is that of its kind.", examples=[{"number": 7}])
    result: Any = Field(description="What came of it; null until it is completed.", examples=[None])
    choice: dict[str, Any] | None = Field(
        description="Why this agent was chosen: the terms computed for each candidate.", examples=[None]
    )
    errors: list[TaskError] = Field(description="Every failed attempt, oldest first.")
    worker_id: str | None = Field(description="The worker that executes or executed it.", examples=[None])
    result_labels: list[str] | None = Field(
        description="The labels that its result carries: its own, and those of what it learned; null until it ended.",
        examples=[None],
    )
    code_version: str | None = Field(description="The version of the code that first executed it.", examples=["0.1.0"])


class TaskPage(PageOf[TaskSummary]):
    """A page of tasks."""


class SubmittedTask(BaseModel):
    """The durable answer to a submission."""

    task_id: str = Field(description="The task.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    is_new: bool = Field(
        description="False when the idempotency key was used before: then it is that task.", examples=[True]
    )


class TaskSubmission(Body):
    """A task to be done."""

    kind: str = Field(
        min_length=1, max_length=200, description="One of `GET /api/v1/kinds`.", examples=["issue.triage"]
    )
    payload: dict[str, Any] = Field(
        default_factory=dict, description="What the kind's schema asks for, at most 256 KiB.", examples=[{"number": 7}]
    )
    priority: int = Field(default=2, ge=0, le=3, description="0 (P0, most urgent) to 3 (P3).", examples=[2])
    deadline_at: Moment | None = Field(
        default=None, description="When it should be done.", examples=["2026-11-20T13:30:00Z"]
    )
    delay_seconds: float | None = Field(
        default=None, ge=0, le=_TEN_YEARS_SECONDS, allow_inf_nan=False, description="Not before so long from now.",
        examples=[None],
    )  # fmt: skip
    run_at: Moment | None = Field(default=None, description="Not before this moment.", examples=[None])
    agent_id: UUID | None = Field(default=None, description="The agent who is to do it.", examples=[None])
    outside: Outside | None = Field(
        default=None,
        description="The outside system whose text the payload carries, where it is not the caller's own word: it is "
        "labelled `untrusted:` with this name.",
        examples=[None],
    )


@router.get("", summary="List tasks", responses=problems(404), dependencies=[Needs("tasks:read")])
async def list_tasks(
    platform: Platform,
    organization: Tenant,
    *,
    state: Annotated[
        list[TaskState] | None, Query(max_length=8, description="Any of these states.", examples=[["executing"]])
    ] = None,
    kind: Annotated[str | None, Query(max_length=200, description="This kind only.", examples=["issue.triage"])] = None,
    agent_id: Annotated[UUID | None, Query(description="Tasks of this agent only.", examples=[None])] = None,
    priority: Annotated[int | None, Query(ge=0, le=3, description="This priority only.", examples=[0])] = None,
    cause_id: Annotated[UUID | None, Query(description="Tasks that follow from this event.", examples=[None])] = None,
    parent_id: Annotated[UUID | None, Query(description="Tasks made by this task.", examples=[None])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> TaskPage:
    """Return tasks, live and finished, newest first, without payloads and results."""
    wanted = TaskFilter(state or (), kind, _text(agent_id), _text(cause_id), _text(parent_id), priority)
    page = await platform.tasks.list(organization.id, wanted, limit=limit, cursor=cursor, with_documents=False)
    return TaskPage(items=[summary_of(task) for task in page.items], next_cursor=page.next_cursor)


@router.get("/{task_id}", summary="Get a task", responses=problems(404), dependencies=[Needs("tasks:read")])
async def get_task(platform: Platform, organization: Tenant, task_id: TaskId) -> TaskDetail:
    """Return everything that is kept about a task; `GET /runs/{task_id}` adds its journal."""
    return detail_of(await platform.tasks.get(organization.id, task_id))


@router.post(
    "",
    status_code=201,
    summary="Submit a task",
    responses={200: {"model": SubmittedTask, "description": "The key was used before"}, **problems(404)},
    dependencies=[Needs("tasks:write")],
)
async def submit_task(
    platform: Platform,
    organization: Tenant,
    caller: Anybody,
    *,
    body: TaskSubmission,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="The same key twice in an organization is one task, so a request can be repeated safely.",
            examples=["order-4711"],
        ),
    ] = None,
) -> SubmittedTask:
    """Add a task; once this answers, it survives any crash."""
    kind = platform.queue.kinds.get(body.kind)
    check_addition(caller, kind, organization)
    agent = None if body.agent_id is None else await platform.directory.get(organization.id, str(body.agent_id))
    task = NewTask(
        body.kind,
        body.payload,
        priority=body.priority,
        deadline_at=body.deadline_at,
        delay_seconds=body.delay_seconds,
        run_at=body.run_at,
        agent_id=None if agent is None else agent.id,
        key=idempotency_key,
        labels=door_labels(caller, body.outside, is_declared=kind.outside is not None),
    )
    made = await platform.queue.enqueue(organization.id, task)
    if not made.is_new:
        response.status_code = 200
    return SubmittedTask(task_id=made.task_id, is_new=made.is_new)


def summary_of(task: TaskRecord) -> TaskSummary:
    """Return a task as listings show it."""
    return TaskSummary.model_validate(_fields(task, TaskSummary))


def detail_of(task: TaskRecord) -> TaskDetail:
    """Return a task with everything but its journal."""
    return TaskDetail.model_validate(_fields(task, TaskDetail))


def _fields(task: TaskRecord, view: type[TaskSummary]) -> dict[str, Any]:
    last = task.errors[-1] if task.errors else None
    return {"last_error": last} | {name: getattr(task, name) for name in view.model_fields if name != "last_error"}


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
