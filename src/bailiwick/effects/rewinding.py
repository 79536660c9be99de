"""Rewinding runs: what they did is taken back, the newest first, each by an effect of its own."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, Field

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.effects.ledger import Effects
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.rewind_plan import PlannedUndo, RewindPlan, RewindPlanning
from bailiwick.kernel.errors import ConflictError
from bailiwick.storage import Database
from bailiwick.tasks import NewTask, RetryPolicy, Run, TaskKind, TaskQueue
from bailiwick.tasks.acting import Acted, Effect
from bailiwick.tasks.errors import DiscardTask
from bailiwick.tasks.reader import TaskReader, TaskRecord

KIND = "run.rewind"
AGENT_KIND = "rewinder"

# Of an organization, the id of the agent that answers for rewinds.
AgentOf = Callable[[str], Awaitable[str]]


class RewindPayload(BaseModel):
    """What is taken back, and how far somebody said to go."""

    run: str = Field(description="The run whose effects are taken back.")
    to_step: int = Field(ge=0, description="The first step of its journal whose effects are taken back.")
    around: bool = Field(default=False, description="Leave standing what cannot be taken back, and go on around it.")
    even_moved: bool = Field(default=False, description="Take back also what was changed since.")
    reason: str = Field(default="", max_length=1000, description="Why; approvers see it.")


@dataclass(frozen=True, slots=True)
class Rewind:
    """A rewind that was asked for: its plan, and the task that carries it out; None where there is nothing to do."""

    plan: RewindPlan
    task_id: str | None


class Rewinding:
    """Plans rewinds, begins them as durable tasks, and carries them out.

    Inverses are proposed by an agent of their own, ``agent_of`` an organization,
    so that stopping the agent whose run went wrong does not stop this.
    """

    def __init__(
        self,
        database: Database,
        effects: Effects,
        tools: ToolRegistry,
        queue: TaskQueue,
        audit: AuditLog,
        *,
        agent_of: AgentOf,
    ) -> None:
        self._database = database
        self._effects = effects
        self._planning = RewindPlanning(database, effects, tools)
        self._tasks = TaskReader(database)
        self._queue = queue
        self._audit = audit
        self._agent_of = agent_of

    def kind(self) -> TaskKind:
        """Return the kind of task that carries out rewinds."""
        return TaskKind(
            KIND, self.handle, RewindPayload, RetryPolicy(max_attempts=10, first_delay_seconds=1), 3600,
            needs="effects:write", asked_by="bailiwick rewind RUN --to STEP, or POST /api/v1/runs/RUN/rewind",
        )  # fmt: skip

    async def plan(self, organization_id: str, wanted: RewindPayload) -> RewindPlan:
        """Return what a rewind would do as things stand; tools are asked, nothing is changed.

        Raises:
            NotFoundError: there is no such run.
            UnavailableError: the outside does not answer now; ask again.
        """
        run = await self._tasks.get(organization_id, wanted.run)
        return await self._planning.plan(organization_id, run.id, wanted.to_step, even_moved=wanted.even_moved)

    async def begin(self, organization_id: str, wanted: RewindPayload, *, actor: Actor) -> Rewind:
        """Begin to take back what a run did from a step on; audited. The ``actor`` is who asks for every inverse.

        The run's journal stays as it is. Where nothing is left to be taken back
        nothing is begun.

        Raises:
            NotFoundError: there is no such run.
            ConflictError: the run is not over, it is being rewound already, or something stands in the way
                and nobody said to go on.
        """
        run = await self._tasks.get(organization_id, wanted.run)
        if not run.state.is_final:
            raise ConflictError(_not_over(run))
        plan = await self.plan(organization_id, wanted)
        if not plan.has_work:
            return Rewind(plan, None)
        _refuse_what_is_in_the_way(plan, wanted)
        key = await self._key(organization_id, run.id)
        act = Act(
            organization_id, "run.rewind_requested", actor, f"task:{run.id}",
            after={**wanted.model_dump(), "effects": [one.effect_id for one in plan.undos]},
            reason=wanted.reason or None,
        )  # fmt: skip
        await self._audit.record(act)
        made = await self._queue.enqueue(
            organization_id,
            NewTask(
                KIND, wanted.model_copy(update={"run": run.id}), priority=1, key=key, cause_id=run.id,
                labels=actor.labels, agent_id=await self._agent_of(organization_id),
            ),
        )  # fmt: skip
        if not made.is_new:
            raise ConflictError(
                f"run {run.id} is being rewound by task {made.task_id}; wait until that has "
                f"ended: bailiwick tasks show {made.task_id}"
            )
        return Rewind(plan, made.task_id)

    async def handle(self, run: Run, wanted: RewindPayload) -> dict[str, Any]:
        """Take back one effect after another; stop where one cannot be, and say what was done and what stands."""
        planned: list[dict[str, Any]] = await run.step("plan", self._planned, run.task.organization_id, wanted)
        undone: list[dict[str, Any]] = []
        left: list[dict[str, Any]] = []
        for number, entry in enumerate(planned):
            found: dict[str, Any] = await run.step(
                f"look {entry['effect_id']}", self._looked, run.task.organization_id, entry, wanted
            )
            if found["prospect"] == "reverted":
                continue
            if not _may_go_on(found, wanted):
                if wanted.around:
                    left.append(_told(found))
                    continue
                return _result(wanted, undone, left, planned[number:], stopped=_told(found))
            inverse = found["inverse"]
            acted = await run.act(
                Effect(inverse["tool"], inverse["arguments"], inverse["reason"], reverts=found["effect_id"])
            )
            if not acted.is_done or acted.state == "refuted":
                stopped = {**_told(found), "why": _failure(acted), "by": acted.effect_id}
                return _result(wanted, undone, left, planned[number:], stopped=stopped)
            undone.append({**_told(found), "by": acted.effect_id, "is_verified": acted.state == "verified"})
        return _result(wanted, undone, left, [], stopped=None)

    async def _planned(self, organization_id: str, wanted: RewindPayload) -> list[dict[str, Any]]:
        await self._ensure_over(organization_id, wanted.run)
        plan = await self.plan(organization_id, wanted)
        return [asdict(one) for one in plan.undos if one.prospect != "reverted"]

    async def _looked(self, organization_id: str, entry: dict[str, Any], wanted: RewindPayload) -> dict[str, Any]:
        """Look again, right before it is taken back: inverses have done their part, and others may have theirs."""
        await self._ensure_over(organization_id, wanted.run)
        effect = await self._effects.get(organization_id, entry["effect_id"])
        looked = await self._planning.look(effect)
        found: dict[str, Any] = {**asdict(looked), "inverse": None}
        # What stays of a later step is in the plan; looking at this effect alone does not show it.
        if looked.prospect == "undo" and entry["prospect"] == "moved":
            found |= {"prospect": "moved", "why": entry["why"]}
        if effect.undo is not None:
            why = f"rewind of run {wanted.run} to step {wanted.to_step}: takes back {effect.tool} on {effect.target}"
            said = f"; {wanted.reason}" if wanted.reason else ""
            found["inverse"] = {**effect.undo, "reason": (why + said)[:2000]}
        return found

    async def _ensure_over(self, organization_id: str, run_id: str) -> None:
        """Look whether the run is over, at every step: since it was asked about it may have been redriven."""
        run = await self._tasks.get(organization_id, run_id)
        if not run.state.is_final:
            raise DiscardTask(f"{_not_over(run)}, then redrive this task")

    async def _key(self, organization_id: str, run_id: str) -> str:
        """Return the key of a run's next rewind: two that begin at once are one, a later one is another."""
        row = await self._database.fetch_one(
            "select count(*) as n from finished_tasks where organization_id = %s and cause_id = %s and kind = %s",
            (organization_id, run_id, KIND),
            organization_id=organization_id,
        )
        return f"rewind:{run_id}:{0 if row is None else row['n']}"


