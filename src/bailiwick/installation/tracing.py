"""Traces: an event and everything that followed from it, as one tree."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database, Row

# A trace of more is cut; it says so.
MAX_NODES = 2000

_EVENT = "id, type, key, payload, cause_id, occurred_at, recorded_at, coalesce(labels, '{}') as labels"
_TASK = (
    "id, kind, state::text, priority, payload, agent_id, parent_id, cause_id, choice, errors, deadline_at, "
    "inserted_at, started_at, coalesce(labels, '{}') as labels"
)


@dataclass(slots=True)
class TracedStep:
    """One journaled step of a task; ``milliseconds`` is None while a wait is open."""

    seq: int
    kind: str
    name: str
    result: Any
    milliseconds: float | None
    finished_at: datetime | None
    labels: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class TracedTask:
    """A task, its steps, and what followed from it, in order of time."""

    id: str
    kind: str
    state: str
    priority: int
    payload: Any
    agent: str | None
    choice: dict[str, Any] | None
    reason: str | None
    result: Any
    errors: list[dict[str, Any]]
    deadline_at: datetime | None
    inserted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: list[TracedStep] = field(default_factory=list[TracedStep])
    followed_by: list["TracedTask | TracedEvent"] = field(default_factory=list["TracedTask | TracedEvent"])
    labels: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class TracedEvent:
    """An event, and the tasks that followed from it."""

    id: str
    type: str
    key: str | None
    payload: Any
    occurred_at: datetime
    recorded_at: datetime
    followed_by: list["TracedTask | TracedEvent"] = field(default_factory=list["TracedTask | TracedEvent"])
    labels: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Trace:
    """What was asked for, and the trees it belongs to, from their very beginning."""

    about: str
    roots: list[TracedEvent | TracedTask]
    is_cut: bool


class Tracer:
    """Follows causes up to the beginning and down to every result, within one organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trace(self, organization_id: str, about: str) -> Trace:
        """Return the trace of an event or task by id, or of a key such as ``owner/name#7``.

        Of a task that dealt with many keys, such as a sweep over all issues, only
        what is about the key of what was asked for is in it. A task that is about
        no key of its own is shown whole.

        Raises:
            NotFoundError: there is nothing of that id or key here.
        """
        identifier = parse_id(about)
        if identifier is not None:
            beginning, key = await self._beginning(organization_id, identifier)
            start = [beginning]
        else:
            start, key = await self._about_key(organization_id, about), about
        if None in start or not start:
            raise NotFoundError(
                f"no event, task or issue {about[:200]!r} in this organization; another is named with --org"
            )
        trace = await self._gather(organization_id, about, [found for found in start if found is not None])
        return trace if key is None else replace(trace, roots=narrowed(trace.roots, key, identifier))

    async def _beginning(self, organization_id: str, identifier: str) -> tuple[str | None, str | None]:
        """Climb from an event or task to what started it all, and to the nearest key; None for what there is not."""
        beginning: str | None = None
        key: str | None = None
        following: str | None = identifier
        seen: set[str] = set()
        while following is not None and following not in seen:
            seen.add(following)
            row = await self._database.fetch_one(
                "select cause_id as above, key from events where id = %(id)s and organization_id = %(org)s "
                "union all select coalesce(parent_id, cause_id), payload ->> 'issue_key' from tasks where id = %(id)s "
                "and organization_id = %(org)s union all "
                "select coalesce(parent_id, cause_id), payload ->> 'issue_key' from finished_tasks where id = %(id)s "
                "and organization_id = %(org)s",
                {"id": following, "org": organization_id},
                organization_id=organization_id,
            )
            if row is None:
                # A cause that retention has dropped: what is left begins below it.
                break
            beginning, following = following, row["above"]
            key = key or row["key"]
        return beginning, key

    async def _about_key(self, organization_id: str, key: str) -> list[str | None]:
        rows = await self._database.fetch_all(
            "select id from events where organization_id = %s and key = %s order by id limit 200",
            (organization_id, key),
            organization_id=organization_id,
        )
        beginnings: dict[str | None, None] = {}
        for row in rows:
            beginnings[(await self._beginning(organization_id, row["id"]))[0]] = None
        return list(beginnings)

    async def _gather(self, organization_id: str, about: str, roots: list[str]) -> Trace:
        events: dict[str, Row] = {}
        tasks: dict[str, Row] = {}
        frontier = list(roots)
        first = True
        while frontier and len(events) + len(tasks) < MAX_NODES:
            new_events = await self._events(organization_id, frontier, itself=first)
            new_tasks = await self._tasks(organization_id, frontier, itself=first)
            frontier = [row["id"] for row in (*new_events, *new_tasks) if row["id"] not in events | tasks]
            events |= {row["id"]: row for row in new_events}
            tasks |= {row["id"]: row for row in new_tasks}
            first = False
        steps = await self._steps(organization_id, list(tasks))
        return Trace(about, _assembled(roots, events, tasks, steps), bool(frontier))

    async def _events(self, organization_id: str, ids: list[str], *, itself: bool) -> list[Row]:
        column = "id" if itself else "cause_id"
        return await self._database.fetch_all(
            # What followed is younger, which spares looking through older months.
            f"select {_EVENT} from events where organization_id = %(org)s and {column} = any(%(ids)s::uuid[]) "
            "and id >= (select min(x::text)::uuid from unnest(%(ids)s::uuid[]) as x) order by id limit %(limit)s",
            {"org": organization_id, "ids": ids, "limit": MAX_NODES},
            organization_id=organization_id,
        )

    async def _tasks(self, organization_id: str, ids: list[str], *, itself: bool) -> list[Row]:
        # A child carries its parent's cause; it belongs below the parent.
        below = "parent_id = any(%(ids)s::uuid[]) or (parent_id is null and cause_id = any(%(ids)s::uuid[]))"
        condition = "id = any(%(ids)s::uuid[])" if itself else below
        return await self._database.fetch_all(
            "select x.*, a.name as agent from ("
            f"select {_TASK}, null as reason, null::jsonb as result, null::timestamptz as finished_at from tasks "
            f"where organization_id = %(org)s and ({condition}) union all "
            f"select {_TASK}, reason, result, finished_at from finished_tasks "
            f"where organization_id = %(org)s and ({condition})) as x "
            "left join agents a on a.id = x.agent_id order by x.id limit %(limit)s",
            {"org": organization_id, "ids": ids, "limit": MAX_NODES},
            organization_id=organization_id,
        )

    async def _steps(self, organization_id: str, task_ids: list[str]) -> dict[str, list[TracedStep]]:
        rows = await self._database.fetch_all(
            "select task_id, seq, kind, name, result, milliseconds, finished_at, "
            "coalesce(labels, '{}') as labels from steps where task_id = any(%s::uuid[]) order by task_id, seq",
            (task_ids,),
            organization_id=organization_id,
        )
        found: dict[str, list[TracedStep]] = {}
        for row in rows:
            found.setdefault(row.pop("task_id"), []).append(TracedStep(**row))
        return found


