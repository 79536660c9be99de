"""Shadow mode: what an agent that only watches would have done, compared with what people did."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from bailiwick.audit.canonical import canonical
from bailiwick.authority.autonomy import Autonomy
from bailiwick.authority.model import EffectClass
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.rewinding import KIND as REWIND
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import BailiwickError, ConflictError, DatabaseUnavailableError
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.telemetry.redacting import redacted_json

log = structlog.get_logger(__name__)

Result = Literal["agreed", "differed", "none", "unknown"]

_AT_ONCE = 200
_GIVEN_UP_AFTER = timedelta(days=7)
"""So long it is asked again where somebody who can tell what people did is away."""

_WAITING = """
select e.id as effect_id, e.organization_id, e.agent_id, e.effect_class, e.tool, e.arguments, e.target,
       e.proposed_at as since, coalesce((d.proposal ->> 'is_reversible')::boolean, false) as is_reversible
from effects e
join decisions d on d.id = e.decision_id and d.organization_id = e.organization_id and d.is_shadow
where e.organization_id = %(org)s and e.state = 'declined' and e.agent_id is not null
  and e.proposed_at <= %(before)s
  and not exists (select from shadow_comparisons c where c.effect_id = e.id)
order by e.id limit %(limit)s"""

# In person means logged in, or at the command line of the machine; a key or another agent is a program. What an agent
# proposed is its deed, whoever asked for its work or said yes. So what is left is what people take back.
_BY_PEOPLE = """
select e.id, e.tool, e.arguments, e.ended_at from effects e
where e.organization_id = %(org)s and e.target = %(target)s and e.id <> %(effect)s
  and e.proposed_at > %(since)s and e.proposed_at <= %(until)s
  and e.state in ('applied', 'verified', 'refuted', 'unverifiable')
  and e.reverts is not null
  and exists (
    select from (
        select kind, labels from tasks where organization_id = %(org)s and id = e.task_id
        union all
        select kind, labels from finished_tasks where organization_id = %(org)s and id = e.task_id) as t
    where t.kind = %(rewind)s
      and exists (select from unnest(t.labels) as l where l like 'by:user:%%' or l like 'by:system:account:%%'))
order by e.id limit 50"""


@dataclass(frozen=True, slots=True)
class ShadowAct:
    """What an agent would have done, had it been let, and the time in which people might have done it."""

    effect_id: str
    organization_id: str
    agent_id: str
    effect_class: EffectClass
    tool: str
    arguments: Mapping[str, Any]
    target: str
    is_reversible: bool
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Counterpart:
    """One thing that people did to the same target: where that is written, when, and which tool call it amounts to.

    ``tool`` is None where it amounts to none that could be compared: it is shown and teaches nothing.
    """

    source: str
    at: datetime
    tool: str | None
    arguments: Mapping[str, Any] | None = None


Watch = Callable[[ShadowAct], Awaitable[Sequence[Counterpart]]]
"""Given what an agent would have done, returns what people did to the same target in that time, with their own hands.

It raises a retryable error where asking again may help; where nobody can tell, another."""


class ShadowRegistry:
    """Who can tell what people did. Filled at start, read afterwards."""

    def __init__(self) -> None:
        self._watches: dict[str, Watch] = {}

    def register(self, name: str, watch: Watch) -> None:
        """Add somebody who can tell.

        Raises:
            ConflictError: another has the name.
        """
        if name in self._watches:
            raise ConflictError(f"two who tell what people did are called {name!r}")
        self._watches[name] = watch

    def all(self) -> list[Watch]:
        """Return everybody, by name."""
        return [self._watches[name] for name in sorted(self._watches)]


class EffectsOfPeople:
    """Tells what people did through the platform in person: what they took back by a rewind they asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def watch(self, act: ShadowAct) -> Sequence[Counterpart]:
        """Return the effects on the same target in that time."""
        rows = await self._database.fetch_all(
            _BY_PEOPLE,
            {"org": act.organization_id, "target": act.target, "effect": act.effect_id,
             "since": act.since, "until": act.until, "rewind": REWIND},
            organization_id=act.organization_id,
        )  # fmt: skip
        return [Counterpart(f"effect:{row['id']}", row["ended_at"], row["tool"], row["arguments"]) for row in rows]