def _not_over(run: TaskRecord) -> str:
    return (
        f"run {run.id} is {run.state}: what it does next would mix with what is taken back; "
        f"cancel it first: bailiwick tasks cancel {run.id}"
    )


def _refuse_what_is_in_the_way(plan: RewindPlan, wanted: RewindPayload) -> None:
    if wanted.around:
        return
    found = [one for one in plan.in_the_way if not (wanted.even_moved and one.prospect == "moved")]
    if not found:
        return
    named = "; ".join(f"step {one.step}, {one.tool} on {one.target}: {one.why}" for one in found[:20])
    more = f"; and {len(found) - 20} more" if len(found) > 20 else ""
    moved = any(one.prospect == "moved" for one in found)
    raise ConflictError(
        f"{len(found)} of {len(plan.undos)} effects cannot be taken back ({named}{more}); say --around to leave them "
        "standing and take back the others" + (", or --even-moved to take back what was changed since" if moved else "")
    )


def _may_go_on(found: dict[str, Any], wanted: RewindPayload) -> bool:
    return found["prospect"] == "undo" or (found["prospect"] == "moved" and wanted.even_moved)


def _failure(acted: Acted) -> str:
    if acted.state == "refuted":
        return "the inverse was carried out, but what it did does not stand; look at both effects"
    return f"the inverse is {acted.state}: {acted.reason}"


def _told(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("effect_id", "step", "tool", "target", "prospect", "why")}


def _result(
    wanted: RewindPayload,
    undone: list[dict[str, Any]],
    left: list[dict[str, Any]],
    rest: list[dict[str, Any]],
    *,
    stopped: dict[str, Any] | None,
) -> dict[str, Any]:
    standing = left + [_told(entry) for entry in rest]
    return {
        "run": wanted.run, "to_step": wanted.to_step, "outcome": "rewound" if stopped is None else "stopped",
        "undone": undone, "stopped": stopped, "standing": standing, "next": next_step(wanted.run, wanted.to_step),
    }  # fmt: skip


def next_step(run_id: str, to_step: int) -> str:
    """Return what to do once a run is rewound, as a command."""
    return f"bailiwick tasks fork {run_id} --from-step {to_step}"


__all__ = ["AGENT_KIND", "KIND", "PlannedUndo", "Rewind", "RewindPayload", "Rewinding", "next_step"]
