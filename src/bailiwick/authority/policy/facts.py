"""The facts that policies publish."""

from pydantic import BaseModel, ConfigDict

from bailiwick.events import EventType

POLICY_CHANGED = "policy.changed"


class PolicyFact(BaseModel):
    """Another version of an organization's policy is in force."""

    model_config = ConfigDict(frozen=True)

    version: int
    digest: str
    rules: int


EVENT_TYPES: tuple[EventType, ...] = (EventType(POLICY_CHANGED, 1, PolicyFact, is_internal=True),)
