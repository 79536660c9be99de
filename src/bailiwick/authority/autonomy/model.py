"""What autonomy is made of: levels, evidence, and what an organization asks for before an agent goes further."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bailiwick.authority.model import EffectClass

UNKNOWN, OBSERVE, PROPOSE, NOTICE, ACT, DESTRUCTIVE = range(6)
"""Levels. 0 is that of an agent nobody knows: it may nothing. Nothing but a person's word leads to 5."""

START: Mapping[EffectClass, int] = {
    "read": ACT, "write": PROPOSE, "external": PROPOSE, "spend": PROPOSE, "destructive": PROPOSE,
}  # fmt: skip
"""Where every agent begins: it may look, and propose everything else."""

LEVEL_NAMES: Mapping[int, str] = {
    OBSERVE: "observe", PROPOSE: "propose", NOTICE: "act with notice", ACT: "act", DESTRUCTIVE: "act, also destructive",
}  # fmt: skip

Source = Literal["approved", "rejected", "edited", "verified", "refuted", "agreed", "differed"]
"""Where evidence comes from: a person's answer, a later look, or what people did while the agent only watched."""

SUCCESSES: frozenset[Source] = frozenset({"approved", "verified", "agreed"})
"""An edit speaks against the agent: unasked it would have done what the person did not want."""

SetBy = Literal["person", "promotion", "demotion", "reset"]
PromotionState = Literal["proposed", "confirmed", "refused", "withdrawn", "automatic"]


@dataclass(frozen=True, slots=True)
class Counts:
    """The trials of one version of an agent in one class: an act is one, however much is known of it."""

    successes: int = 0
    failures: int = 0
    # Of these, acts that a later look verified or refuted.
    verified: int = 0

    @property
    def trials(self) -> int:
        """How many acts there is evidence of."""
        return self.successes + self.failures


@dataclass(frozen=True, slots=True)
class LevelRecord:
    """The level of an agent in a class, and how it came to it; ``set_by`` is None where it is that of the start."""

    agent_id: str
    effect_class: EffectClass
    level: int
    set_by: SetBy | None
    reason: str | None
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A proposal to let an agent go one level further, and what became of it."""

    id: str
    organization_id: str
    agent_id: str
    effect_class: EffectClass
    version: int
    from_level: int
    to_level: int
    state: PromotionState
    evidence: dict[str, Any]
    proposed_at: datetime
    answered_at: datetime | None
    answered_by: str | None
    reason: str | None
