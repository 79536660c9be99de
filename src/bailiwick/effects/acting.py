"""``run.act``: an effect from its proposal to what became of it, durable at every boundary."""

from typing import Any

from bailiwick.authority import Authority
from bailiwick.authority.budgets import Budgets
from bailiwick.effects.applying import STALE, Applying, outcome_of
from bailiwick.effects.approving import Asking
from bailiwick.effects.facts import SETTLED
from bailiwick.effects.ledger import Effects
from bailiwick.effects.proposing import Proposing, Wanted
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.slots import answer_labels
from bailiwick.storage import Database
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Acted, Effect

MAX_ROUNDS = 3
"""How often an effect is proposed anew because something moved, before it is given up."""

ANSWERED = "approval.answered"


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
        approvals: Asking,
        budgets: Budgets,
    ) -> None:
        self._effects = effects
        self._proposing = Proposing(
            database, tools, effects.moves, authority=authority, approvals=approvals, budgets=budgets
        )
        self._applying = Applying(effects, tools, budgets)

    async def act(self, run: Run, effect: Effect) -> Acted:
        """Propose, have decided, carry out and record one effect.

        Where the target, the policy, the price or the tool moves in between, it
        is declined as stale and proposed anew, at most ``MAX_ROUNDS`` times in all.
        """
        arguments = effect.arguments
        outcome: dict[str, Any] = {}
        for number in range(1, MAX_ROUNDS + 1):
            # The call after this one proposes; its place in the journal names the effect for ever.
            wanted = Wanted(effect, arguments, _place(run), number)
            outcome = await run.step(f"propose {effect.tool}", self._proposing.propose, run, wanted)
            if outcome["state"] == "awaiting":
                outcome = await self._answered(run, effect, outcome)
            if outcome["state"] in ("proposed", "approved"):
                effect_id = outcome["effect_id"]
                outcome = await run.step(f"apply {effect.tool}", self._applying.apply, run, effect_id, arguments)
            if outcome["state"] != STALE:
                break
        if outcome["state"] == STALE:
            outcome |= {"state": "declined", "reason": f"{outcome['reason']}; given up after {MAX_ROUNDS} proposals"}
        if outcome["state"] == "unknown":
            outcome = await self._settled(run, effect, outcome)
        run.label(*answer_labels(effect.tool, outcome["state"], outcome.get("result")))
        return Acted(outcome["effect_id"], outcome["state"], outcome["reason"], outcome.get("result"))

    async def _answered(self, run: Run, effect: Effect, proposed: dict[str, Any]) -> dict[str, Any]:
        """Wait for people, however long it takes."""
        answer = await run.wait_for(ANSWERED, key=proposed["approval_id"], timeout_seconds=proposed["expires_seconds"])
        state = "expired" if answer is None else answer["payload"]["state"]
        if state == "approved":
            return proposed | {"state": "approved"}
        return await run.step(f"decline {effect.tool}", self._declined, run, proposed["effect_id"], state)

    async def _declined(self, run: Run, effect_id: str, state: str) -> dict[str, Any]:
        effect = await self._effects.get(run.task.organization_id, effect_id)
        await self._effects.moves.decline(effect, f"the approval is {state}", fence=run.task.fence)
        return outcome_of(await self._effects.get(run.task.organization_id, effect_id))

    async def _settled(self, run: Run, effect: Effect, unknown: dict[str, Any]) -> dict[str, Any]:
        """Wait until a person says what became of an effect of which nobody can tell."""
        await run.wait_for(SETTLED, key=unknown["effect_id"])
        return await run.step(f"settled {effect.tool}", self._outcome, run, unknown["effect_id"])

    async def _outcome(self, run: Run, effect_id: str) -> dict[str, Any]:
        return outcome_of(await self._effects.get(run.task.organization_id, effect_id))


def _place(run: Run) -> int:
    """Return the number of the run's next durable call, which is what a step's key has in its middle."""
    return int(run.step_key("").split(":")[1])
