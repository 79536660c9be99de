"""Shadow mode: what an agent that only watches would have done, compared with what people did."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from bailiwick.audit.canonical import canonical
from bailiwick.authority.autonomy import Autonomy
from bailiwick.authority.model import EffectClass
from bailiwick.effects.registry import ToolRegistry
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import BailiwickError, ConflictError
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.telemetry.redacting import redacted_json

Result = Literal["agreed", "differed", "none"]

_AT_ONCE = 200

_WAITING = """
select e.id as effect_id, e.organization_id, e.agent_id, e.effect_class, e.tool, e.arguments, e.target,
       e.proposed_at as since, coalesce((d.proposal ->> 'is_reversible')::boolean, false) as is_reversible
from effects e
join decisions d on d.id = e.decision_id and d.organization_id = e.organization_id and d.is_shadow
where e.organization_id = %(org)s and e.state = 'declined' and e.agent_id is not null
  and e.proposed_at <= %(before)s
  and not exists (select from shadow_comparisons c where c.effect_id = e.id)
order by e.id limit %(limit)s"""

# By people: of work that no agent does, or that a person asked for in person.
_BY_PEOPLE = """
select id, tool, arguments, ended_at from effects
where organization_id = %(org)s and target = %(target)s and id <> %(effect)s
  and proposed_at > %(since)s and proposed_at <= %(until)s
  and state in ('applied', 'verified', 'refuted', 'unverifiable')
  and (agent_id is null or exists (select from unnest(labels) as l where l like 'by:user:%%'))
order by id limit 50"""


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

    ``tool`` is None where it amounts to none that is known.
    """

    source: str
    at: datetime
    tool: str | None
    arguments: Mapping[str, Any] | None = None


Watch = Callable[[ShadowAct], Awaitable[Sequence[Counterpart]]]
"""Given what an agent would have done, returns what people did to the same target in that time."""


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
    """Tells what people did through the platform itself: effects that no agent chose to propose."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def watch(self, act: ShadowAct) -> Sequence[Counterpart]:
        """Return the effects on the same target in that time."""
        rows = await self._database.fetch_all(
            _BY_PEOPLE,
            {"org": act.organization_id, "target": act.target, "effect": act.effect_id,
             "since": act.since, "until": act.until},
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

        Safe to stop anywhere and to do twice at once: a comparison is written once.
        """
        rules = await self._autonomy.rules(organization_id)
        window = timedelta(hours=rules.shadow_hours)
        rows = await self._database.fetch_all(
            _WAITING,
            {"org": organization_id, "before": self._clock.now() - window, "limit": _AT_ONCE},
            organization_id=organization_id,
        )
        results: dict[Result, int] = {"agreed": 0, "differed": 0, "none": 0}
        for row in rows:
            act = ShadowAct(**row, until=row["since"] + window)
            result, seen = await self.compare(act)
            async with self._database.transaction(organization_id) as connection:
                results[result] += await self._write(act, result, seen, connection)
        return results

    async def compare(self, act: ShadowAct) -> tuple[Result, list[Counterpart]]:
        """Return how an act compares with what people did, and that: the same call agrees, another differs."""
        seen = [counterpart for watch in self._watches.all() for counterpart in await watch(act)]
        if not seen:
            return "none", []
        wanted = self._call(act.tool, act.arguments)
        agreed = any(one.tool is not None and self._call(one.tool, one.arguments or {}) == wanted for one in seen)
        return ("agreed" if agreed else "differed"), seen

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
        if is_new and result != "none":
            await self._autonomy.record_comparison(
                act.organization_id, act.agent_id, act.effect_class, result,
                effect_id=act.effect_id, is_irreversible=not act.is_reversible, connection=connection,
            )  # fmt: skip
        return is_new
