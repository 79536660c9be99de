"""What autonomy learns from verdicts about effects."""

from collections.abc import Mapping
from datetime import timedelta

from bailiwick.authority.autonomy import Autonomy
from bailiwick.authority.model import EffectClass
from bailiwick.effects.model import Verdict
from bailiwick.effects.record import EffectRecord
from bailiwick.storage.connections import Connection

TEACHES_AFTER: Mapping[EffectClass, timedelta] = {
    "write": timedelta(days=1), "external": timedelta(days=1), "spend": timedelta(days=7),
    "destructive": timedelta(days=7),
}  # fmt: skip
"""How long what was done must have lasted before a look speaks for the agent. Our choice, argued in
docs/explanation/proof.md: people must have had a working day to object, and a week where money or data is gone.
Classes that are not here teach nothing."""


class Learning:
    """Hands verdicts on to autonomy, as far as they say something of the agent."""

    def __init__(self, autonomy: Autonomy) -> None:
        self._autonomy = autonomy

    async def hear(self, effect: EffectRecord, verdict: Verdict, connection: Connection) -> None:
        """Let a verdict speak for or against the agent that proposed an effect.

        That a change stands is no proof that it was right, so what was seen
        early speaks only against the agent; for it speaks an expectation that
        was kept for as long as ``TEACHES_AFTER`` asks. Reads are left out: they
        change nothing, there are many, and everybody may do them from the start.
        """
        if effect.agent_id is None or effect.effect_class == "read" or verdict.outcome == "unverifiable":
            return
        if verdict.outcome == "verified" and not is_late_enough(effect):
            return
        await self._autonomy.record_outcome(
            effect.organization_id, effect.agent_id, effect.effect_class, verdict.outcome,
            effect_id=effect.id, is_irreversible=effect.undo is None, connection=connection,
        )  # fmt: skip


def is_late_enough(effect: EffectRecord) -> bool:
    """Tell whether the look that was promised comes after people had time to object.

    The promised time counts, not that of the look: what happened after it is
    no evidence, however late the look.
    """
    least = TEACHES_AFTER.get(effect.effect_class)
    after = None if effect.expectation is None else effect.expectation.get("after_seconds")
    return least is not None and isinstance(after, (int, float)) and after >= least.total_seconds()
