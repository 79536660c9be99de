"""What an event is: a fact, past tense, typed and versioned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from bailiwick.kernel.concerns import Concern
from bailiwick.kernel.labels import NO_LABELS


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event: ``issue.opened``, the version of its schema, and what it is about.

    ``key`` derives the correlation key from the payload; waits and histories
    find events by it. With a ``concern`` an event is recorded only while the
    person it is about consents. One that ``is_internal`` only the platform makes:
    nobody publishes it over the API. ``outside`` names where the text in it comes
    from if not from a member: it is labelled untrusted whoever publishes it.
    """

    name: str
    version: int
    payload: type[BaseModel]
    key: Callable[[Any], str] | None = None
    concern: Concern | None = None
    is_internal: bool = False
    outside: str | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact to record. The same ``dedupe_key`` twice is one event.

    ``held`` is a task and a fence: the event is recorded only while the task is
    executed under that fence. ``labels`` say where it comes from and who told it;
    the tasks that follow from it carry them.
    """

    type: str
    payload: BaseModel | Mapping[str, Any]
    key: str | None = None
    dedupe_key: str | None = None
    occurred_at: datetime | None = None
    cause_id: str | None = None
    held: tuple[str, int] | None = None
    labels: frozenset[str] = NO_LABELS


@dataclass(frozen=True, slots=True)
class Published:
    """The durable answer: the event's id, or that of the one it duplicates."""

    event_id: str
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class Event:
    """A recorded event."""

    id: str
    organization_id: str
    type: str
    version: int
    key: str | None
    payload: dict[str, Any]
    cause_id: str | None
    occurred_at: datetime
    recorded_at: datetime
    labels: list[str] = field(default_factory=list[str])
