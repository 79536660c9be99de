"""Moves levels: by evidence, by versions, by people. Each in the transaction that has the ground for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.authority.autonomy import facts, ledger
from bailiwick.authority.autonomy.ledger import Evidence, Known, Ledger, Move, Place, Version
from bailiwick.authority.autonomy.model import Counts
from bailiwick.authority.autonomy.posterior import Posterior
from bailiwick.authority.autonomy.rules import AutonomyRules, Regression, demoted_level, next_level
from bailiwick.authority.autonomy.versions import AgentVersions, differences, fingerprint
from bailiwick.authority.model import EFFECT_CLASSES, EffectClass
from bailiwick.events import EventLog, NewEvent
from bailiwick.storage.connections import Connection

_EVENTS: Mapping[str, str] = {
    "person": facts.CHANGED, "promotion": facts.CHANGED, "demotion": facts.DEMOTED, "reset": facts.RESET,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Situation:
    """Where an agent stands as evidence comes in."""

    version: int
    level: int
    rules: AutonomyRules


class Mover:
    """Writes changes of levels together with their event and their audit entry."""

    def __init__(self, versions: AgentVersions, audit: AuditLog, events: EventLog) -> None:
        self._versions = versions
        self._audit = audit
        self._events = events

    async def note_version(
        self, connection: Connection, organization_id: str, agent_id: str, at: datetime
    ) -> int | None:
        """Return the number of an agent's present version, None where there is no such agent.

        A new one resets every level above that of the start. An agent whose code
        is not in this process keeps the version it had.
        """
        seen = await ledger.known(connection, organization_id, agent_id)
        if seen is None or self._is_noted(seen):
            return None if seen is None else seen.number
        await ledger.lock_version(connection, agent_id)
        # Another may have noted it while we waited.
        seen = await ledger.known(connection, organization_id, agent_id)
        if seen is None or self._is_noted(seen):
            return None if seen is None else seen.number
        document = self._versions.document(seen.kind, seen.configuration)
        version = Version(seen.number + 1, fingerprint(document), document)
        await ledger.note_version(connection, organization_id, agent_id, version)
        if seen.number:
            reason = f"a new version of the agent: {differences(seen.document or {}, document)}"
            for effect_class in sorted(EFFECT_CLASSES):
                place = Place(organization_id, agent_id, cast("EffectClass", effect_class))
                await self._reset(Ledger(connection, place, at), version.number, reason)
        return version.number

    async def learn(self, rows: Ledger, evidence: Evidence, current: int) -> int | None:
        """Keep a piece of evidence and move the level as it demands; return the new level, None if it stays.

        What speaks of an earlier version is kept with that and moves nothing;
        what speaks of an effect that nobody knows is not kept.
        """
        version = await rows.version_of(evidence.about)
        if version is None:
            return None
        level = await rows.level()
        before, _ = await rows.counts(version)
        is_new = await rows.add(evidence, version)
        if not is_new or version != current:
            return None
        situation = _Situation(version, level, await rows.rules())
        if evidence.is_success:
            return await self._promote(rows, situation)
        return await self._demote(rows, situation, evidence, before)

    async def move(self, rows: Ledger, moved: Move, actor: Actor = SYSTEM) -> None:
        """Write a level with its event and audit entry; a promotion that was open loses its ground."""
        place, event = rows.place, _EVENTS[moved.set_by]
        await rows.answer("withdrawn", SYSTEM.id, f"the level was changed: {moved.reason}")
        await rows.move(moved)
        payload = facts.LevelMoved(
            agent_id=place.agent_id, effect_class=place.effect_class, from_level=moved.from_level,
            to_level=moved.to_level, set_by=moved.set_by, reason=moved.reason,
        )  # fmt: skip
        await self._events.append(rows.connection, place.organization_id, [NewEvent(event, payload)])
        before = {"effect_class": place.effect_class, "level": moved.from_level}
        after = {
            "effect_class": place.effect_class, "level": moved.to_level,
            "set_by": moved.set_by, "version": moved.version,
        }  # fmt: skip
        act = Act(place.organization_id, event, actor, f"agent:{place.agent_id}", before, after, moved.reason)
        await self._audit.record(act, connection=rows.connection)

    async def _demote(self, rows: Ledger, situation: _Situation, evidence: Evidence, before: Counts) -> int | None:
        rules, level = situation.rules, situation.level
        after, _ = await rows.counts(situation.version)
        refuted = 0
        if evidence.source == "refuted":
            refuted = await rows.refuted_within(situation.version, timedelta(days=rules.refuted_days))
        regression = Regression(before, after, refuted)
        lower, reason = demoted_level(level, rows.place.effect_class, regression, rules)
        if reason is None:
            # What was earned a moment ago may be no longer; a person must not be asked to confirm it.
            if next_level(level, after, rules) is None:
                await rows.answer("withdrawn", SYSTEM.id, "the bound is no longer met")
            return None
        await self.move(rows, Move(situation.version, level, lower, "demotion", reason, SYSTEM.id))
        return lower

    async def _promote(self, rows: Ledger, situation: _Situation) -> int | None:
        rules, level = situation.rules, situation.level
        found, is_irreversible = await rows.counts(situation.version)
        higher = next_level(level, found, rules)
        if higher is None or not await _may_ask_again(rows, situation, higher, found):
            return None
        lower_bound = Posterior(found.successes, found.failures).lower(rules.confidence)
        shown: dict[str, Any] = {
            "successes": found.successes, "failures": found.failures, "verified": found.verified,
            "trials": found.trials, "confidence": rules.confidence, "lower_bound": round(lower_bound, 6),
            "irreversible": is_irreversible,
        }  # fmt: skip
        promotion = await rows.propose(situation.version, level, shown)
        if promotion is None:
            return None
        if not rules.is_automatic or is_irreversible or rows.place.effect_class == "destructive":
            await self._tell_proposed(rows, promotion, level, shown)
            return None
        reason = f"{found.successes} of {found.trials} acts right, lower bound {lower_bound:.3f}"
        await rows.answer("automatic", SYSTEM.id, reason)
        await self.move(rows, Move(situation.version, level, higher, "promotion", reason, SYSTEM.id))
        return higher

    async def _tell_proposed(self, rows: Ledger, promotion: str, level: int, shown: Mapping[str, Any]) -> None:
        place = rows.place
        payload = facts.PromotionProposed(
            promotion_id=promotion, agent_id=place.agent_id, effect_class=place.effect_class, from_level=level,
            to_level=level + 1, successes=shown["successes"], failures=shown["failures"],
            lower_bound=shown["lower_bound"],
        )  # fmt: skip
        await self._events.append(rows.connection, place.organization_id, [NewEvent(facts.PROPOSED, payload)])
        after = {**shown, "agent": place.agent_id, "effect_class": place.effect_class, "level": level + 1}
        act = Act(place.organization_id, facts.PROPOSED, SYSTEM, f"promotion:{promotion}", {"level": level}, after)
        await self._audit.record(act, connection=rows.connection)

    def _is_noted(self, seen: Known) -> bool:
        if seen.number and not self._versions.knows(seen.kind):
            return True
        return fingerprint(self._versions.document(seen.kind, seen.configuration)) == seen.fingerprint

    async def _reset(self, rows: Ledger, version: int, reason: str) -> None:
        level = await rows.level()
        begins = min(level, rows.place.start)
        if begins < level:
            await self.move(rows, Move(version, level, begins, "reset", reason, SYSTEM.id))
        else:
            await rows.answer("withdrawn", SYSTEM.id, reason)


async def _may_ask_again(rows: Ledger, situation: _Situation, to_level: int, found: Counts) -> bool:
    """Tell whether as much evidence has come since people last refused as the level asks for altogether."""
    refused = await rows.trials_at_refusal(situation.version, to_level)
    bar = situation.rules.bar(to_level)
    return refused is None or bar is None or found.trials >= refused + bar.minimum_trials
