"""The step that changes something outside: once, only as it was decided, and never blindly again."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import BaseModel

from bailiwick.authority.budgets import Budgets
from bailiwick.effects.digest import digest_of
from bailiwick.effects.ledger import Effects
from bailiwick.effects.model import Undo, Verdict
from bailiwick.effects.moves import Ending, budget_key, kept, problem_of
from bailiwick.effects.record import EffectRecord, is_mere_reading
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.seeing import Seen, find_earlier, look, plain, verdict_of
from bailiwick.effects.tool import Call, Recovery, Tool
from bailiwick.kernel.errors import BailiwickError, ConflictError
from bailiwick.tasks import LeaseLostError, Run

log = structlog.get_logger(__name__)

STALE = "stale"
"""No state of an effect: it was declined because something moved, and may be proposed anew."""

# What the database function ``effect_begin`` says beside "begun", "lost", "moved" and "refused".
_NOT_BEGUN: Mapping[str, str] = {
    "stale": f"{STALE}: the policy has changed since",
    "outgrown": f"{STALE}: the agent was disabled or lost its level since",
    "forestalled": "another effect has taken back the same, or is about to; look at the inverses there are",
}


class Applying:
    """Carries out what may be carried out, records what came of it, and finds out what came of it after a crash."""

    def __init__(self, effects: Effects, tools: ToolRegistry, budgets: Budgets) -> None:
        self._effects = effects
        self._moves = effects.moves
        self._tools = tools
        self._budgets = budgets

    async def apply(
        self, run: Run, effect_id: str, arguments: BaseModel | Mapping[str, Any], fresh: EffectRecord | None = None
    ) -> dict[str, Any]:
        """Carry out an effect and return ``{effect_id, state, reason, result}``; safe to call again after any crash.

        ``fresh`` is the effect where this very execution has just proposed it; the
        database checks all the same that it may begin.

        Raises:
            LeaseLostError: the task was taken from this worker.
            ConflictError: the effect is another task's.
            Exception: the tool failed so that it may be tried again; nothing was applied, or that will be found out.
        """
        effect = fresh or await self._effects.get(run.task.organization_id, effect_id)
        if effect.task_id != run.task.id:
            raise ConflictError(
                f"effect {effect.id} is that of task {effect.task_id}; fork from before the step that proposes it"
            )
        if effect.state in ("proposed", "waiting", "executing"):
            effect = await self._carry_out(run, effect, arguments, is_fresh=fresh is not None)
        if effect.state == "applied" and not effect.evidence:
            effect = await self._verify(effect, arguments)
        return outcome_of(effect)

    async def outcome(self, run: Run, effect_id: str) -> dict[str, Any]:
        """Return what became of an effect by now, as ``apply`` does."""
        return outcome_of(await self._effects.get(run.task.organization_id, effect_id))

    async def _carry_out(
        self, run: Run, effect: EffectRecord, given: BaseModel | Mapping[str, Any], *, is_fresh: bool
    ) -> EffectRecord:
        tool = self._tools.get(effect.tool)
        arguments = self._tools.arguments(tool, given)
        call: Call[Any] = Call(effect.organization_id, arguments, effect.id, effect.began_at or datetime.now(UTC))
        goes_on = False
        if effect.state == "executing" and is_fresh and effect.arguments == plain(arguments):
            # It was begun as it was proposed, and nobody has called the tool yet.
            return await self._call(run, effect, tool, call)
        if effect.state == "executing":
            recovery = recovery_of(effect, tool)
            if recovery == "none":
                problem = "the worker was lost while it was carried out, and nobody can tell whether it took effect"
                return await self._end(run, effect, Ending("unknown", problem=problem))
            if recovery == "findable":
                found = await find_earlier(tool, call, effect.called_at)
                if found is not None:
                    return await self._applied(run, effect, tool, call, found)
            goes_on = recovery == "idempotent"
        given_up = await self._begin(run, effect, tool, arguments, goes_on=goes_on)
        return given_up or await self._call(run, effect, tool, call)

    async def _begin(
        self, run: Run, effect: EffectRecord, tool: Tool[Any], arguments: BaseModel, *, goes_on: bool
    ) -> EffectRecord | None:
        """Begin, if everything is as it was decided, and return None; else give it up, say why, and return that."""
        if not goes_on:
            seen = await look(
                tool, arguments, effect.organization_id, key=effect.id, since=effect.began_at or datetime.now(UTC)
            )
            moved = _moved(effect, seen)
            if moved is not None:
                return await self._give_up(run, effect, f"{STALE}: {moved}")
            refusal = await self._reserve(effect)
            if refusal is not None:
                return await self._give_up(run, effect, refusal)
        if effect.arguments == plain(arguments):
            answer = await self._moves.begin(effect, run.task.fence, _digest(effect), goes_on=goes_on)
        else:
            answer = "refused"
        if answer == "lost":
            raise LeaseLostError(f"task {run.task.id} was taken from this worker before effect {effect.id} began")
        if answer in _NOT_BEGUN:
            return await self._give_up(run, effect, _NOT_BEGUN[answer])
        if answer == "refused":
            problem = "what is stored is not what was decided about; nothing was done"
            return await self._give_up(run, effect, problem, is_breach=True)
        # Another hand may have ended it: it is what it is.
        return None if answer == "begun" else await self._effects.get(effect.organization_id, effect.id)

    async def _give_up(self, run: Run, effect: EffectRecord, problem: str, *, is_breach: bool = False) -> EffectRecord:
        if effect.state == "executing":
            problem = f"{problem}; it was interrupted before it took effect"
            return await self._end(run, effect, Ending("failed", problem=problem))
        if not await self._moves.decline(effect, problem, fence=run.task.fence, is_breach=is_breach):
            raise LeaseLostError(
                f"task {run.task.id} was taken from this worker before effect {effect.id} was given up"
            )
        return replace(effect, state="declined", problem=problem)

    async def _call(self, run: Run, effect: EffectRecord, tool: Tool[Any], call: Call[Any]) -> EffectRecord:
        try:
            async with asyncio.timeout(tool.timeout_seconds):
                result = await tool.apply(call)
        except Exception as error:
            if isinstance(error, BailiwickError) and not error.retryable:
                return await self._end(run, effect, Ending("failed", problem=str(error)))
            if recovery_of(effect, tool) != "none":
                # The task's retry policy goes on; the next attempt finds it executing and out what came of it.
                raise
            log.warning("outcome of an effect unknown", effect_id=effect.id, tool=tool.name, error=repr(error))
            problem = (
                f"the call broke off ({error or type(error).__name__}), and nobody can tell whether it took effect"
            )
            return await self._end(run, effect, Ending("unknown", problem=problem))
        return await self._applied(run, effect, tool, call, result)

    async def _applied(
        self, run: Run, effect: EffectRecord, tool: Tool[Any], call: Call[Any], result: Any
    ) -> EffectRecord:
        undo = _undo(effect, tool, call, result)
        within = None if undo is None or undo.within is None else undo.within.total_seconds()
        verdict = None
        if effect.effect_class == "read":
            # It changed nothing that a crash could hide: looked at before it is recorded, with one commit less.
            verdict = await verdict_of(tool, call, result)
        ending = Ending("applied", _keepable(result), undo=_document(undo), undo_seconds=within, verdict=verdict)
        return await self._end(run, effect, ending)

    async def _end(self, run: Run, effect: EffectRecord, ending: Ending) -> EffectRecord:
        if not await self._moves.end(effect, ending, fence=run.task.fence):
            raise LeaseLostError(
                f"task {run.task.id} was taken from this worker before it was recorded what came of effect {effect.id}"
            )
        ended = replace(effect, state=ending.state, result=plain(ending.result), problem=problem_of(ending.problem))
        return ended if ending.verdict is None else _seen(ended, ending.verdict)

    async def _verify(self, effect: EffectRecord, given: BaseModel | Mapping[str, Any]) -> EffectRecord:
        """Let the tool look at what it did; without an expectation of later, that is the verdict."""
        tool = self._tools.get(effect.tool)
        call: Call[Any] = Call(
            effect.organization_id, self._tools.arguments(tool, given), effect.id, effect.began_at or datetime.now(UTC)
        )
        verdict = await verdict_of(tool, call, effect.result)
        if await self._moves.see(effect, verdict, is_final=effect.expectation is None):
            return _seen(effect, verdict)
        return await self._effects.get(effect.organization_id, effect.id)

    async def _reserve(self, effect: EffectRecord) -> str | None:
        """Reserve what people said yes to, and say what stands in the way; what was allowed at once is reserved."""
        if not effect.price or effect.approval_id is None:
            return None
        answer = await self._budgets.reserve(
            effect.organization_id, agent_id=effect.agent_id, task_id=effect.task_id, unit="money",
            amount=effect.price, key=budget_key(effect.id), is_approved=True,
        )  # fmt: skip
        return None if answer.state == "ok" else answer.reason


def recovery_of(effect: EffectRecord, tool: Tool[Any]) -> Recovery:
    """Return what is done about a call that a crash interrupted: mere reading is repeated, whatever the tool says."""
    return "idempotent" if is_mere_reading(effect) else tool.recovery


def outcome_of(effect: EffectRecord) -> dict[str, Any]:
    """Return what a run is told of an effect, as it is journaled."""
    reason = effect.problem or effect.reason
    is_stale = effect.state in ("declined", "failed") and reason.startswith(f"{STALE}: ")
    return {
        "effect_id": effect.id,
        "state": STALE if is_stale else effect.state,
        "reason": reason,
        "result": effect.result,
    }


def _seen(effect: EffectRecord, verdict: Verdict) -> EffectRecord:
    """Return an effect as it is once a tool has looked at it: of what is expected later it is no verdict yet."""
    return effect if effect.expectation is not None else replace(effect, state=verdict.outcome)


def _moved(effect: EffectRecord, seen: Seen) -> str | None:
    """Say what is no longer as it was decided, or None."""
    if seen.problem is not None:
        return seen.problem
    if seen.tool.version != effect.tool_version:
        return f"{effect.tool} is now version {seen.tool.version}, not {effect.tool_version}"
    if seen.target != effect.target:
        return f"the target is now {seen.target}, not {effect.target}"
    if seen.price != effect.price:
        return f"it now costs {seen.price}, not {effect.price}"
    if seen.observed != effect.observed:
        return f"{effect.target} has moved since"
    return None


def _digest(effect: EffectRecord) -> str:
    """Return the digest of what is stored, to be held against the one that was decided about."""
    return digest_of(
        effect.tool, effect.tool_version, effect.arguments, target=effect.target, observed=effect.observed,
        policy_version=effect.policy, price=effect.price,
    )  # fmt: skip


def _undo(effect: EffectRecord, tool: Tool[Any], call: Call[Any], result: Any) -> Undo | None:
    try:
        return tool.undo(call, effect.observed, result)
    except Exception:
        # What was done is done and must be recorded.
        log.exception("no inverse of an effect", effect_id=effect.id, tool=tool.name)
        return None


def _document(undo: Undo | None) -> dict[str, Any] | None:
    return None if undo is None else {"tool": undo.tool, "arguments": plain(undo.arguments), "limits": undo.limits}


def _keepable(result: Any) -> Any:
    """Return a result as far as it can be kept: that it was done must be recorded whatever the tool answered."""
    try:
        kept(result)
    except BailiwickError as error:
        log.warning("result of an effect not kept", error=str(error))
        return {"not_kept": str(error)}
    return result
