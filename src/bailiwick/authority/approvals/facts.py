"""The facts that approvals publish; only the platform tells them."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.authority.approvals.model import ApprovalRecord, ApprovalState
from bailiwick.events import EventType, NewEvent
from bailiwick.kernel.labels import NO_LABELS

REQUESTED = "approval.requested"
ANSWERED = "approval.answered"
ESCALATED = "approval.escalated"
REMINDED = "approval.reminded"
EXPIRED = "approval.expired"


class ApprovalMoved(BaseModel):
    """Where an approval stands. ``arguments`` are those that a person put in the place of what was asked."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    effect_id: str
    task_id: str
    state: ApprovalState
    digest: str
    is_by_silence: bool = False
    arguments: dict[str, Any] | None = None
    edited_by: str | None = None


def _key(fact: ApprovalMoved) -> str:
    return fact.approval_id


EVENT_TYPES: tuple[EventType, ...] = tuple(
    EventType(name, 1, ApprovalMoved, key=_key, is_internal=True)
    for name in (REQUESTED, ANSWERED, ESCALATED, REMINDED, EXPIRED)
)


def moved(
    name: str,
    approval: ApprovalRecord,
    state: ApprovalState,
    *,
    is_by_silence: bool = False,
    arguments: dict[str, Any] | None = None,
    edited_by: str | None = None,
    labels: frozenset[str] = NO_LABELS,
) -> NewEvent:
    """Return the event that tells where an approval stands; ``labels`` join those of the run that waits for it."""
    fact = ApprovalMoved(
        approval_id=approval.id, effect_id=approval.effect_id, task_id=approval.task_id, state=state,
        digest=approval.digest, is_by_silence=is_by_silence, arguments=arguments, edited_by=edited_by,
    )  # fmt: skip
    return NewEvent(name, fact, cause_id=approval.task_id, labels=labels)
