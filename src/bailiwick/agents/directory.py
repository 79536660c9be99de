"""The agents of an organization: who there is, how they did, how busy they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from bailiwick.agents.choice import Candidate, Choice, Weights, choose
from bailiwick.agents.model import AgentRecord
from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.outcomes.lasting import LASTED, LASTS_JSON
from bailiwick.storage import Database, Row
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of, page_of

_COLUMNS = "id, organization_id, kind, name, configuration, capabilities, price, capacity, is_enabled, created_at"

# Work of their own kind alone is in hand: an effect that waits for a person's answer keeps no agent busy.
# A completed task of which something was expected is a success only once a later look found that it worked, and a
# failure once one found that it did not; until then, and where nobody can tell, it is neither.
UNPROVEN: LiteralString = f"""(
    select o.agent_id, count(distinct o.task_id) as unproven,
           count(distinct o.task_id) filter (where o.state = 'did_not') as refuted
    from outcomes o
    where o.organization_id = %(org)s and o.agent_id is not null and not (o.state = 'worked' and {LASTED})
      and not exists (select from tasks t where t.id = o.task_id)
    group by o.agent_id)"""
"""By agent, the tasks that are over and whose promise no later look found kept; SQL that is given ``LASTS_JSON``."""

_CANDIDATES: LiteralString = f"""
select a.id, a.name, a.price, a.capacity, a.is_enabled, l.is_paused, l.blocked_until > now() as is_blocked, l.reason,
       greatest(0, coalesce((select sum(o.tasks) from task_totals o where o.organization_id = a.organization_id
                 and o.kind = %(kind)s and o.agent_id = a.id and o.state = 'completed'), 0)
                 - coalesce(e.unproven, 0)) as successes,
       coalesce((select sum(o.tasks) from task_totals o where o.organization_id = a.organization_id
                 and o.kind = %(kind)s and o.agent_id = a.id and o.state = 'discarded'), 0)
                 + coalesce(e.refuted, 0) as failures,
       (select count(*) from tasks t where t.agent_id = a.id and t.kind = %(kind)s) as load
from agents a
left join limits l on l.organization_id = a.organization_id and l.subject = 'agent:' || a.id
left join {UNPROVEN} as e on e.agent_id = a.id
where a.organization_id = %(org)s and a.capabilities @> array[%(kind)s]"""

_STATISTICS = """
select a.id as agent_id, a.name, a.kind, coalesce(o.done, 0) as done, coalesce(o.completed, 0) as completed,
       coalesce(o.discarded, 0) as discarded, coalesce(o.cost, 0) as cost,
       (select count(*) from tasks t where t.agent_id = a.id and t.kind = any(a.capabilities)) as load,
       d.p50_seconds, d.p95_seconds
from agents a
left join lateral (
    select sum(t.tasks) as done, sum(t.tasks) filter (where t.state = 'completed') as completed,
           sum(t.tasks) filter (where t.state = 'discarded') as discarded, sum(t.cost) as cost
    from task_totals t where t.organization_id = a.organization_id and t.agent_id = a.id
      and t.kind = any(a.capabilities)) as o on true
left join lateral (
    select percentile_cont(0.5) within group (order by f.seconds) as p50_seconds,
           percentile_cont(0.95) within group (order by f.seconds) as p95_seconds
    from (select extract(epoch from finished_at - started_at)::float8 as seconds from finished_tasks
          where agent_id = a.id and kind = any(a.capabilities) and state = 'completed'
          order by id desc limit 500) as f) as d on true
