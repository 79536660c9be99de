"""Collects everything that is kept of one run, as the documents of an archive's parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bailiwick.authority.policy.built_in import built_in_ceiling_source
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database

Parts = dict[str, list[dict[str, Any]]]

# A cause has a cause; a loop there cannot be, but a limit there is.
_MAX_CAUSES = 100

_TASK = """
select to_jsonb(t) - 'payload' - 'result' as document, payload, result from (
    select id, organization_id, kind, state::text, priority, deadline_at, payload, agent_id, parent_id, cause_id,
           forked_from, failures, recoveries, errors, code_version, cost, choice, labels, inserted_at, started_at,
           null::timestamptz as finished_at, null::jsonb as result, null::text as reason, wait_event, wait_key
    from tasks where {where} union all
    select id, organization_id, kind, state::text, priority, deadline_at, payload, agent_id, parent_id, cause_id,
           forked_from, failures, recoveries, errors, code_version, cost, choice, labels, inserted_at, started_at,
           finished_at, result, reason, null, null
    from finished_tasks where {where}) as t order by id"""
_CAUSES = """
with recursive above as (
    select e.*, 1 as depth from events e where e.id = %(cause)s and e.organization_id = %(org)s
    union all
    select e.*, a.depth + 1 from events e join above a on e.id = a.cause_id
    where e.organization_id = %(org)s and a.depth < %(most)s)
select to_jsonb(x) - 'depth' as document from above x order by depth desc"""

# The other parts, each by one statement over the run's id; rows come as they are kept.
_PARTS: Mapping[str, str] = {
    "journal": "select to_jsonb(s) as document from steps s where task_id = %(task)s order by seq",
    "events": (
        "select to_jsonb(e) as document from events e where organization_id = %(org)s and (cause_id = %(task)s "
        "or id = any(%(published)s::uuid[])) order by id"
    ),
    "effects": (
        "select to_jsonb(e) || jsonb_build_object('moves', coalesce((select jsonb_agg(to_jsonb(m) - 'effect_id' "
        "- 'organization_id' order by m.seq) from effect_moves m where m.effect_id = e.id), '[]')) as document "
        "from effects e where organization_id = %(org)s and task_id = %(task)s order by seq"
    ),
    "decisions": "select to_jsonb(d) as document from decisions d where task_id = %(task)s order by id",
    "policies": (
        "select to_jsonb(p) as document from policies p where version in "
        "(select d.policy_version from decisions d where d.task_id = %(task)s) order by version"
    ),
    "ceilings": (
        "select jsonb_build_object('version', v, 'source', policy_ceiling(v)) as document from ("
        "select distinct d.ceiling_version as v from decisions d where d.task_id = %(task)s) x where v > 0 order by v"
    ),
    "outcomes": (
        "select to_jsonb(o) as document from outcomes o where organization_id = %(org)s and task_id = %(task)s "
        "order by id"
    ),
    "agent": "select to_jsonb(a) as document from agents a where organization_id = %(org)s and id = %(agent)s",
}  # fmt: skip
_AUDIT = """
select seq, act::jsonb as act, encode(previous, 'hex') as previous, encode(hash, 'hex') as hash, recorded_at::text
from audit_entries where organization_id = %(org)s and target = any(%(targets)s) order by seq"""


@dataclass(frozen=True, slots=True)
class Collected:
    """A run's parts by name, as they are kept: nothing is hidden yet."""

    organization_id: str
    task_id: str
    parts: Parts

    @property
    def task(self) -> dict[str, Any]:
        """The task itself."""
        return self.parts["task"][0]


class RunCollector:
    """Reads runs with everything that belongs to them, within one organization; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def collect(self, organization_id: str, task_id: str) -> Collected:
        """Return everything that is kept of a run.

        Raises:
            NotFoundError: the organization has no such task.
        """
        identifier = parse_id(task_id)
        found = [] if identifier is None else await self._tasks(organization_id, "id = %(key)s", identifier)
        if not found:
            raise NotFoundError(f"no run {task_id[:100]} in this organization; list them with: bailiwick tasks list")
        task = found[0]
        params: dict[str, Any] = {
            "org": organization_id, "task": task["id"], "agent": task["agent_id"], "cause": task["cause_id"],
            "most": _MAX_CAUSES, "published": [],
        }  # fmt: skip
        parts: Parts = {"task": [task], "causes": await self._all(_CAUSES, params)}
        for name, sql in _PARTS.items():
            parts[name] = await self._all(sql, params)
            if name == "journal":
                params["published"] = [step["result"] for step in parts[name] if step["kind"] == "publish"]
        if any(decision["ceiling_version"] == 0 for decision in parts["decisions"]):
            parts["ceilings"].insert(0, {"version": 0, "source": built_in_ceiling_source()})
        parts["children"] = await self._tasks(organization_id, "parent_id = %(key)s", task["id"])
        parts["approvals"] = await self._approvals(params)
        parts["audit"] = await self._audit(organization_id, parts)
        return Collected(organization_id, task["id"], parts)

    async def people(self, organization_id: str) -> list[dict[str, Any]]:
        """Return by what the organization's members are known: email address and name."""
        return await self._database.fetch_all(
            "select u.email, u.name from users u join memberships m on m.user_id = u.id where m.organization_id = %s "
            "order by u.id",
            (organization_id,),
            organization_id=organization_id,
        )

    async def _tasks(self, organization_id: str, where: str, key: str) -> list[dict[str, Any]]:
        rows = await self._database.fetch_all(
            _TASK.format(where=f"{where} and organization_id = %(org)s"),
            {"key": key, "org": organization_id},
            organization_id=organization_id,
        )
        return [{**row["document"], "payload": row["payload"], "result": row["result"]} for row in rows]

    async def _approvals(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return await self._all(
            "select to_jsonb(a) || jsonb_build_object('answers', coalesce((select jsonb_agg(to_jsonb(w) "
            "- 'organization_id' - 'approval_id' order by w.id) from approval_answers w where w.approval_id = a.id), "
            "'[]')) as document from approvals a where organization_id = %(org)s and task_id = %(task)s order by id",
            params,
        )

    async def _audit(self, organization_id: str, parts: Parts) -> list[dict[str, Any]]:
        targets = [f"task:{parts['task'][0]['id']}"]
        for name in ("effect", "approval", "decision", "outcome", "agent"):
            targets += [f"{name}:{one['id']}" for one in parts.get(f"{name}s", ())]
        rows = await self._database.fetch_all(
            _AUDIT, {"org": organization_id, "targets": targets}, organization_id=organization_id
        )
        return [dict(row) for row in rows]

    async def _all(self, sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = await self._database.fetch_all(sql, params, organization_id=params["org"])
        return [row["document"] for row in rows]
