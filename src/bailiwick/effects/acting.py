"""``run.act``: an effect from its proposal to what became of it, durable at every boundary."""

from collections.abc import Callable
from typing import Any

from bailiwick.authority import Authority
from bailiwick.authority.approvals import Approvals
from bailiwick.authority.approvals.facts import ANSWERED
from bailiwick.authority.budgets import Budgets
from bailiwick.effects.applying import STALE, Applying, outcome_of
from bailiwick.effects.facts import SETTLED
from bailiwick.effects.ledger import Effects
from bailiwick.effects.proposing import Proposing, Wanted
from bailiwick.effects.record import EffectRecord
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.slots import answer_labels
from bailiwick.storage import Database
from bailiwick.tasks import LeaseLostError, Run
from bailiwick.tasks.acting import Acted, Effect, Expectation

MAX_ROUNDS = 3
"""How often an effect is proposed, because something moved or a person edited it, before it is given up."""

EDITED = "edited"
"""No state of an effect: it was declined because a person put other arguments in the place of its own."""

_GRACE_SECONDS = 5.0

_WHY = {
    "rejected": "people said no",
    "expired": "nobody answered in time, and silence means no",
    "stale": f"{STALE}: what people were asked about has moved",
    EDITED: "a person put other arguments in the place of these",
}


class EffectActing:
    """Carries out effects for runs as far as there is authority.

    Made of steps and waits of the run alone: what a crash interrupts is taken up
    where the effect stands in the database.
    """

    def __init__(
        self,
        database: Database,
        tools: ToolRegistry,
        effects: Effects,
        *,
        authority: Authority,
        approvals: Approvals,
        budgets: Budgets,
        validate: Callable[[Expectation], None] | None = None,
    ) -> None:
        self._effects = effects
        self._approvals = approvals
        self._proposing = Proposing(
            database, tools, effects.moves, authority=authority, approvals=approvals, budgets=budgets,
            validate=validate,
        )  # fmt: skip
        self._applying = Applying(effects, tools, budgets)

    async def act(self, run: Run, effect: Effect) -> Acted:
        """Propose, have decided, carry out and record one effect.

        Where the target, the policy, the price or the tool moves in between, it
        is declined as stale and proposed anew, and so it is with what a person
        edited; ``MAX_ROUNDS`` times in all.
        """
        arguments = effect.arguments
        outcome: dict[str, Any] = {}
        for number in range(1, MAX_ROUNDS + 1):
            wanted = Wanted(effect, arguments, _place(run), number)
            made: list[EffectRecord] = []
            outcome = await run.step(f"propose {effect.tool}", self._proposing.propose, run, wanted, made.append)
            if outcome["state"] == "waiting":
                outcome = await self._answered(run, effect, outcome)
            if outcome["state"] == EDITED:
                arguments = outcome["arguments"]
                continue
            if outcome["state"] in ("proposed", "approved", "executing"):
                fresh = made[0] if made else None
                outcome = await run.step(
                    f"apply {effect.tool}", self._applying.apply, run, outcome["effect_id"], arguments, fresh
                )
            if outcome["state"] != STALE:
                break
        if outcome["state"] in (STALE, EDITED):
            outcome |= {"state": "declined", "reason": f"{outcome['reason']}; given up after {MAX_ROUNDS} proposals"}
        if outcome["state"] == "unknown":
            outcome = await self._settled(run, effect, outcome)
        run.label(*answer_labels(effect.tool, outcome["state"], outcome.get("result"), outcome["reason"]))
        return Acted(outcome["effect_id"], outcome["state"], outcome["reason"], outcome.get("result"))

    async def _answered(self, run: Run, effect: Effect, proposed: dict[str, Any]) -> dict[str, Any]:
        """Wait for people, however long it takes; return the proposal as approved, or what else came of it."""
        approval_id, seconds = proposed["approval_id"], proposed["expires_seconds"]
        while True:
            answer = await run.wait_for(ANSWERED, key=approval_id, timeout_seconds=seconds)
            if answer is None:
                state = await run.step(f"expire {effect.tool}", self._expire, run, approval_id)
            else:
                state = answer["payload"]["state"]
            if state != "waiting":
                break
            # The clock by which approvals expire is a little behind.
            seconds = _GRACE_SECONDS
        if state == "approved":
            return proposed | {"state": state}
        declined = await run.step(f"decline {effect.tool}", self._decline, run, proposed["effect_id"], _WHY[state])
        if state == EDITED and answer is not None:
            return declined | {"state": EDITED, "arguments": answer["payload"]["arguments"]}
        return declined

    async def _expire(self, run: Run, approval_id: str) -> str:
        return await self._approvals.expire(run.task.organization_id, approval_id) or "expired"

    async def _decline(self, run: Run, effect_id: str, problem: str) -> dict[str, Any]:
        effect = await self._effects.get(run.task.organization_id, effect_id)
        if effect.state in ("proposed", "waiting") and not await self._effects.moves.decline(
            effect, problem, fence=run.task.fence
        ):
            raise LeaseLostError(
                f"task {run.task.id} was taken from this worker before effect {effect_id} was declined"
            )
        return outcome_of(await self._effects.get(run.task.organization_id, effect_id))

    async def _settled(self, run: Run, effect: Effect, unknown: dict[str, Any]) -> dict[str, Any]:
        """Wait until a person says what became of an effect of which nobody can tell."""
        await run.wait_for(SETTLED, key=unknown["effect_id"])
        return await run.step(f"settled {effect.tool}", self._applying.outcome, run, unknown["effect_id"])


def _place(run: Run) -> int:
    """Return the number of the run's next durable call, which is what a step's key has in its middle.

    That call proposes; with the task it names the effect for ever.
    """
    return int(run.step_key("").split(":")[1])
