"""The lifecycle's own records of issues: every write may come twice and counts once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import new_id
from bailiwick.packs.operations.gathering import Gathering
from bailiwick.packs.operations.status import ActorKind, IssueStatus, sources_of
from bailiwick.storage import Database, Row
from bailiwick.storage.rows import RowFields, batch, raw

_STATES = """
select i.id, i.key, i.state, i.status, i.department, i.operation, i.priority, i.opened_at,
       i.clock_started_at, i.deadline_at, i.breached_at, i.agent_id, i.duplicate_of, i.is_history, i.reopened_count
from issues i where i.organization_id = current_organization() and i.key = any(%s)"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changed something: an agent or person by name, or the rule that did."""

    kind: ActorKind
    name: str


@dataclass(frozen=True, slots=True)
class IssueState:
    """What the lifecycle decides by."""

    id: str
    key: str
    state: str
    status: IssueStatus
    department: str | None
    operation: str | None
    priority: int | None
    opened_at: datetime
    clock_started_at: datetime | None
    deadline_at: datetime | None
    breached_at: datetime | None
    agent_id: str | None
    duplicate_of: str | None
    is_history: bool
    reopened_count: int


@dataclass(frozen=True, slots=True)
class Move:
    """What became of a wish to move an issue; ``is_moved`` is False when its status did not allow it."""

    is_moved: bool
    status: IssueStatus
    state: str


