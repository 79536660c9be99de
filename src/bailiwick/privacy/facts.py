"""The facts that privacy publishes. None holds what a person is known by, only the subject's id."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bailiwick.events import EventType
from bailiwick.privacy.purposes import ConsentState, Purpose

CONSENT_CHANGED = "consent.changed"
CONSENT_WITHDRAWN = "consent.withdrawn"
SUBJECT_ERASED = "subject.erased"


class ConsentFact(BaseModel):
    """A consent went into another state."""

    model_config = ConfigDict(frozen=True)

    subject_id: str
    purpose: Purpose
    state: ConsentState


class ErasureFact(BaseModel):
    """Everything about a person was erased, and a certificate says so."""

    model_config = ConfigDict(frozen=True)

    subject_id: str
    request_id: str
    kind: Literal["erasure"] = "erasure"


EVENT_TYPES: tuple[EventType, ...] = (
    EventType(CONSENT_CHANGED, 1, ConsentFact, key=lambda fact: fact.subject_id, is_internal=True),
    EventType(CONSENT_WITHDRAWN, 1, ConsentFact, key=lambda fact: fact.subject_id, is_internal=True),
    EventType(SUBJECT_ERASED, 1, ErasureFact, key=lambda fact: fact.subject_id, is_internal=True),
)
