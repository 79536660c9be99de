"""The events of autonomy."""

from typing import Literal

from pydantic import BaseModel

from bailiwick.authority.model import EffectClass
from bailiwick.events import EventType


class LevelMoved(BaseModel):
    """An agent may go further or less far in a class of effects than before."""

    agent_id: str
    effect_class: EffectClass
    from_level: int
    to_level: int
    set_by: Literal["person", "promotion", "demotion", "reset"]
    reason: str


class PromotionProposed(BaseModel):
    """An agent has earned to go further, if a person agrees."""

    promotion_id: str
    agent_id: str
    effect_class: EffectClass
    from_level: int
    to_level: int
    successes: int
    failures: int
    lower_bound: float


CHANGED = "autonomy.changed"
DEMOTED = "autonomy.demoted"
RESET = "autonomy.reset"
PROPOSED = "autonomy.promotion_proposed"

EVENT_TYPES = (
    *(
        EventType(name, 1, LevelMoved, key=lambda moved: f"agent:{moved.agent_id}", is_internal=True)
        for name in (CHANGED, DEMOTED, RESET)
    ),
    EventType(PROPOSED, 1, PromotionProposed, key=lambda proposed: f"agent:{proposed.agent_id}", is_internal=True),
)
