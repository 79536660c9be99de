"""What a rewind would do: each effect of a run from a step on, the newest first, and whether it can be taken back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from bailiwick.effects.ledger import Effects
from bailiwick.effects.model import Verdict
from bailiwick.effects.record import COLUMNS, EffectRecord, effect_of
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.tool import Call
from bailiwick.kernel.errors import BailiwickError
from bailiwick.storage import Database
from bailiwick.tasks.acting import DONE_STATES

Prospect = Literal["undo", "reverted", "no_inverse", "too_late", "moved", "unknown"]
"""What there is to be said of an effect: it is taken back; it was already; nothing takes it
back; the time for it is over; its target was changed since; nobody can tell how it stands."""

_STANDING = tuple(sorted(DONE_STATES))
# Of a run from a step on, the newest first; reads changed nothing.
_OF_RUN = f"""
select {COLUMNS} from effects
where organization_id = %(org)s and task_id = %(task)s and seq >= %(step)s and effect_class <> 'read'
  and state not in ('declined', 'failed', 'proposed', 'waiting')
order by seq desc, id desc limit 1000"""
# What other runs did to a target since, unless it only took back what came after this effect.
_BUILT_UPON = """
select e.id, e.task_id, e.tool from effects e
where e.organization_id = %(org)s and e.target = %(target)s and e.id > %(id)s and e.task_id <> %(task)s
  and e.effect_class <> 'read' and e.state = any(%(standing)s)
  and not exists (select from effects o where o.id = e.reverts and (o.task_id = %(task)s or o.id > %(id)s))