class IssueStore:
    """Writes and reads issues. Concurrent calls share statements and commits."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._writes: Gathering[RowFields, Row | None] = Gathering(self._write)
        self._reads: Gathering[tuple[str, str], IssueState | None] = Gathering(self._read)

    async def record(
        self,
        organization_id: str,
        issue: IssueRecord,
        *,
        status: IssueStatus,
        reason: str,
        is_history: bool = False,
        task_id: str | None = None,
        clock_started_at: datetime | None = None,
        reopens: bool = False,
    ) -> None:
        """Keep an issue as it came; a version older than the one known changes nothing."""
        await self._writes.put(
            {
                "write": "record", "id": new_id(), "org": organization_id, "key": issue.key, "number": issue.number,
                "title": issue.title, "record": raw(encode(issue)), "labels": list(issue.labels),
                "author": issue.author, "state": issue.state, "opened_at": issue.created_at,
                "updated_at": issue.updated_at, "closed_at": issue.closed_at, "history": is_history,
                "status": status, "reason": reason, "clock": clock_started_at, "task": task_id, "reopens": reopens,
            }
        )  # fmt: skip

    async def set(self, organization_id: str, key: str, values: Mapping[str, Any]) -> None:
        """Set columns of an issue."""
        await self._writes.put({"write": "set", "org": organization_id, "key": key, "patch": raw(encode(values))})

    async def move(
        self,
        organization_id: str,
        key: str,
        to: IssueStatus,
        *,
        actor: Actor,
        reason: str,
        made_by: str,
        details: Mapping[str, Any] | None = None,
        only_from: Sequence[IssueStatus] | None = None,
    ) -> Move:
        """Move an issue to a status and write the transition; the same ``made_by`` again changes nothing.

        Raises:
            NotFoundError: there is no such issue.
        """
        sources = sources_of(to) if only_from is None else [one for one in only_from if one in sources_of(to)]
        row = await self._writes.put(
            {
                "write": "move", "id": new_id(), "org": organization_id, "key": key, "to": to, "from": sources,
                "actor_kind": actor.kind, "actor": actor.name, "reason": reason, "made_by": made_by,
                "details": raw(encode(details or {})),
            }
        )  # fmt: skip
        if row is None:
            raise NotFoundError(f"no issue {key} in this organization")
        return Move(row["is_moved"], row["status_now"], row["state_now"])

    async def keep_result(self, organization_id: str, key: str, fields: RowFields) -> str:
        """Keep a result and return its id; the same task's again is the one there is.

        Raises:
            NotFoundError: there is no such issue.
        """
        row = await self._writes.put({"write": "result", "id": new_id(), "org": organization_id, "key": key, **fields})
        if row is None or row["result_id"] is None:
            raise NotFoundError(f"no issue {key} in this organization")
        return str(row["result_id"])

    async def find(self, organization_id: str, key: str) -> IssueState | None:
        """Return what is known of an issue, or None."""
        return await self._reads.put((organization_id, key))

    async def states(self, organization_id: str, keys: Sequence[str]) -> dict[str, IssueState]:
        """Return what is known of several issues, by key."""
        found = [await self._reads.put((organization_id, key)) for key in keys]
        return {state.key: state for state in found if state is not None}

    async def is_under_way(self, organization_id: str, key: str, task_id: str) -> bool:
        """Say whether another task than the one given has the issue in hand."""
        row = await self.database.fetch_one(
            "select 1 as one from issues i join tasks t on t.id = i.task_id "
            "where i.organization_id = %s and i.key = %s and t.id <> %s",
            (organization_id, key, task_id),
            organization_id=organization_id,
        )
        return row is not None

    async def count_reopenings(self, organization_id: str, key: str) -> None:
        """Set how often an issue was opened again, by its transitions."""
        await self.database.execute(
            "update issues i set reopened_count = (select count(*) from issue_transitions t "
            "where t.issue_id = i.id and t.details ->> 'cause' = 'reopened') "
            "where i.organization_id = %s and i.key = %s",
            (organization_id, key),
            organization_id=organization_id,
        )

    async def text_of(self, organization_id: str, key: str) -> IssueRecord:
        """Return the issue as it last came, or raise NotFoundError."""
        row = await self.database.fetch_one(
            "select record from issues where organization_id = %s and key = %s",
            (organization_id, key),
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no issue {key} in this organization")
        return IssueRecord.model_validate(row["record"])

    async def labels_given(self, organization_id: str, key: str) -> frozenset[str]:
        """Return the labels that agents gave an issue at its source, or may have."""
        rows = await self.database.fetch_all(
            "select distinct jsonb_array_elements_text(arguments -> 'labels') as label from effects "
            "where organization_id = %s and target = %s and tool = 'github.add_labels' and began_at is not null "
            "and state <> 'failed'",
            (organization_id, f"issue:{key}"),
            organization_id=organization_id,
        )
        return frozenset(row["label"] for row in rows)

    async def duplicates_of(self, organization_id: str, key: str) -> list[str]:
        """Return the keys of the open issues that wait as duplicates of one."""
        rows = await self.database.fetch_all(
            "select key from issues where organization_id = %s and duplicate_of = %s and state = 'open' "
            "and status = 'blocked' order by id",
            (organization_id, key),
            organization_id=organization_id,
        )
        return [row["key"] for row in rows]

    async def _write(self, writes: Sequence[RowFields]) -> list[Row | None]:
        answers: list[Row | None] = [None] * len(writes)
        for organization_id, places in _by_organization([str(write["org"]) for write in writes]).items():
            rows = await self.database.fetch_all(
                "select * from issues_write(%s::jsonb)",
                (batch([writes[place] for place in places]),),
                organization_id=organization_id,
            )
            for row in rows:
                answers[places[row["ordinal"]]] = row
        return answers

    async def _read(self, wanted: Sequence[tuple[str, str]]) -> list[IssueState | None]:
        answers: list[IssueState | None] = [None] * len(wanted)
        for organization_id, places in _by_organization([one for one, _ in wanted]).items():
            rows = await self.database.fetch_all(
                _STATES, ([wanted[place][1] for place in places],), organization_id=organization_id
            )
            found = {row["key"]: IssueState(**row) for row in rows}
            for place in places:
                answers[place] = found.get(wanted[place][1])
        return answers


def _by_organization(organizations: Sequence[str]) -> dict[str, list[int]]:
    """Return the places at which each organization stands: a statement sees one of them only."""
    places: dict[str, list[int]] = {}
    for place, organization_id in enumerate(organizations):
        places.setdefault(organization_id, []).append(place)
    return places