class ShadowComparing:
    """Compares, once the time is over, and lets autonomy learn from it."""

    def __init__(
        self,
        database: Database,
        autonomy: Autonomy,
        tools: ToolRegistry,
        watches: ShadowRegistry,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._autonomy = autonomy
        self._tools = tools
        self._watches = watches
        self._clock = clock or SystemClock()

    async def compare_due(self, organization_id: str) -> dict[Result, int]:
        """Compare what is due, at most 200 at a time, each in a transaction of its own; return how many came out how.

        Where somebody who can tell is away it is asked again for a week, then the result is unknown. Safe to stop
        anywhere and to do twice at once: a comparison is written once.
        """
        rules = await self._autonomy.rules(organization_id)
        window = timedelta(hours=rules.shadow_hours)
        rows = await self._database.fetch_all(
            _WAITING,
            {"org": organization_id, "before": self._clock.now() - window, "limit": _AT_ONCE},
            organization_id=organization_id,
        )
        results: dict[Result, int] = {"agreed": 0, "differed": 0, "none": 0, "unknown": 0}
        for row in rows:
            act = ShadowAct(**row, until=row["since"] + window)
            result, seen = await self._result(act)
            if result is None:
                continue
            async with self._database.transaction(organization_id) as connection:
                results[result] += await self._write(act, result, seen, connection)
        return results

    async def compare(self, act: ShadowAct) -> tuple[Result, list[Counterpart]]:
        """Return how an act compares with what people did, and that: the same call agrees, another differs.

        Raises:
            BailiwickError: somebody who should tell what people did cannot.
        """
        seen = [counterpart for watch in self._watches.all() for counterpart in await watch(act)]
        calls = [self._call(one.tool, one.arguments or {}) for one in seen if one.tool is not None]
        if not calls:
            return "none", seen
        return ("agreed" if self._call(act.tool, act.arguments) in calls else "differed"), seen

    async def _result(self, act: ShadowAct) -> tuple[Result | None, list[Counterpart]]:
        """Compare; None where it is to be asked again, unknown with what is missing where nobody can tell."""
        try:
            return await self.compare(act)
        except DatabaseUnavailableError:
            raise
        except BailiwickError as error:
            if error.retryable and self._clock.now() < act.until + _GIVEN_UP_AFTER:
                log.warning("shadow comparison put off", effect_id=act.effect_id, error=str(error))
                return None, []
            missing = f"cannot determine what people did: {error}"
            return "unknown", [Counterpart(missing, self._clock.now(), None)]

    def _call(self, tool: str, arguments: Mapping[str, Any]) -> tuple[str, bytes]:
        """Return a call in a form that is equal for equal calls: as the tool's own schema understands it."""
        try:
            understood = self._tools.arguments(self._tools.get(tool), arguments).model_dump(mode="json")
        except BailiwickError:
            # A tool that is gone, or a call it would refuse: compared as written.
            understood = dict(arguments)
        return tool, canonical(understood)

    async def _write(self, act: ShadowAct, result: Result, seen: Sequence[Counterpart], connection: Connection) -> bool:
        counterparts = redacted_json(encode([asdict(one) for one in seen], what="what people did"))
        cursor = await connection.execute(
            "insert into shadow_comparisons (effect_id, organization_id, agent_id, effect_class, result, counterparts, "
            "compared_at) values (%s, %s, %s, %s, %s, %s::jsonb, %s) on conflict do nothing",
            (act.effect_id, act.organization_id, act.agent_id, act.effect_class, result, counterparts.decode(),
             self._clock.now()),
        )  # fmt: skip
        is_new = cursor.rowcount == 1
        if is_new and result in ("agreed", "differed"):
            await self._autonomy.record_comparison(
                act.organization_id, act.agent_id, act.effect_class, result,
                effect_id=act.effect_id, is_irreversible=not act.is_reversible, connection=connection,
            )  # fmt: skip
        return is_new
