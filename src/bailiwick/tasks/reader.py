"""Reads of tasks and their journals, live and finished alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.tasks.model import TaskState

_LIVE = """
select id, organization_id, kind, state::text, priority, lane, deadline_at, run_at, {payload} as payload, agent_id,
       parent_id, cause_id, forked_from, failures, recoveries, errors, worker_id, code_version, cost, choice,
       null::jsonb as result, null as reason, is_paused, wait_event, wait_key, inserted_at, started_at,
       null::timestamptz as finished_at, coalesce(labels, '{{}}') as labels, null::text[] as result_labels
from tasks"""
_FINISHED = """
select id, organization_id, kind, state::text, priority, lane, deadline_at, null::timestamptz, {payload}, agent_id,
       parent_id, cause_id, forked_from, failures, recoveries, errors, worker_id, code_version, cost, choice,
       {result}, reason, false, null, null, inserted_at, started_at, finished_at,
       coalesce(labels, '{{}}'), coalesce(result_labels, labels, '{{}}')
from finished_tasks"""
# True of all: it opens the index of listings.
_LISTED = "priority >= 0"
# Up to 256 KiB each, kept apart from their rows: not read where nobody looks at them.
_WHOLE = {"payload": "payload", "result": "result"}
_LIGHT = {"payload": "null::jsonb", "result": "null::jsonb"}


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """Everything that is kept about one task.

    ``labels`` are those that it began with, ``result_labels`` those that its
    result carries: what it learned on the way is joined to them.
    """

    id: str
    organization_id: str
    kind: str
    state: TaskState
    priority: int
    lane: str
    deadline_at: datetime | None
    run_at: datetime | None
    payload: Any
    agent_id: str | None
    parent_id: str | None
    cause_id: str | None
    forked_from: str | None
    failures: int
    recoveries: int
    errors: list[dict[str, Any]]
    worker_id: str | None
    code_version: str | None
    cost: float
    choice: dict[str, Any] | None
    result: Any
    reason: str | None
    is_paused: bool
    wait_event: str | None
    wait_key: str | None
    inserted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    labels: list[str]
    result_labels: list[str] | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One journaled step; without ``finished_at`` it is a wait that has not ended.

    ``labels`` are those that the run carries from this step on.
    """

    seq: int
    kind: str
    name: str
    result: Any
    milliseconds: float | None
    started_at: datetime
    finished_at: datetime | None
    labels: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; None and empty mean any."""

    states: Sequence[TaskState] = ()
    kind: str | None = None
    agent_id: str | None = None
    cause_id: str | None = None
    parent_id: str | None = None
    priority: int | None = None


class TaskReader:
    """Looks tasks up within one organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, task_id: str) -> TaskRecord:
        """Return one task, or raise NotFoundError."""
        identifier = parse_id(task_id)
        rows = [] if identifier is None else await self._database.fetch_all(
            f"{_LIVE.format(**_WHOLE)} where id = %(id)s and organization_id = %(org)s union all "
            f"{_FINISHED.format(**_WHOLE)} where id = %(id)s and organization_id = %(org)s",
            {"id": identifier, "org": organization_id},
            organization_id=organization_id,
        )  # fmt: skip
        if not rows:
            raise NotFoundError(f"no task {task_id} in this organization")
        return _record(rows[0])

    async def kinds_of(self, organization_id: str, task_ids: Sequence[str]) -> list[str]:
        """Return the kinds of finished tasks, each once; of others nothing."""
        rows = await self._database.fetch_all(
            "select distinct kind from finished_tasks where organization_id = %s and id = any(%s::uuid[])",
            (organization_id, list(task_ids)),
            organization_id=organization_id,
        )
        return [row["kind"] for row in rows]

    async def journal(self, organization_id: str, task_id: str) -> list[StepRecord]:
        """Return the journal of a task in order, or raise NotFoundError."""
        task = await self.get(organization_id, task_id)
        rows = await self._database.fetch_all(
            "select seq, kind, name, result, milliseconds, started_at, finished_at, coalesce(labels, '{}') as labels "
            "from steps where task_id = %s order by seq",
            (task.id,),
            organization_id=organization_id,
        )
        return [StepRecord(**row) for row in rows]

    async def counts(self, organization_id: str) -> dict[str, int]:
        """Return the number of tasks by state.

        Live states are counted, ended ones are read from the totals that the
        engine keeps in the transactions that end tasks.
        """
        rows = await self._database.fetch_all(
            "select state::text, sum(n)::bigint as n from ("
            f"  select state, count(*) as n from tasks where organization_id = %(org)s and {_LISTED} group by state"
            "  union all"
            "  select state, tasks from task_totals where organization_id = %(org)s) as x group by state",
            {"org": organization_id},
            organization_id=organization_id,
        )
        found = {row["state"]: int(row["n"]) for row in rows}
        return {state.value: found.get(state.value, 0) for state in TaskState}

    async def list(
        self,
        organization_id: str,
        wanted: TaskFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        with_documents: bool = True,
    ) -> Page[TaskRecord]:
        """Return a page of tasks, newest first; without documents ``payload`` and ``result`` are None, and not read."""
        limit = checked_limit(limit)
        conditions, params = _conditions(organization_id, wanted or TaskFilter(), after_cursor(cursor))
        tail = f"where {' and '.join(conditions)} order by id desc limit %(limit)s"
        params["limit"] = limit + 1
        columns = _WHOLE if with_documents else _LIGHT
        live, finished = _LIVE.format(**columns), _FINISHED.format(**columns)
        rows = await self._database.fetch_all(
            f"select * from (({live} {tail}) union all ({finished} {tail})) as x order by id desc limit %(limit)s",
            params,
            organization_id=organization_id,
        )
        return page_of([_record(row) for row in rows], limit)


def parse_states(names: Sequence[str]) -> list[TaskState]:
    """Return task states by name, or raise InvalidInputError naming the known ones."""
    known = list(TaskState)
    for name in names:
        if name not in known:
            raise InvalidInputError(f"unknown state {name[:50]!r}; known: {', '.join(known)}")
    return [TaskState(name) for name in names]


def _conditions(organization_id: str, wanted: TaskFilter, after: str | None) -> tuple[list[str], dict[str, object]]:
    conditions = ["organization_id = %(org)s", _LISTED]
    params: dict[str, object] = {"org": organization_id}
    if after is not None:
        conditions.append("id < %(after)s::uuid")
        params["after"] = after
    if wanted.states:
        conditions.append("state = any(%(states)s::task_state[])")
        params["states"] = [state.value for state in wanted.states]
    for name in ("kind", "agent_id", "cause_id", "parent_id", "priority"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(f"{name} = %({name})s")
            params[name] = value
    return conditions, params


def _record(row: Row) -> TaskRecord:
    converted: Row = {"state": TaskState(row["state"]), "cost": float(row["cost"])}
    return TaskRecord(**{**row, **converted})
