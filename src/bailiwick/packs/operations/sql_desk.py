"""The desk on the database: what operations may read about one organization."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bailiwick.connectors.meters import MeterReading
from bailiwick.kernel.errors import InternalError
from bailiwick.packs.operations.departments.desk import (
    AgentRow,
    Article,
    Attempt,
    EventRow,
    IssueFilter,
    IssueRow,
    Member,
    SimilarIssue,
)
from bailiwick.packs.operations.likeness import Likenesses
from bailiwick.storage import Database, Row

_COLUMNS = """
key, number, title, state, opened_at, closed_at, done_at, status, priority, department, operation, labels, author,
agent_id, deadline_at, reopened_count"""

_ISSUES = f"""
select {_COLUMNS} from issues
where organization_id = %(org)s
  and (%(state)s::text is null or state = %(state)s)
  and (cardinality(%(departments)s::text[]) = 0 or department = any(%(departments)s::text[]))
  and (%(operation)s::text is null or operation = %(operation)s)
  and (%(author)s::text is null or author = %(author)s)
  and (%(agent)s::uuid is null or agent_id = %(agent)s)
  and (%(created_since)s::timestamptz is null or opened_at >= %(created_since)s)
  and (%(created_until)s::timestamptz is null or opened_at < %(created_until)s)
  and (%(closed_since)s::timestamptz is null or closed_at >= %(closed_since)s)
  and (%(closed_until)s::timestamptz is null or closed_at < %(closed_until)s)
order by opened_at desc limit %(limit)s"""

# The newest answer that solved an issue: its last comment, else the newest result that was an answer.
_RESOLUTIONS = f"""
select {_COLUMNS}, coalesce(
           case when state = 'closed' then record -> 'comments' -> -1 ->> 'body' end,
           (select r.summary from issue_results r where r.issue_id = issues.id and r.status = 'done'
            order by r.id desc limit 1)) as resolution
from issues where organization_id = %s and key = any(%s)"""

# What an agent holds are issues; a look at somebody else's is over in a moment.
_AGENTS = """
select a.id, a.name, a.kind, a.capacity,
       (select count(*) from tasks t
        where t.agent_id = a.id and t.payload ->> 'operation' is distinct from 'oversight') as load
from agents a where a.organization_id = %s and a.is_enabled and (%s::text is null or a.kind = %s) order by a.id"""

# An answer that names what it lacked says nothing about the agent, so it is no attempt of either kind.
_ATTEMPTS = """
select agent_id, agent_kind, operation, seconds, is_passed, at
from issue_results
where organization_id = %s and status = 'done' and (%s::text is null or agent_kind = %s)
  and (%s::text is null or operation = %s)
order by id desc limit %s"""

_EVENTS = """
select id, type, occurred_at, key, coalesce(payload ->> 'author', payload ->> 'person', payload ->> 'agent') as actor
from events
where organization_id = %s and occurred_at >= %s and occurred_at < %s
  and (cardinality(%s::text[]) = 0 or type = any(%s::text[]))
order by occurred_at limit %s"""

_MEMBERS = """
    select u.name, 'person' as kind, m.role, null::timestamptz as expires_at
    from memberships m join users u on u.id = m.user_id where m.organization_id = %s and not u.is_disabled
    union all
    select name, 'key', role, expires_at from api_keys where organization_id = %s and revoked_at is null
    order by 2 desc, 1
