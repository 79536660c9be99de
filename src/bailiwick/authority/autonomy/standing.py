"""Where agents stand, and what is missing before they may go further."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from bailiwick.authority.autonomy import ledger
from bailiwick.authority.autonomy.ledger import Ledger, Place
from bailiwick.authority.autonomy.model import ACT, LEVEL_NAMES, START, Promotion, SetBy
from bailiwick.authority.autonomy.posterior import Posterior
from bailiwick.authority.autonomy.rules import AutonomyRules, missing_for
from bailiwick.authority.model import EffectClass
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of, page_of

_LIST = """
select a.id as agent_id, a.name, a.kind,
       coalesce(l.levels, '{}') as levels, coalesce(p.open, '{}') as promotions
from agents a
left join lateral (
    select jsonb_object_agg(effect_class, level) as levels from autonomy_levels
    where organization_id = a.organization_id and agent_id = a.id) as l on true
left join lateral (
    select jsonb_object_agg(effect_class, id) as open from autonomy_promotions
    where organization_id = a.organization_id and agent_id = a.id and state = 'proposed') as p on true
where a.organization_id = %(org)s and (%(after)s::uuid is null or a.id < %(after)s)
order by a.id desc limit %(limit)s"""

_SOURCES = """
select source, count(*) as n from autonomy_evidence
where organization_id = %s and agent_id = %s and effect_class = %s and version = %s group by source"""

_RECENT = 50


@dataclass(frozen=True, slots=True)
class AgentLevels:
    """The levels of an agent by class, and the promotions that wait for a person, by class."""

    agent_id: str
    name: str
    kind: str
    levels: dict[str, int]
    promotions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an agent stands in one class of effects, and by what.

    ``sources`` counts pieces of evidence of the present version by where they
    come from; an act that several pieces tell of is one trial. ``lower`` and
    ``upper`` are one-sided bounds of the rules' confidence. ``missing`` says what
    the next level still takes, None where it takes nothing or is not to be earned.
    """

    effect_class: EffectClass
    level: int
    meaning: str
    set_by: SetBy | None
    reason: str | None
    changed_at: datetime | None
    sources: dict[str, int]
    successes: int
    failures: int
    verified: int
    mean: float
    lower: float
    upper: float
    next_level: int | None
    next_bound: float | None
    missing: str | None
    promotion: Promotion | None


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version of an agent: what made it one, and since when."""

    number: int
    fingerprint: str
    document: dict[str, Any]
    since: datetime


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """A change of a level, as it is kept."""

    effect_class: EffectClass
    version: int
    from_level: int
    to_level: int
    set_by: SetBy
    reason: str
    actor: str
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class AgentStanding:
    """Everything that is known of how far an agent may go: by class, its versions and its latest moves."""

    agent_id: str
    name: str
    kind: str
    rules: AutonomyRules
    standings: list[Standing]
    versions: list[VersionRecord]
    moves: list[MoveRecord]


class Standings:
    """Reads about autonomy in one organization; nothing is moved by looking."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[AgentLevels]:
        """Return a page of agents with their levels, newest agents first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            _LIST,
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        found = [
            AgentLevels(row["agent_id"], row["name"], row["kind"], {**START, **row["levels"]}, row["promotions"])
            for row in rows[:limit]
        ]
        return Page(found, cursor_of(found[-1].agent_id) if len(rows) > limit else None)

    async def promotions(
        self, organization_id: str, *, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Promotion]:
        """Return a page of proposals to go further, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {ledger.PROMOTION} from autonomy_promotions where organization_id = %(org)s "
            "and (%(state)s::text is null or state = %(state)s) and (%(after)s::uuid is null or id < %(after)s) "
            "order by id desc limit %(limit)s",
            {"org": organization_id, "state": state, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([Promotion(**row) for row in rows], limit)

    async def show(self, organization_id: str, agent: str) -> AgentStanding:
        """Return where an agent, by id or name, stands in every class, and why.

        Raises:
            NotFoundError: no such agent.
        """
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "select id, name, kind from agents where organization_id = %s and (id = %s::uuid or name = %s)",
                (organization_id, parse_id(agent), agent),
            )
            found = await cursor.fetchone()
            if found is None:
                raise NotFoundError(f"no agent {agent!r} in this organization; list them with: bailiwick agents list")
            rules = await ledger.rules_of(connection, organization_id)
            versions = await _rows(connection, _VERSIONS, (organization_id, found["id"], _RECENT))
            number = versions[0]["number"] if versions else 0
            standings = [
                await self._standing(connection, Place(organization_id, found["id"], effect_class), number, rules)
                for effect_class in START
            ]
            moves = await _rows(connection, _MOVES, (organization_id, found["id"], _RECENT))
        return AgentStanding(
            found["id"], found["name"], found["kind"], rules, standings,
            [VersionRecord(**row) for row in versions], [MoveRecord(**row) for row in moves],
        )  # fmt: skip

    async def _standing(self, connection: Connection, place: Place, number: int, rules: AutonomyRules) -> Standing:
        row = (await _rows(connection, _LEVEL, place.key) or [_BEGINNING])[0]
        level: int = row["level"] or place.start
        counts, _ = await Ledger(connection, place, self._clock.now()).counts(number)
        sources = await _rows(connection, _SOURCES, (*place.key, number))
        promotions = await _rows(connection, _OPEN, place.key)
        posterior = Posterior(counts.successes, counts.failures)
        bar = rules.bar(level + 1) if level < ACT else None
        return Standing(
            place.effect_class, level, LEVEL_NAMES[level], cast("SetBy | None", row["set_by"]), row["reason"],
            row["changed_at"], {source["source"]: source["n"] for source in sources},
            counts.successes, counts.failures, counts.verified,
            posterior.mean, posterior.lower(rules.confidence), posterior.upper(rules.confidence),
            None if bar is None else level + 1, None if bar is None else bar.bound,
            missing_for(level, counts, rules), Promotion(**promotions[0]) if promotions else None,
        )  # fmt: skip


_BEGINNING: Row = {"level": None, "set_by": None, "reason": None, "changed_at": None}
_PLACE = "organization_id = %s and agent_id = %s and effect_class = %s"
_LEVEL = f"select level, set_by, reason, changed_at from autonomy_levels where {_PLACE}"
_OPEN = f"select {ledger.PROMOTION} from autonomy_promotions where {_PLACE} and state = 'proposed'"
_VERSIONS = (
    "select number, fingerprint, document, since from autonomy_versions "
    "where organization_id = %s and agent_id = %s order by number desc limit %s"
)
_MOVES = (
    "select effect_class, version, from_level, to_level, set_by, reason, actor, moved_at from autonomy_moves "
    "where organization_id = %s and agent_id = %s order by id desc limit %s"
)


async def _rows(connection: Connection, sql: str, params: tuple[object, ...]) -> list[Row]:
    cursor = await connection.execute(trusted(sql), params)
    return await cursor.fetchall()
