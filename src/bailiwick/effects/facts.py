"""The facts about effects, as events."""

from pydantic import BaseModel

from bailiwick.authority.model import EffectClass
from bailiwick.events import EventType

SETTLED = "effect.settled"


class EffectMoved(BaseModel):
    """An effect came to a state."""

    effect_id: str
    task_id: str
    agent_id: str | None = None
    tool: str
    effect_class: EffectClass
    target: str
    state: str
    reason: str = ""


EVENT_TYPES = tuple(
    EventType(f"effect.{what}", 1, EffectMoved, key=lambda payload: payload.effect_id, is_internal=True)
    for what in (
        "proposed", "declined", "applied", "failed", "unknown", "settled", "verified", "refuted", "unverifiable",
        "reverted",
    )
)  # fmt: skip
