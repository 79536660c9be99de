"""How far agents may go by themselves: asked by every decision, moved by evidence and by people."""

from typing import Literal

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.authority.autonomy import ledger
from bailiwick.authority.autonomy.ledger import Evidence, Ledger, Move, Place
from bailiwick.authority.autonomy.model import ACT, LEVEL_NAMES, START, UNKNOWN, Promotion
from bailiwick.authority.autonomy.moving import Mover
from bailiwick.authority.autonomy.rules import AutonomyRules, next_level
from bailiwick.authority.autonomy.versions import AgentVersions
from bailiwick.authority.model import EFFECT_CLASSES, EffectClass
from bailiwick.events import EventLog
from bailiwick.identity.people.persons import check_person
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection

Answer = Literal["approved", "rejected", "edited"]
Looked = Literal["verified", "refuted"]
Compared = Literal["agreed", "differed"]

_WHAT = "how far agents may go is for people to say"


class Autonomy:
    """The levels of agents. Whatever moves one is audited and told in the same transaction."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        events: EventLog,
        versions: AgentVersions | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._audit = audit
        self._events = events
        self._clock = clock or SystemClock()
        self._mover = Mover(versions or AgentVersions(), audit, events)

    async def level(
        self, organization_id: str, agent_id: str | None, effect_class: EffectClass, *, connection: Connection
    ) -> int:
        """Return an agent's level in a class of effects, 1 to 5; 0 where there is no such agent: it may nothing.

        Notices here that the agent has another version than before, and resets
        what the earlier one had earned; so no effect is ever decided by another
        version's merits.
        """
        if agent_id is None:
            return UNKNOWN
        while True:
            number = await self._noted(connection, organization_id, agent_id)
            if number is None:
                return UNKNOWN
            version, level = await ledger.standing(connection, agent_id, effect_class)
            if version == number:
                return START[effect_class] if level is None else level

    async def record_decision(
        self,
        organization_id: str,
        agent_id: str,
        effect_class: EffectClass,
        answer: Answer,
        *,
        effect_id: str,
        is_irreversible: bool = False,
        connection: Connection,
    ) -> None:
        """Learn from what a person said to a proposal, in the transaction in which it is said.

        When the effect was proposed tells which version of the agent it speaks of.
        """
        place = Place(organization_id, agent_id, effect_class)
        await self._learn(connection, Evidence(place, answer, effect_id, is_irreversible))

    async def record_outcome(
        self,
        organization_id: str,
        agent_id: str,
        effect_class: EffectClass,
        looked: Looked,
        *,
        effect_id: str,
        is_irreversible: bool = False,
        connection: Connection,
    ) -> None:
        """Learn from what a later look found; what could not be told teaches nothing and does not come here."""
        place = Place(organization_id, agent_id, effect_class)
        await self._learn(connection, Evidence(place, looked, effect_id, is_irreversible))

    async def record_comparison(
        self,
        organization_id: str,
        agent_id: str,
        effect_class: EffectClass,
        compared: Compared,
        *,
        effect_id: str,
        is_irreversible: bool = False,
        connection: Connection,
    ) -> None:
        """Learn from what people did while the agent only watched."""
        place = Place(organization_id, agent_id, effect_class)
        await self._learn(connection, Evidence(place, compared, effect_id, is_irreversible))

    async def set_level(
        self, organization_id: str, agent_id: str, effect_class: str, level: int, *, actor: Actor, reason: str
    ) -> None:
        """Set a level by a person's word, the only way to 5.

        Raises:
            ForbiddenError: the actor is no person, or for 5 nobody in person.
            InvalidInputError: no such class or level, or no reason.
            NotFoundError: no such agent.
        """
        if effect_class not in EFFECT_CLASSES:
            raise InvalidInputError(f"no class {effect_class!r}; there are: {', '.join(sorted(EFFECT_CLASSES))}")
        if level not in LEVEL_NAMES:
            raise InvalidInputError(f"level {level} does not exist; use 1 (observe) to 5 (act, also destructive)")
        reason = _reason(reason)
        check_person(actor, "level 5 is set by people" if level > ACT else _WHAT, in_person=level > ACT)
        place = Place(organization_id, agent_id, effect_class)  # pyright: ignore[reportArgumentType] - checked above
        async with self._database.transaction(organization_id) as connection:
            version = await self._noted(connection, organization_id, agent_id)
            if version is None:
                raise NotFoundError(
                    f"no agent {agent_id!r} in this organization; list them with: bailiwick agents list"
                )
            rows = self._rows(connection, place)
            moved = Move(version, await rows.level(), level, "person", reason, _named(actor))
            await self._mover.move(rows, moved, actor)

    async def confirm(
        self, organization_id: str, promotion_id: str, *, actor: Actor, reason: str | None = None
    ) -> Promotion:
        """Let an agent go one level further, as was proposed; a person's word.

        Raises:
            NotFoundError: no such proposal.
            ConflictError: it is answered already, or what was earned is so no longer; it is withdrawn then.
            ForbiddenError: the actor is no person.
        """
        check_person(actor, _WHAT)
        reason = None if reason is None else _reason(reason)
        noticed = await self._notice(organization_id, promotion_id)
        async with self._database.transaction(organization_id) as connection:
            rows = self._rows(connection, Place(organization_id, noticed.agent_id, noticed.effect_class))
            found = await self._open_promotion(rows, noticed.id)
            obstacle = await self._obstacle(rows, found)
            if obstacle is None:
                said = reason or f"{found.evidence['successes']} of {found.evidence['trials']} acts right"
                await rows.answer("confirmed", _named(actor), said)
                moved = Move(found.version, found.from_level, found.to_level, "promotion", said, _named(actor))
                await self._mover.move(rows, moved, actor)
            else:
                await rows.answer("withdrawn", SYSTEM.id, obstacle)
        if obstacle is not None:
            raise ConflictError(f"the promotion was withdrawn: {obstacle}")
        return await self.promotion(organization_id, promotion_id)

    async def refuse(self, organization_id: str, promotion_id: str, *, actor: Actor, reason: str) -> Promotion:
        """Keep an agent where it is; it is proposed again only after as much evidence again.

        Raises:
            NotFoundError, ConflictError, ForbiddenError: as of ``confirm``.
        """
        check_person(actor, _WHAT)
        reason = _reason(reason)
        noticed = await self._notice(organization_id, promotion_id)
        async with self._database.transaction(organization_id) as connection:
            rows = self._rows(connection, Place(organization_id, noticed.agent_id, noticed.effect_class))
            found = await self._open_promotion(rows, noticed.id)
            await rows.answer("refused", _named(actor), reason)
            act = Act(
                organization_id, "autonomy.promotion_refused", actor, f"promotion:{found.id}",
                after={"agent": found.agent_id, "effect_class": found.effect_class, "level": found.from_level},
                reason=reason,
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        return await self.promotion(organization_id, promotion_id)

    async def promotion(self, organization_id: str, promotion_id: str) -> Promotion:
        """Return a proposal to go further, or raise NotFoundError."""
        identifier = parse_id(promotion_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {ledger.PROMOTION} from autonomy_promotions where organization_id = %s and id = %s",
            (organization_id, identifier),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(
                f"no promotion {promotion_id} in this organization; list them with: bailiwick autonomy promotions"
            )
        return Promotion(**row)

    async def rules(self, organization_id: str) -> AutonomyRules:
        """Return what an organization asks for before an agent goes further."""
        async with self._database.transaction(organization_id) as connection:
            return await ledger.rules_of(connection, organization_id)

    async def put_rules(self, organization_id: str, rules: AutonomyRules, *, actor: Actor) -> AutonomyRules:
        """Set what an organization asks for; what was earned under the old rules stays until the next evidence.

        Raises:
            ForbiddenError: the actor is no person.
        """
        check_person(actor, _WHAT)
        async with self._database.transaction(organization_id) as connection:
            before = await ledger.rules_of(connection, organization_id)
            await connection.execute(
                "insert into autonomy_rules (organization_id, rules, set_at) values (%s, %s::jsonb, %s) "
                "on conflict (organization_id) do update set rules = excluded.rules, set_at = excluded.set_at",
                (organization_id, encode(rules).decode(), self._clock.now()),
            )
            act = Act(
                organization_id, "autonomy.rules_set", actor, f"organization:{organization_id}",
                before.model_dump(), rules.model_dump(),
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        return rules

    async def _noted(self, connection: Connection, organization_id: str, agent_id: str) -> int | None:
        """Return the number of an agent's present version, None where there is no such agent."""
        return await self._mover.note_version(connection, organization_id, agent_id, self._clock.now())

    async def _learn(self, connection: Connection, evidence: Evidence) -> None:
        seen = await ledger.known(connection, evidence.place.organization_id, evidence.place.agent_id)
        if seen is not None:
            await self._mover.learn(self._rows(connection, evidence.place), evidence, seen.number)

    async def _notice(self, organization_id: str, promotion_id: str) -> Promotion:
        """Return a promotion once it is noticed whether the agent has another version, which withdraws it."""
        found = await self.promotion(organization_id, promotion_id)
        async with self._database.transaction(organization_id) as connection:
            await self._noted(connection, organization_id, found.agent_id)
        return found

    async def _open_promotion(self, rows: Ledger, promotion_id: str) -> Promotion:
        await rows.level()
        # As it is now that nobody else can answer.
        found = await ledger.promotion(rows.connection, rows.place.organization_id, promotion_id)
        if found is None or found.state != "proposed":
            state = "gone" if found is None else found.state
            why = "" if found is None or found.reason is None else f": {found.reason}"
            raise ConflictError(f"this promotion is {state} already{why}")
        return found

    async def _obstacle(self, rows: Ledger, found: Promotion) -> str | None:
        level = await rows.level()
        if level != found.from_level:
            return f"its level is {level} by now"
        counted, _ = await rows.counts(found.version)
        is_earned = next_level(level, counted, await rows.rules()) == found.to_level
        return None if is_earned else "the bound is no longer met"

    def _rows(self, connection: Connection, place: Place) -> Ledger:
        return Ledger(connection, place, self._clock.now())


def _named(actor: Actor) -> str:
    return f"{actor.kind}:{actor.id}"


def _reason(reason: str) -> str:
    if not 1 <= len(reason.strip()) <= 2000:
        raise InvalidInputError("say why in 1 to 2,000 characters")
    return reason.strip()
