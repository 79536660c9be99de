"""Reads for the doors: issues, their transitions and results, counts, service levels, effects, meter findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.packs.operations.status import STATUSES
from bailiwick.storage import Database, Row
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of, page_of

_LISTED = """
id, key, number, title, labels, author, state, opened_at, closed_at, is_history, reopened_count, department, operation,
priority, status, status_reason, status_at, done_at, deadline_at, at_risk_at, breached_at, duplicate_of, agent_id,
task_id, (classification ->> 'confidence')::float8 as confidence"""

# From the ledger of effects: what agents asked to have done at the issue, and what became of it.
_EFFECTS = """
select id, tool, arguments, state, reason, problem, agent_id, task_id, decision_id, approval_id, proposed_at as at
from effects where organization_id = %s and target = %s order by id"""

# Late is late whether a sweep has seen it yet or not.
_LATE = "(breached_at is not null or coalesce(done_at, now()) > deadline_at)"


@dataclass(frozen=True, slots=True)
class IssueSummary:
    """An issue in a listing. ``priority`` is ``P0`` to ``P3``; ``confidence`` that of its department."""

    id: str
    key: str
    number: int
    title: str
    labels: list[str]
    author: str | None
    state: str
    opened_at: datetime
    closed_at: datetime | None
    is_history: bool
    reopened_count: int
    department: str | None
    operation: str | None
    priority: str | None
    status: str
    status_reason: str
    status_at: datetime
    done_at: datetime | None
    deadline_at: datetime | None
    at_risk_at: datetime | None
    breached_at: datetime | None
    duplicate_of: str | None
    agent_id: str | None
    task_id: str | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class IssueDetail:
    """An issue with everything that is kept about it."""

    summary: IssueSummary
    body: str
    classification: dict[str, Any] | None
    choice: dict[str, Any] | None
    oversight: dict[str, Any] | None
    related: list[dict[str, Any]]
    escalations: list[dict[str, Any]]
    transitions: list[dict[str, Any]]
    results: list[dict[str, Any]]
    proposed_effects: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class IssueFilterBy:
    """Which issues to list; None means any."""

    status: str | None = None
    department: str | None = None
    priority: int | None = None
    state: str | None = None
    is_late: bool | None = None
    include_history: bool = False


@dataclass(frozen=True, slots=True)
class SlaCounts:
    """Service levels of the issues whose clock ran: done in time, late (done or not), still running in time."""

    met: int
    breached: int
    running: int


class IssueReader:
    """Looks issues up within one organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, issue: str) -> IssueDetail:
        """Return an issue by id or key (``owner/name#number``), or raise NotFoundError."""
        row = await self._one(
            f"select {_LISTED}, record ->> 'body' as body, classification, choice, oversight, related, escalations "
            "from issues where organization_id = %s and (id = %s::uuid or key = %s)",
            (organization_id, parse_id(issue), issue),
            organization_id,
        )
        if row is None:
            raise NotFoundError(f"no issue {issue!r} in this organization")
        rest = {name: row[name] for name in ("classification", "choice", "oversight", "related", "escalations")}
        return IssueDetail(
            summary=_summary(row),
            body=row["body"] or "",
            transitions=await self._rows_of(
                organization_id, row["id"], "issue_transitions",
                "id, from_status, to_status, actor_kind, actor, reason, details, at",
            ),
            results=await self._rows_of(
                organization_id, row["id"], "issue_results",
                "id, task_id, agent_id, agent_kind, operation, status, summary, data, evidence, missing, seconds, "
                "gates, is_passed, at",
            ),
            proposed_effects=await self._database.fetch_all(
                _EFFECTS, (organization_id, f"issue:{row['key']}"), organization_id=organization_id
            ),
            **rest,
        )  # fmt: skip

    async def counts(self, organization_id: str) -> dict[str, dict[str, int]]:
        """Return the numbers of issues that came in open: by status, department and priority."""
        rows = await self._database.fetch_all(
            "select status, coalesce(department, 'unknown') as department, 'P' || priority as priority, count(*) as n "
            "from issues where organization_id = %s and not is_history group by 1, 2, 3",
            (organization_id,),
            organization_id=organization_id,
        )
        by_status: dict[str, int] = dict.fromkeys(STATUSES, 0)
        by_department: dict[str, int] = {}
        by_priority: dict[str, int] = {}
        for row in rows:
            by_status[row["status"]] += row["n"]
            by_department[row["department"]] = by_department.get(row["department"], 0) + row["n"]
            name = row["priority"] or "unknown"
            by_priority[name] = by_priority.get(name, 0) + row["n"]
        return {"status": by_status, "department": by_department, "priority": by_priority}

    async def sla_counts(self, organization_id: str) -> SlaCounts:
        """Return how many service levels were met and missed; history has none."""
        return await sla_counts(self._database, organization_id)

    async def meter_findings(
        self, organization_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[dict[str, Any]]:
        """Return a page of what is wrong with meter readings, newest first."""
        return await self._page(
            organization_id,
            "select id, meter_id, kind, detail, value, unit, started_at, ended_at, found_at from meter_findings "
            "where organization_id = %(org)s and (%(after)s::uuid is null or id < %(after)s) "
            "order by id desc limit %(limit)s",
            limit,
            cursor,
        )

    async def meter_days(self, organization_id: str, *, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Return the newest summed-up days of all meters."""
        return await self._database.fetch_all(
            "select meter_id, day, readings, expected, energy_kwh, peak_kw, peak_at, base_kw, load_factor, not_checked "
            "from meter_days where organization_id = %s order by day desc, meter_id limit %s",
            (organization_id, checked_limit(limit)),
            organization_id=organization_id,
        )

    async def _page(self, organization_id: str, sql: str, limit: int, cursor: str | None) -> Page[dict[str, Any]]:
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            sql,
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return Page(rows[:limit], cursor_of(rows[limit - 1]["id"]) if len(rows) > limit else None)

    async def _rows_of(self, organization_id: str, issue_id: str, table: str, columns: str) -> list[dict[str, Any]]:
        return await self._database.fetch_all(
            f"select {columns} from {table} where organization_id = %s and issue_id = %s order by id",
            (organization_id, issue_id),
            organization_id=organization_id,
        )

    async def _one(self, sql: str, params: Sequence[object], organization_id: str) -> Row | None:
        return await self._database.fetch_one(sql, params, organization_id=organization_id)

    async def list(
        self,
        organization_id: str,
        wanted: IssueFilterBy | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[IssueSummary]:
        """Return a page of issues, newest on record first."""
        limit = checked_limit(limit)
        conditions, params = _conditions(organization_id, wanted or IssueFilterBy(), after_cursor(cursor))
        rows = await self._database.fetch_all(
            f"select {_LISTED} from issues where {' and '.join(conditions)} order by id desc limit %(limit)s",
            {**params, "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_summary(row) for row in rows], limit)


async def sla_counts(database: Database, organization_id: str) -> SlaCounts:
    """Return how many service levels of an organization were met, missed, and are running."""
    row = await database.fetch_one(
        f"select count(*) filter (where {_LATE}) as breached, "
        f"count(*) filter (where not {_LATE} and done_at is not null) as met, "
        f"count(*) filter (where not {_LATE} and done_at is null) as running "
        "from issues where organization_id = %s and not is_history and deadline_at is not null",
        (organization_id,),
        organization_id=organization_id,
    )
    return SlaCounts(0, 0, 0) if row is None else SlaCounts(row["met"], row["breached"], row["running"])


def _conditions(organization_id: str, wanted: IssueFilterBy, after: str | None) -> tuple[list[str], dict[str, object]]:
    conditions = ["organization_id = %(org)s"]
    params: dict[str, object] = {"org": organization_id}
    for name in ("status", "department", "priority", "state"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(f"{name} = %({name})s")
            params[name] = value
    if wanted.is_late is not None:
        conditions.append(f"deadline_at is not null and {'' if wanted.is_late else 'not '}{_LATE}")
    if not wanted.include_history:
        conditions.append("not is_history")
    if after is not None:
        conditions.append("id < %(after)s::uuid")
        params["after"] = after
    return conditions, params


def _summary(row: Row) -> IssueSummary:
    values: Row = {name: row[name] for name in IssueSummary.__dataclass_fields__}
    values["priority"] = None if row["priority"] is None else f"P{row['priority']}"
    return IssueSummary(**values)