"""
_READINGS = """
select payload from events
where organization_id = %s and type = 'meter.read' and key = %s and occurred_at >= %s and occurred_at < %s
order by occurred_at"""


class SqlDesk:
    """A ``Desk`` bound to one organization; every query names it."""

    def __init__(self, database: Database, organization_id: str, likenesses: Likenesses) -> None:
        self._database = database
        self._organization_id = organization_id
        self._likenesses = likenesses

    def now(self) -> datetime:
        """Return the present moment."""
        return datetime.now(UTC)

    async def find_issue(self, key: str) -> IssueRow | None:
        """Return the row of an issue, or None."""
        rows = await self._rows(
            f"select {_COLUMNS} from issues where organization_id = %s and key = %s",
            (self._organization_id, key),
        )
        return _issue(rows[0]) if rows else None

    async def issues(self, wanted: IssueFilter) -> Sequence[IssueRow]:
        """Return the issues that pass the filter, newest first."""
        params = {
            "org": self._organization_id, "state": wanted.state, "departments": list(wanted.departments),
            "operation": wanted.operation, "author": wanted.author, "agent": wanted.agent_id,
            "created_since": wanted.created_since, "created_until": wanted.created_until,
            "closed_since": wanted.closed_since, "closed_until": wanted.closed_until, "limit": wanted.limit,
        }  # fmt: skip
        return [_issue(row) for row in await self._rows(_ISSUES, params)]

    async def similar(self, text: str, *, limit: int, exclude_key: str | None = None) -> Sequence[SimilarIssue]:
        """Return the issues most like a text, best first, with what solved them where that is known."""
        alike = await self._likenesses.alike(self._organization_id, text, limit=limit, exclude=exclude_key)
        rows = await self._rows(_RESOLUTIONS, (self._organization_id, [one.key for one in alike])) if alike else []
        known = {row["key"]: row for row in rows}
        # What arrived a moment ago is in the log but not yet on record; it comes at the next question.
        return [
            SimilarIssue(_issue(known[one.key]), one.score, known[one.key]["resolution"])
            for one in alike
            if one.key in known
        ]

    async def articles(self, text: str, *, limit: int) -> Sequence[Article]:
        """Return no article: this release reads no knowledge base, solved issues are what it knows."""
        return ()

    async def agents(self, kind: str | None = None) -> Sequence[AgentRow]:
        """Return the enabled agents with what each holds."""
        rows = await self._rows(_AGENTS, (self._organization_id, kind, kind))
        return [AgentRow(row["id"], row["name"], row["kind"], row["capacity"], row["load"]) for row in rows]

    async def attempts(
        self, *, agent_kind: str | None = None, operation: str | None = None, limit: int = 2_000
    ) -> Sequence[Attempt]:
        """Return the newest answered attempts, each with what its quality gates said, if any measured it."""
        rows = await self._rows(_ATTEMPTS, (self._organization_id, agent_kind, agent_kind, operation, operation, limit))
        return [
            Attempt(row["agent_id"], row["agent_kind"], row["operation"], row["seconds"], row["is_passed"], row["at"])
            for row in rows
        ]

    async def events(
        self, *, since: datetime, until: datetime, types: Sequence[str] = (), limit: int = 100_000
    ) -> Sequence[EventRow]:
        """Return the events of a period, oldest first."""
        rows = await self._rows(_EVENTS, (self._organization_id, since, until, list(types), list(types), limit))
        return [EventRow(row["id"], row["type"], row["occurred_at"], row["actor"], row["key"]) for row in rows]

    async def readings(self, meter_id: str, *, since: datetime, until: datetime) -> Sequence[MeterReading]:
        """Return the readings of a meter in a period, oldest first."""
        rows = await self._rows(_READINGS, (self._organization_id, meter_id, since, until))
        return [MeterReading.model_validate(row["payload"]) for row in rows]

    async def members(self) -> Sequence[Member]:
        """Return the people of this organization and the keys that open it; owners and admins may approve."""
        rows = await self._rows(_MEMBERS, (self._organization_id, self._organization_id))
        return [
            Member(
                row["name"], row["kind"], (row["role"],),
                can_approve=row["kind"] == "person" and row["role"] in ("admin", "owner"),
                expires_at=row["expires_at"],
            )
            for row in rows
        ]  # fmt: skip

    async def _rows(self, sql: str, params: Sequence[object] | Mapping[str, object]) -> list[Row]:
        return await self._database.fetch_all(sql, params, organization_id=self._organization_id)


def _issue(row: Mapping[str, Any]) -> IssueRow:
    priority = row["priority"]
    names = ("P0", "P1", "P2", "P3")
    if priority is not None and not 0 <= priority < len(names):
        raise InternalError(f"issue {row['key']} has the priority {priority}, which does not exist")
    return IssueRow(
        key=row["key"], number=row["number"], title=row["title"], state=row["state"], created_at=row["opened_at"],
        closed_at=row["closed_at"] or row["done_at"], status=row["status"],
        priority=None if priority is None else names[priority], department=row["department"],
        operation=row["operation"], labels=tuple(row["labels"]), author=row["author"], agent_id=row["agent_id"],
        deadline_at=row["deadline_at"], reopened_count=row["reopened_count"],
    )  # fmt: skip