where a.organization_id = %(org)s and (%(after)s::uuid is null or a.id < %(after)s)
order by a.id desc limit %(limit)s"""


@dataclass(frozen=True, slots=True)
class AgentStatistics:
    """What was measured of one agent.

    ``p50_seconds`` and ``p95_seconds`` are of its last 500 completed tasks, from
    first start to end; ``load`` is what it has in hand.
    """

    agent_id: str
    name: str
    kind: str
    done: int
    completed: int
    discarded: int
    cost: float
    load: int
    p50_seconds: float | None
    p95_seconds: float | None


class AgentDirectory:
    """Agents as rows: ten thousand of them cost ten thousand rows."""

    def __init__(self, database: Database, kinds: Mapping[str, str]) -> None:
        """Take the known agent kinds and the task kind each does."""
        self._database = database
        self._kinds = kinds
        self._audit = AuditLog(database)

    async def create(
        self,
        organization_id: str,
        kind: str,
        name: str,
        *,
        configuration: Mapping[str, Any] | None = None,
        price: float = 0.0,
        capacity: int = 4,
        actor: Actor | None = None,
    ) -> AgentRecord:
        """Add an agent; those that come with the platform have no ``actor`` and leave no audit entry.

        Raises:
            InvalidInputError: no such kind, or an unusable value.
            ConflictError: the organization has an agent of that name.
        """
        new = NewAgent(kind, name, configuration or {}, price, capacity)
        made = await self.create_many(organization_id, [new], actor=actor)
        return made[0]

    async def create_many(
        self, organization_id: str, agents: Sequence["NewAgent"], *, actor: Actor | None = None
    ) -> list[AgentRecord]:
        """Add agents in one transaction: all or none."""
        rows = [
            (new_id(), organization_id, agent.kind, agent.name, encode(agent.configuration).decode(),
             [self._task_kind(agent.kind)], agent.price, agent.capacity)
            for agent in map(_checked, agents)
        ]  # fmt: skip
        try:
            async with self._database.transaction(organization_id) as connection, connection.cursor() as cursor:
                await cursor.executemany(
                    "insert into agents (id, organization_id, kind, name, configuration, capabilities, price, "
                    f"capacity) values (%s, %s, %s, %s, %s::jsonb, %s, %s, %s) returning {_COLUMNS}",
                    rows,
                    returning=True,
                )
                made: list[AgentRecord] = []
                async for result in cursor.results():
                    made += [_record(row) for row in await result.fetchall()]
                for agent in made if actor is not None else ():
                    after = {"kind": agent.kind, "name": agent.name, "price": agent.price}
                    act = Act(organization_id, "agent.created", actor or SYSTEM, f"agent:{agent.id}", after=after)
                    await self._audit.record(act, connection=connection)
                return made
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError("an agent of that name exists already in this organization") from error

    async def get(self, organization_id: str, agent: str) -> AgentRecord:
        """Return an agent by id or name, or raise NotFoundError."""
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from agents where organization_id = %s and (id = %s::uuid or name = %s)",
            (organization_id, parse_id(agent), agent),
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no agent {agent!r} in this organization")
        return _record(row)

    async def statistics(
        self, organization_id: str, *, limit: int = 100, cursor: str | None = None
    ) -> Page[AgentStatistics]:
        """Return a page of agents with what was measured of each, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            _STATISTICS,
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        found = [
            AgentStatistics(
                row["agent_id"], row["name"], row["kind"], int(row["done"]), int(row["completed"]),
                int(row["discarded"]), float(row["cost"]), row["load"], row["p50_seconds"], row["p95_seconds"],
            )
            for row in rows[:limit]
        ]  # fmt: skip
        return Page(found, cursor_of(found[-1].agent_id) if len(rows) > limit else None)

    async def enable(self, organization_id: str, agent: str, *, is_enabled: bool, actor: Actor = SYSTEM) -> AgentRecord:
        """Let an agent be chosen, or not; tasks it has in hand stay with it."""
        found = await self.get(organization_id, agent)
        async with self._database.transaction(organization_id) as connection:
            await connection.execute("update agents set is_enabled = %s where id = %s", (is_enabled, found.id))
            action = "agent.enabled" if is_enabled else "agent.disabled"
            before, after = {"is_enabled": found.is_enabled}, {"name": found.name, "is_enabled": is_enabled}
            act = Act(organization_id, action, actor, f"agent:{found.id}", before=before, after=after)
            await self._audit.record(act, connection=connection)
        return await self.get(organization_id, found.id)

    async def candidates(self, organization_id: str, task_kind: str) -> list[Candidate]:
        """Return who could do a task of that kind, with what bars those who may not now."""
        rows = await self._database.fetch_all(
            _CANDIDATES,
            {"org": organization_id, "kind": task_kind, "lasts": LASTS_JSON},
            organization_id=organization_id,
        )
        return [
            Candidate(
                row["id"], row["name"], int(row["successes"]), int(row["failures"]), float(row["price"]),
                row["load"], row["capacity"], _bar(row),
            )
            for row in rows
        ]  # fmt: skip

    async def choose(
        self, organization_id: str, task_kind: str, *, weights: Weights | None = None, without: Sequence[str] = ()
    ) -> Choice:
        """Choose the agent for a task of that kind, ``without`` some that were tried already."""
        candidates = await self.candidates(organization_id, task_kind)
        return choose([candidate for candidate in candidates if candidate.agent_id not in without], weights)

    def _task_kind(self, kind: str) -> str:
        try:
            return self._kinds[kind]
        except KeyError:
            raise InvalidInputError(
                f"unknown agent kind {kind!r}; known: {', '.join(sorted(self._kinds)) or 'none'}"
            ) from None

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[AgentRecord]:
        """Return a page of agents, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from agents where organization_id = %(org)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_record(row) for row in rows], limit)


@dataclass(frozen=True, slots=True)
class NewAgent:
    """What a caller asks for."""

    kind: str
    name: str
    configuration: Mapping[str, Any]
    price: float = 0.0
    capacity: int = 4


def _checked(agent: NewAgent) -> NewAgent:
    if not 1 <= len(agent.name) <= 200:
        raise InvalidInputError("an agent's name has 1 to 200 characters")
    if agent.price < 0 or agent.capacity < 1:
        raise InvalidInputError("an agent's price is not negative and its capacity at least 1")
    return agent


def _record(row: Row) -> AgentRecord:
    converted: Row = {"capabilities": tuple(row["capabilities"]), "price": float(row["price"])}
    return AgentRecord(**{**row, **converted})


def _bar(row: Row) -> str | None:
    if not row["is_enabled"]:
        return "disabled"
    if row["is_paused"]:
        return "paused"
    if row["is_blocked"]:
        return str(row["reason"] or "circuit open")
    return None
