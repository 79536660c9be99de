"""An effect as it is kept, and every state it was in."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from bailiwick.authority.model import EffectClass
from bailiwick.storage import Row
from bailiwick.tasks.acting import EffectState


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """One effect. ``seq`` is the durable call of its run that proposed it, ``round`` how often it was proposed by then.

    ``problem`` says why it was declined, failed or is unknown. ``policy`` names
    the versions by which it was decided. ``undo`` is the inverse as
    ``{tool, arguments, limits}``, possible until ``undo_until`` (None: without
    limit). ``evidence`` lists what was seen of it afterwards as
    ``{at, outcome, evidence}``. ``calls`` counts calls of the tool.
    """

    id: str
    organization_id: str
    task_id: str
    seq: int
    round: int
    agent_id: str | None
    agent_kind: str | None
    tool: str
    tool_version: str
    effect_class: EffectClass
    arguments: dict[str, Any]
    target: str
    observed: Any
    price: Decimal
    labels: list[str]
    policy: str
    digest: str
    state: EffectState
    decision_id: str | None
    approval_id: str | None
    reason: str
    problem: str | None
    result: Any
    evidence: list[dict[str, Any]]
    undo: dict[str, Any] | None
    undo_until: datetime | None
    reverts: str | None
    expectation: dict[str, Any] | None
    calls: int
    proposed_at: datetime
    began_at: datetime | None
    called_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class EffectMove:
    """A state that an effect came to, when, and what is to be said about it."""

    seq: int
    state: EffectState
    at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class EffectFilter:
    """Which effects are wanted; None asks for any."""

    state: str | None = None
    tool: str | None = None
    effect_class: str | None = None
    agent_id: str | None = None
    task_id: str | None = None
    target: str | None = None


COLUMNS = ", ".join(field.name for field in fields(EffectRecord))


def is_mere_reading(effect: EffectRecord) -> bool:
    """Tell whether it neither changes nor costs anything, so that nobody needs to know whether it was done."""
    return effect.effect_class == "read" and not effect.price


def effect_of(row: Row) -> EffectRecord:
    """Return the effect of a row with ``COLUMNS``."""
    return EffectRecord(**row)