def narrowed(
    roots: Iterable[TracedEvent | TracedTask], key: str, asked_for: str | None = None
) -> list[TracedEvent | TracedTask]:
    """Return the trees without what is about other keys; what follows from something about ``key`` stays whole.

    ``asked_for`` is an id that stays whatever it is about.
    """
    return [kept for root in roots if (kept := _narrowed(root, key, asked_for)) is not None]


def _narrowed(node: TracedEvent | TracedTask, key: str, asked_for: str | None) -> TracedEvent | TracedTask | None:
    if node.id == asked_for or _is_about(node, key):
        return node
    kept = narrowed(node.followed_by, key, asked_for)
    if not kept:
        return None
    if isinstance(node, TracedEvent) or len(kept) == len(node.followed_by):
        return replace(node, followed_by=kept)
    ids = {one.id for one in kept}
    return replace(node, followed_by=kept, steps=[one for step in node.steps if (one := _about(step, key, ids))])


def _is_about(node: TracedEvent | TracedTask, key: str) -> bool:
    if isinstance(node, TracedEvent):
        return node.key == key
    return isinstance(node.payload, dict) and node.payload.get("issue_key") == key


def _about(step: TracedStep, key: str, ids: set[str]) -> TracedStep | None:
    """Return a step of a task about many keys as far as it is about one; None if it is not."""
    if step.name.endswith(f" {key}") or (isinstance(step.result, str) and step.result in ids):
        return step
    if isinstance(step.result, list):
        mine = [one for one in step.result if isinstance(one, dict) and key in one.values()]
        return replace(step, result=mine) if mine else None
    return None


def _assembled(
    roots: Iterable[str], events: dict[str, Row], tasks: dict[str, Row], steps: dict[str, list[TracedStep]]
) -> list[TracedEvent | TracedTask]:
    nodes: dict[str, TracedEvent | TracedTask] = {}
    above: dict[str, str | None] = {}
    for identifier, row in events.items():
        fields = {name: row[name] for name in ("id", "type", "key", "payload", "occurred_at", "recorded_at", "labels")}
        nodes[identifier] = TracedEvent(**fields)
        above[identifier] = row["cause_id"]
    for identifier, row in tasks.items():
        fields = {name: value for name, value in row.items() if name not in ("agent_id", "parent_id", "cause_id")}
        nodes[identifier] = TracedTask(**fields, steps=steps.get(identifier, []))
        above[identifier] = row["parent_id"] or row["cause_id"]
    for identifier in sorted(nodes):
        parent = above[identifier]
        if parent is not None and parent in nodes:
            nodes[parent].followed_by.append(nodes[identifier])
    return [nodes[root] for root in roots if root in nodes]
