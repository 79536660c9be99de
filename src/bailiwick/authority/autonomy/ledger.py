"""The rows of autonomy, read and written within a transaction of the caller's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from bailiwick.authority.autonomy.model import (
    START,
    SUCCESSES,
    Counts,
    Promotion,
    PromotionState,
    SetBy,
    Source,
)
from bailiwick.authority.autonomy.rules import AutonomyRules
from bailiwick.authority.model import EffectClass
from bailiwick.kernel.documents import encode
from bailiwick.kernel.ids import new_id
from bailiwick.storage.connections import Connection

PROMOTION: LiteralString = (
    "id, organization_id, agent_id, effect_class, version, from_level, to_level, state, evidence, "
    "proposed_at, answered_at, answered_by, reason"
)

_CURRENT = """
select a.kind, a.configuration, v.number, v.fingerprint, v.document
from agents a
left join lateral (
    select number, fingerprint, document from autonomy_versions
    where organization_id = a.organization_id and agent_id = a.id order by number desc limit 1) as v on true
where a.organization_id = %s and a.id = %s"""

_COUNTS = """
select count(*) filter (where not failed) as successes, count(*) filter (where failed) as failures,
       count(*) filter (where looked) as verified, coalesce(bool_or(irreversible), false) as irreversible
from (
    select bool_or(not is_success) as failed, bool_or(source in ('verified', 'refuted')) as looked,
           bool_or(is_irreversible) as irreversible
    from autonomy_evidence
    where organization_id = %s and agent_id = %s and effect_class = %s and version = %s
    group by about) as acts"""

_LOCK = """
insert into autonomy_levels as l (organization_id, agent_id, effect_class, level) values (%s, %s, %s, %s)
on conflict (organization_id, agent_id, effect_class) do update set level = l.level
returning level"""

_MOVE = """
update autonomy_levels set level = %(to)s, set_by = %(by)s, reason = %(reason)s, changed_at = %(at)s
where organization_id = %(org)s and agent_id = %(agent)s and effect_class = %(class)s"""


@dataclass(frozen=True, slots=True)
class Place:
    """Whom it is about: one agent of one organization, in one class of effects."""

    organization_id: str
    agent_id: str
    effect_class: EffectClass

    @property
    def key(self) -> tuple[str, str, str]:
        """The columns in the order of every key."""
        return (self.organization_id, self.agent_id, self.effect_class)

    @property
    def start(self) -> int:
        """The level at which everybody begins."""
        return START[self.effect_class]


@dataclass(frozen=True, slots=True)
class Known:
    """An agent as it is now, and the last version of it that was noted; ``number`` is 0 before the first."""

    kind: str
    configuration: Mapping[str, Any]
    number: int
    fingerprint: str | None
    document: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an agent: its number, the hash of what makes it one, and that itself."""

    number: int
    fingerprint: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for or against an agent: ``about`` is the effect that it tells of."""

    place: Place
    source: Source
    about: str
    is_irreversible: bool = False

    @property
    def is_success(self) -> bool:
        """Tell whether it speaks for the agent."""
        return self.source in SUCCESSES


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a level, and why."""

    version: int
    from_level: int
    to_level: int
    set_by: SetBy
    reason: str
    actor: str


