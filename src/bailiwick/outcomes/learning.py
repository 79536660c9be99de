"""What autonomy learns from verdicts about effects."""

from bailiwick.authority.autonomy import Autonomy
from bailiwick.effects.model import Verdict
from bailiwick.effects.record import EffectRecord
from bailiwick.outcomes.lasting import is_late_enough
from bailiwick.storage.connections import Connection


class Learning:
    """Hands verdicts on to autonomy, as far as they say something of the agent."""

    def __init__(self, autonomy: Autonomy) -> None:
        self._autonomy = autonomy

    async def hear(self, effect: EffectRecord, verdict: Verdict, connection: Connection) -> None:
        """Let a verdict speak for or against the agent that proposed an effect.

        That a change stands is no proof that it was right, so what was seen
        early speaks only against the agent; for it speaks an expectation that
        was kept for as long as ``LASTS`` asks. Reads are left out: they
        change nothing, there are many, and everybody may do them from the start.
        """
        if effect.agent_id is None or effect.effect_class == "read" or verdict.outcome == "unverifiable":
            return
        after = (effect.expectation or {}).get("after_seconds", 0.0)
        if verdict.outcome == "verified" and not is_late_enough(effect.effect_class, after):
            return
        await self._autonomy.record_outcome(
            effect.organization_id, effect.agent_id, effect.effect_class, verdict.outcome,
            effect_id=effect.id, is_irreversible=effect.undo is None, connection=connection,
        )  # fmt: skip
