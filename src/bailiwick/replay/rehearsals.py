"""Rehearsals over the runs of an organization: chooses them, and holds a candidate against them. Changes nothing."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import orjson
from pydantic import BaseModel

from bailiwick.agents import Agent
from bailiwick.authority.model import EFFECT_CLASSES
from bailiwick.authority.policies import checked_policy
from bailiwick.authority.policy import NO_POLICY, RuleIndex, read_policy
from bailiwick.authority.policy.built_in import built_in_ceiling
from bailiwick.authority.policy.entries import PolicySyntaxError
from bailiwick.effects import ToolRegistry
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import InvalidInputError, UnknownKindError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.outcomes.lasting import LASTED, LASTS_JSON
from bailiwick.replay.agent_rehearsal import RecordedWork, rehearse_agent
from bailiwick.replay.collecting import RunCollector
from bailiwick.replay.evidence import evidence_in, evidence_of
from bailiwick.replay.policy_rehearsal import Candidate, RecordedCase, rehearse_policy
from bailiwick.replay.recording import recording_of
from bailiwick.replay.rehearsal import Bounds, Rehearsal, require
from bailiwick.replay.turns import Turns
from bailiwick.storage import Database
from bailiwick.tasks.acting import Effect
from bailiwick.telemetry.redacting import redacted_json

MAX_RUNS = 2_000
_LEVELS = range(1, 6)

_CASES: LiteralString = f"""
with tasks_of as (
    select t.id, t.kind from tasks t where t.organization_id = %(org)s
    union all select f.id, f.kind from finished_tasks f where f.organization_id = %(org)s),
runs as (
    select d.task_id from decisions d
    where d.organization_id = %(org)s and (%(agent)s::uuid is null or d.agent_id = %(agent)s)
      and (%(since)s::timestamptz is null or d.decided_at >= %(since)s)
      and (%(until)s::timestamptz is null or d.decided_at < %(until)s)
      and (%(kind)s::text is null or exists (select from tasks_of t where t.id = d.task_id and t.kind = %(kind)s))
    group by d.task_id order by max(d.id::text) desc limit %(runs)s)
select d.task_id, d.agent_id, d.outcome, d.rule, d.reason, d.tool, d.effect_class, d.target, d.risk, d.proposal,
       d.given, d.policy_version, d.ceiling_version, e.id as effect_id, e.state as effect_state,
       a.state as approval_state, coalesce(a.is_by_silence, false) as is_by_silence,
       (select array_agg(case when o.state = 'worked' and not {LASTED} then 'seen' else o.state end)
        from outcomes o where o.effect_id = e.id and o.state <> 'pending') as outcomes
from decisions d
join runs r on r.task_id = d.task_id
left join effects e on e.decision_id = d.id and e.organization_id = d.organization_id
left join approvals a on a.id = e.approval_id
where d.organization_id = %(org)s and (%(agent)s::uuid is null or d.agent_id = %(agent)s)
order by d.id"""
_RUNS = """
select id from finished_tasks where organization_id = %(org)s and kind = %(kind)s and state = 'completed'
  and (%(agent)s::uuid is null or agent_id = %(agent)s)
  and (%(since)s::timestamptz is null or finished_at >= %(since)s)
  and (%(until)s::timestamptz is null or finished_at < %(until)s)
order by id desc limit %(runs)s"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recorded runs a candidate is held against: the newest ``runs`` that fit."""

    kind: str | None = None
    agent_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    runs: int = 200

    def __post_init__(self) -> None:
        """Refuse a number that means nothing or takes too long."""
        if not 1 <= self.runs <= MAX_RUNS:
            raise InvalidInputError(f"rehearse over 1 to {MAX_RUNS:,} runs")