class Ledger:
    """The rows about one agent in one class, within one transaction; ``at`` is the moment that is written."""

    def __init__(self, connection: Connection, place: Place, at: datetime) -> None:
        self.connection = connection
        self.place = place
        self.at = at

    async def version_of(self, effect_id: str) -> int | None:
        """Return the number of the version that proposed an effect, None where nobody knows of the effect."""
        cursor = await self.connection.execute(
            "select max(v.number) as number from autonomy_versions v join effects e on v.since <= e.proposed_at "
            "where v.organization_id = %s and v.agent_id = %s and e.organization_id = %s and e.id = %s",
            (self.place.organization_id, self.place.agent_id, self.place.organization_id, effect_id),
        )
        row = await cursor.fetchone()
        return None if row is None else row["number"]

    async def level(self) -> int:
        """Return the level, kept from others' changes until the transaction is over."""
        cursor = await self.connection.execute(_LOCK, (*self.place.key, self.place.start))
        row = await cursor.fetchone()
        assert row is not None
        return int(row["level"])

    async def counts(self, version: int) -> tuple[Counts, bool]:
        """Return the trials of a version, and whether any of them could not be undone."""
        cursor = await self.connection.execute(_COUNTS, (*self.place.key, version))
        row = await cursor.fetchone()
        assert row is not None
        return Counts(row["successes"], row["failures"], row["verified"]), bool(row["irreversible"])

    async def rules(self) -> AutonomyRules:
        """Return what the organization asks for."""
        return await rules_of(self.connection, self.place.organization_id)

    async def add(self, evidence: Evidence, version: int) -> bool:
        """Keep a piece of evidence; False if it is there already."""
        cursor = await self.connection.execute(
            "insert into autonomy_evidence (id, organization_id, agent_id, effect_class, version, about, source, "
            "is_success, is_irreversible, recorded_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "on conflict (organization_id, about, source) do nothing",
            (new_id(), *self.place.key, version, evidence.about, evidence.source, evidence.is_success,
             evidence.is_irreversible, self.at),
        )  # fmt: skip
        return cursor.rowcount == 1

    async def refuted_within(self, version: int, period: timedelta) -> int:
        """Return how many outcomes of a version were refuted lately."""
        cursor = await self.connection.execute(
            "select count(*) as refuted from autonomy_evidence where organization_id = %s and agent_id = %s "
            "and effect_class = %s and version = %s and source = 'refuted' and recorded_at > %s",
            (*self.place.key, version, self.at - period),
        )
        row = await cursor.fetchone()
        return 0 if row is None else int(row["refuted"])

    async def move(self, moved: Move) -> None:
        """Write a level that ``level`` holds, and keep that it was changed."""
        place = self.place
        await self.connection.execute(
            _MOVE,
            {"org": place.organization_id, "agent": place.agent_id, "class": place.effect_class,
             "to": moved.to_level, "by": moved.set_by, "reason": moved.reason, "at": self.at},
        )  # fmt: skip
        await self.connection.execute(
            "insert into autonomy_moves (id, organization_id, agent_id, effect_class, version, from_level, to_level, "
            "set_by, reason, actor, moved_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (new_id(), *place.key, moved.version, moved.from_level, moved.to_level, moved.set_by, moved.reason,
             moved.actor, self.at),
        )  # fmt: skip

    async def propose(self, version: int, level: int, evidence: object) -> str | None:
        """Open a proposal to go one level further and return its id; None if one is open already."""
        identifier = new_id()
        cursor = await self.connection.execute(
            "insert into autonomy_promotions (id, organization_id, agent_id, effect_class, version, from_level, "
            "to_level, evidence, proposed_at) values (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s) "
            "on conflict (organization_id, agent_id, effect_class) where state = 'proposed' do nothing",
            (identifier, *self.place.key, version, level, level + 1, encode(evidence).decode(), self.at),
        )
        return identifier if cursor.rowcount == 1 else None

    async def answer(self, state: PromotionState, by: str, reason: str | None) -> None:
        """Write what became of the open promotion, if there is one."""
        await self.connection.execute(
            "update autonomy_promotions set state = %s, answered_at = %s, answered_by = %s, reason = %s "
            "where organization_id = %s and agent_id = %s and effect_class = %s and state = 'proposed'",
            (state, self.at, by, reason, *self.place.key),
        )

    async def trials_at_refusal(self, version: int, to_level: int) -> int | None:
        """Return how many trials there were when people last refused this promotion, or None if they never did."""
        cursor = await self.connection.execute(
            "select (evidence ->> 'trials')::int as trials from autonomy_promotions where organization_id = %s "
            "and agent_id = %s and effect_class = %s and version = %s and to_level = %s and state = 'refused' "
            "order by id desc limit 1",
            (*self.place.key, version, to_level),
        )
        row = await cursor.fetchone()
        return None if row is None else int(row["trials"])


async def known(connection: Connection, organization_id: str, agent_id: str) -> Known | None:
    """Return an agent with the last version noted, or None where there is no such agent."""
    cursor = await connection.execute(_CURRENT, (organization_id, agent_id))
    row = await cursor.fetchone()
    if row is None:
        return None
    return Known(row["kind"], row["configuration"], row["number"] or 0, row["fingerprint"], row["document"])


async def standing(connection: Connection, agent_id: str, effect_class: EffectClass) -> tuple[int, int | None]:
    """Return the version and the level of an agent, which stay so until the transaction is over."""
    cursor = await connection.execute("select * from autonomy_standing(%s, %s)", (agent_id, effect_class))
    row = await cursor.fetchone()
    assert row is not None
    return row["version"], row["standing"]


async def lock_version(connection: Connection, agent_id: str) -> None:
    """Wait for the decisions that go by an agent's present version, and keep others from going by it."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('autonomy:' || %s::uuid, 0))", (agent_id,))


async def note_version(connection: Connection, organization_id: str, agent_id: str, version: Version) -> None:
    """Add a version; what is proposed from now on belongs to it."""
    await connection.execute(
        "insert into autonomy_versions (organization_id, agent_id, number, fingerprint, document) "
        "values (%s, %s, %s, %s, %s::jsonb)",
        (organization_id, agent_id, version.number, version.fingerprint, encode(version.document).decode()),
    )


async def promotion(connection: Connection, organization_id: str, promotion_id: str) -> Promotion | None:
    """Return a promotion; who holds its place's level keeps it from others' answers."""
    cursor = await connection.execute(
        f"select {PROMOTION} from autonomy_promotions where organization_id = %s and id = %s",
        (organization_id, promotion_id),
    )
    row = await cursor.fetchone()
    return None if row is None else Promotion(**row)


async def rules_of(connection: Connection, organization_id: str) -> AutonomyRules:
    """Return what an organization asks for, or the defaults."""
    cursor = await connection.execute("select rules from autonomy_rules where organization_id = %s", (organization_id,))
    row = await cursor.fetchone()
    return AutonomyRules() if row is None else AutonomyRules.model_validate(row["rules"])