order by e.id limit 1"""
_CHILDREN = """
select distinct e.task_id from effects e
where e.organization_id = %(org)s and e.state = any(%(standing)s) and e.effect_class <> 'read' and e.task_id in (
    select (s.result #>> '{}')::uuid from steps s
    where s.task_id = %(task)s and s.kind = 'spawn' and s.seq >= %(step)s and s.finished_at is not null)
order by e.task_id limit 100"""


@dataclass(frozen=True, slots=True)
class PlannedUndo:
    """One effect of a rewind: what it did, what is to be said of it, and what would take it back until when."""

    effect_id: str
    step: int
    tool: str
    target: str
    prospect: Prospect
    why: str = ""
    inverse: str | None = None
    limits: str = ""
    until: datetime | None = None

    @property
    def is_in_the_way(self) -> bool:
        """Tell whether it takes a word of a person's to go on."""
        return self.prospect not in ("undo", "reverted")


@dataclass(frozen=True, slots=True)
class RewindPlan:
    """What a rewind of a run to before a step would do, in its order.

    ``children`` are runs that this one spawned from that step on and that did
    something of their own; they are rewound by themselves.
    """

    task_id: str
    to_step: int
    undos: tuple[PlannedUndo, ...]
    children: tuple[str, ...] = ()

    @property
    def in_the_way(self) -> tuple[PlannedUndo, ...]:
        """What stands in the way."""
        return tuple(one for one in self.undos if one.is_in_the_way)

    @property
    def has_work(self) -> bool:
        """Tell whether anything is left to be taken back."""
        return any(one.prospect != "reverted" for one in self.undos)


class RewindPlanning:
    """Looks how the effects of runs stand. It asks tools, and changes nothing."""

    def __init__(self, database: Database, effects: Effects, tools: ToolRegistry) -> None:
        self._database = database
        self._effects = effects
        self._tools = tools

    async def plan(self, organization_id: str, task_id: str, to_step: int, *, even_moved: bool = False) -> RewindPlan:
        """Return what rewinding a run to before a step would do as things stand.

        With ``even_moved`` what was changed since is no reason to leave older effects on the same target.
        """
        params = {"org": organization_id, "task": task_id, "step": to_step, "standing": list(_STANDING)}
        rows = await self._database.fetch_all(_OF_RUN, params, organization_id=organization_id)
        children = await self._database.fetch_all(_CHILDREN, params, organization_id=organization_id)
        undos: list[PlannedUndo] = []
        for row in rows:
            effect = effect_of(row)
            newer = [one for one in undos if one.target == effect.target and one.prospect != "reverted"]
            undos.append(_after(await self.look(effect), newer, even_moved=even_moved))
        return RewindPlan(task_id, to_step, tuple(undos), tuple(row["task_id"] for row in children))

    async def look(self, effect: EffectRecord) -> PlannedUndo:
        """Return whether an effect can be taken back at this moment."""
        undo: dict[str, Any] = effect.undo or {}
        planned = PlannedUndo(
            effect.id, effect.seq, effect.tool, effect.target, "undo", inverse=undo.get("tool"),
            limits=undo.get("limits") or "", until=effect.undo_until,
        )  # fmt: skip
        if effect.state == "reverted":
            return replace(planned, prospect="reverted", why="it was taken back before")
        if effect.state not in DONE_STATES:
            why = f"it is {effect.state}: whether it took effect is not known; a person has to say so first"
            return replace(planned, prospect="unknown", why=why)
        if effect.undo is None:
            return replace(planned, prospect="no_inverse", why=f"nothing takes back what {effect.tool} did")
        if effect.undo_until is not None and effect.undo_until <= datetime.now(UTC):
            why = f"it could be taken back until {effect.undo_until:%Y-%m-%d %H:%M:%S} UTC"
            return replace(planned, prospect="too_late", why=why)
        return await self._moved(effect, planned)

    async def _moved(self, effect: EffectRecord, planned: PlannedUndo) -> PlannedUndo:
        later = await self._database.fetch_one(
            _BUILT_UPON,
            {
                "org": effect.organization_id, "target": effect.target, "id": effect.id, "task": effect.task_id,
                "standing": list(_STANDING),
            },
            organization_id=effect.organization_id,
        )  # fmt: skip
        if later is not None:
            why = f"{effect.target} was changed since by {later['tool']} of run {later['task_id']}"
            return replace(planned, prospect="moved", why=why)
        verdict = await self._stands(effect)
        if verdict.outcome == "refuted":
            return replace(planned, prospect="moved", why=f"{effect.target} is not as this effect left it")
        if verdict.outcome == "unverifiable":
            unseen = verdict.evidence.get("error", "it cannot be seen")
            why = f"cannot determine: how {effect.target} stands now missing ({unseen})"
            return replace(planned, prospect="unknown", why=why)
        return planned

    async def _stands(self, effect: EffectRecord) -> Verdict:
        try:
            tool = self._tools.get(effect.tool)
            arguments = self._tools.arguments(tool, effect.arguments)
            call: Call[Any] = Call(effect.organization_id, arguments, effect.id, effect.began_at or effect.proposed_at)
            async with asyncio.timeout(tool.timeout_seconds):
                return await tool.verify(call, effect.result)
        except BailiwickError as error:
            # What may pass is tried again by whoever asked; what may not is an answer.
            if error.retryable:
                raise
            return Verdict("unverifiable", {"error": str(error)})
        except Exception as error:  # noqa: BLE001 - whatever keeps a tool from looking, nobody can tell then
            return Verdict("unverifiable", {"error": str(error) or type(error).__name__})


def _after(planned: PlannedUndo, newer: Sequence[PlannedUndo], *, even_moved: bool) -> PlannedUndo:
    """Return what is to be said of an effect once the run's newer ones on the same target were dealt with."""
    stays = [one for one in newer if one.is_in_the_way and not (even_moved and one.prospect == "moved")]
    if planned.prospect in ("undo", "moved") and stays:
        return replace(planned, prospect="moved", why=f"step {stays[0].step} changed {planned.target} later, and stays")
    if planned.prospect == "moved" and newer and "was changed since by" not in planned.why:
        # What differs may be what the newer ones did; it is looked at again once they are taken back.
        return replace(planned, prospect="undo", why="looked at again once what came later is taken back")
    return planned