class Rehearsals:
    """Holds candidates against what really happened, within one organization; a few at once, see ``Turns``."""

    def __init__(self, database: Database, tools: ToolRegistry) -> None:
        self._database = database
        self._tools = tools
        self._collector = RunCollector(database)
        self._turns = Turns()

    async def policy(
        self, organization_id: str, source: str, selection: Selection | None = None, *, is_ceiling: bool = False
    ) -> Rehearsal:
        """Rehearse a policy, or one for the ceiling, over the recorded decisions.

        Raises:
            PolicySyntaxError, PolicyTestsFailedError: it could not be put in force anyway.
            RateLimitedError: others of the organization are under way.
        """
        async with self._turns.turn(organization_id):
            policy = await asyncio.to_thread(checked_policy, source, is_ceiling=is_ceiling)
            index = RuleIndex(policy)
            candidate = Candidate(ceiling=index) if is_ceiling else Candidate(own=index)
            cases = await self._cases(organization_id, selection or Selection())
            name = f"the {'ceiling' if is_ceiling else 'policy'} with {len(policy.rules)} rules"
            return await asyncio.to_thread(rehearse_policy, cases, candidate, name=name)

    async def level(
        self, organization_id: str, agent_id: str, effect_class: str, level: int, selection: Selection | None = None
    ) -> Rehearsal:
        """Rehearse another level of autonomy of an agent for a class of effects over its recorded decisions.

        Raises:
            InvalidInputError: no such level or class.
            RateLimitedError: others of the organization are under way.
        """
        if level not in _LEVELS or effect_class not in EFFECT_CLASSES:
            raise InvalidInputError(f"levels are 1 to 5, classes {', '.join(sorted(EFFECT_CLASSES))}")
        wanted = selection or Selection()
        chosen = Selection(wanted.kind, agent_id, wanted.since, wanted.until, wanted.runs)
        async with self._turns.turn(organization_id):
            cases = await self._cases(organization_id, chosen)
            return await asyncio.to_thread(
                rehearse_policy, cases, Candidate(level=level), subject="level",
                name=f"level {level} for {effect_class}", applies=lambda case: case.effect_class == effect_class,
            )  # fmt: skip

    async def agent(self, organization_id: str, candidate: Agent[Any], selection: Selection | None = None) -> Rehearsal:
        """Rehearse a version of an agent over the completed runs of its kind.

        ``candidate`` should hold a database that was never opened, so that it can reach nothing.

        Raises:
            RateLimitedError: others of the organization are under way.
        """
        wanted = selection or Selection()
        params = {
            "org": organization_id, "kind": candidate.task_kind(), "agent": wanted.agent_id, "since": wanted.since,
            "until": wanted.until, "runs": wanted.runs,
        }  # fmt: skip
        name = f"{type(candidate).__module__}:{type(candidate).__qualname__}, version {candidate.version}"
        async with self._turns.turn(organization_id):
            rows = await self._database.fetch_all(_RUNS, params, organization_id=organization_id)
            works = [await self._work(organization_id, row["id"]) for row in rows]
            return await rehearse_agent(works, candidate, name=name, arguments_of=self._arguments_of)

    async def require_policy(self, organization_id: str, source: str, bounds: Bounds, *, is_ceiling: bool) -> Rehearsal:
        """Return the rehearsal of a policy that may be put in force; the gate of ``policy put --rehearsed``.

        The ceiling holds for every organization, and is rehearsed in one at a time.

        Raises:
            RehearsalRefusedError: it does worse than its bounds allow.
        """
        rehearsal = await self.policy(organization_id, source, is_ceiling=is_ceiling)
        require(rehearsal, bounds)
        return rehearsal

    async def require_level(
        self, organization_id: str, agent_id: str, effect_class: str, level: int, bounds: Bounds
    ) -> Rehearsal:
        """Return the rehearsal of a level that an agent may be given; the gate of promotions.

        Raises:
            RehearsalRefusedError: it does worse than its bounds allow.
        """
        rehearsal = await self.level(organization_id, agent_id, effect_class, level)
        require(rehearsal, bounds)
        return rehearsal

    async def _work(self, organization_id: str, task_id: str) -> RecordedWork:
        parts = (await self._collector.collect(organization_id, task_id)).parts
        rules = {one["id"]: one["rule"] for one in parts["decisions"]}
        return RecordedWork(
            recording_of(parts),
            evidence_in(parts),
            {one["id"]: rules.get(one["decision_id"], "") for one in parts["effects"]},
        )

    async def _cases(self, organization_id: str, selection: Selection) -> list[RecordedCase]:
        params = {
            "org": organization_id, "kind": selection.kind, "agent": selection.agent_id, "since": selection.since,
            "until": selection.until, "runs": selection.runs,
        }  # fmt: skip
        rows = await self._database.fetch_all(_CASES, {**params, "lasts": LASTS_JSON}, organization_id=organization_id)
        own: dict[int, RuleIndex | None] = {}
        ceilings: dict[int, RuleIndex | None] = {}
        for row in rows:
            if row["policy_version"] not in own:
                own[row["policy_version"]] = await self._rules(organization_id, row["policy_version"])
            if row["ceiling_version"] not in ceilings:
                ceilings[row["ceiling_version"]] = await self._ceiling(organization_id, row["ceiling_version"])
        return [
            RecordedCase(
                row["task_id"], row["outcome"], row["rule"], row["reason"], row["tool"], row["effect_class"],
                row["target"], row["risk"], row["proposal"], row["given"], own[row["policy_version"]],
                ceilings[row["ceiling_version"]], evidence_of(row),
            )
            for row in rows
        ]  # fmt: skip

    async def _rules(self, organization_id: str, version: int) -> RuleIndex | None:
        row = await self._database.fetch_one(
            "select source from policies where organization_id = %s and version = %s",
            (organization_id, version),
            organization_id=organization_id,
        )
        return _index(None if row is None else row["source"], version, is_ceiling=organization_id == INSTALLATION)

    async def _ceiling(self, organization_id: str, version: int) -> RuleIndex | None:
        row = await self._database.fetch_one(
            "select policy_ceiling(%s) as source", (version,), organization_id=organization_id
        )
        return _index(None if row is None else row["source"], version, is_ceiling=True)

    def _arguments_of(self, effect: Effect) -> Any:
        """Return an effect's arguments as they would be kept: with the defaults of the tool, without secrets."""
        given = effect.arguments
        if not isinstance(given, BaseModel):
            try:
                tool = self._tools.get(effect.tool)
                given = self._tools.arguments(tool, given)
            except UnknownKindError:
                # A tool that is gone: its arguments are compared as they are given.
                given = effect.arguments
        return orjson.loads(redacted_json(encode(given)))


def _index(source: str | None, version: int, *, is_ceiling: bool) -> RuleIndex | None:
    """Return the rules of a version; None where it is not there, or no longer read as it was."""
    if version == 0:
        return built_in_ceiling() if is_ceiling else NO_POLICY
    try:
        return None if source is None else RuleIndex(read_policy(source, version=version, is_ceiling=is_ceiling))
    except PolicySyntaxError:
        return None
