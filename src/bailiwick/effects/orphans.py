"""Effects whose run is over: cancelled, given up, or ended without them. What can be found out of them is."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from bailiwick.effects.moves import Ending, Moves
from bailiwick.effects.record import COLUMNS, EffectRecord, effect_of, is_mere_reading
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.seeing import find_earlier, seconds_under_way, verdict_of
from bailiwick.effects.tool import Call, Tool
from bailiwick.kernel.errors import BailiwickError
from bailiwick.storage import Database
from bailiwick.tasks import RetryPolicy, Run, TaskKind
from bailiwick.tasks.schedules import NewSchedule

KIND = "effect.sweep"
SCHEDULE = NewSchedule(KIND, KIND, interval_seconds=300, jitter_seconds=60, priority=3)

_AT_ONCE = 100

_ORPHANS = f"""
select {COLUMNS} from effects
where organization_id = %s
  and (state in ('proposed', 'waiting', 'executing') or state = 'applied' and evidence = '[]')
  and not exists (select from tasks t where t.id = effects.task_id)
order by id limit {_AT_ONCE}"""


class SweepPayload(BaseModel):
    """Nothing to be said: it works on the organization of its task."""


class Orphans:
    """Ends effects that no run will take up again. No tool is called but to look."""

    def __init__(self, database: Database, tools: ToolRegistry, moves: Moves) -> None:
        self._database = database
        self._tools = tools
        self._moves = moves

    def kind(self) -> TaskKind:
        """Return the kind of task that does it."""

        async def sweep(run: Run, payload: SweepPayload) -> object:
            del payload
            # A move is made once, so a crash in the middle may repeat the step.
            return await run.step("sweep", self.sweep, run.task.organization_id)

        return TaskKind(KIND, sweep, SweepPayload, RetryPolicy(max_attempts=3), 900, needs="effects:write",
                        is_metered=False)  # fmt: skip

    async def sweep(self, organization_id: str) -> dict[str, int]:
        """End the orphans of an organization; return how many came to which state."""
        rows = await self._database.fetch_all(_ORPHANS, (organization_id,), organization_id=organization_id)
        counts: dict[str, int] = {}
        for effect in map(effect_of, rows):
            state = await self._end(effect)
            if state is not None:
                counts[state] = counts.get(state, 0) + 1
        return counts

    async def _end(self, effect: EffectRecord) -> str | None:
        if effect.state in ("proposed", "waiting"):
            return await self._decline(effect)
        if effect.state == "executing":
            return await self._find_out(effect)
        tool = self._tool(effect)
        if tool is None:
            return None
        verdict = await verdict_of(tool, self._call(effect, tool), effect.result)
        seen = await self._moves.see(effect, verdict, is_final=effect.expectation is None)
        return verdict.outcome if seen else None

    async def _decline(self, effect: EffectRecord) -> str | None:
        problem = "its run ended before it was carried out"
        return "declined" if await self._moves.decline(effect, problem, fence=None) else None

    async def _find_out(self, effect: EffectRecord) -> str | None:
        tool = self._tool(effect)
        ending = Ending(
            "unknown", problem="its run ended while it was carried out, and nobody can tell what came of it"
        )
        if is_mere_reading(effect):
            ending = Ending("failed", problem="its run ended while it read, which changed nothing")
        elif tool is not None and tool.recovery == "findable":
            if seconds_under_way(tool, effect.called_at) > 0:
                return None
            try:
                found = await find_earlier(tool, self._call(effect, tool), effect.called_at)
            except BailiwickError as error:
                if error.retryable:
                    return None
                ending = Ending("unknown", problem=f"its run ended while it was carried out, and: {error}")
            else:
                problem = "its run ended while it was carried out, and it took no effect"
                ending = Ending("failed", problem=problem) if found is None else Ending("applied", found)
        return ending.state if await self._moves.end(effect, ending, fence=None) else None

    def _tool(self, effect: EffectRecord) -> Tool[Any] | None:
        """Return the effect's tool; None where its extension is gone."""
        return self._tools.get(effect.tool) if self._tools.knows(effect.tool) else None

    def _call(self, effect: EffectRecord, tool: Tool[Any]) -> Call[Any]:
        arguments = self._tools.arguments(tool, effect.arguments)
        return Call(effect.organization_id, arguments, effect.id, effect.began_at or datetime.now(UTC))
