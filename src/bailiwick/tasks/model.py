"""What a task is: its states, its kind, what a caller asks for and what comes back."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from random import random
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from bailiwick.kernel.concerns import Concern
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.labels import NO_LABELS

if TYPE_CHECKING:
    from bailiwick.tasks.run import Run

Handler = Callable[["Run", Any], Awaitable[object]]
Value = TypeVar("Value")


class TaskState(StrEnum):
    """The eight states of a task; ``docs/architecture.md`` draws the machine."""

    SCHEDULED = "scheduled"
    AVAILABLE = "available"
    EXECUTING = "executing"
    WAITING = "waiting"
    RETRYABLE = "retryable"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more will happen unless a person redrives it."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({TaskState.COMPLETED, TaskState.CANCELLED, TaskState.DISCARDED})
LIVE_STATES = frozenset(TaskState) - FINAL_STATES


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a failed attempt is made again.

    The n-th failure waits ``first_delay_seconds * factor**(n-1)``, at most
    ``max_delay_seconds``, spread by ±``jitter`` of itself.
    """

    max_attempts: int = 5
    first_delay_seconds: float = 1.0
    factor: float = 4.0
    max_delay_seconds: float = 3600.0
    jitter: float = 0.2

    def delay_seconds(self, failures: int) -> float | None:
        """Return how long to wait after that many failures, or None to give up."""
        if failures >= self.max_attempts:
            return None
        plain = min(self.first_delay_seconds * self.factor ** (failures - 1), self.max_delay_seconds)
        return plain * (1 + self.jitter * (2 * random() - 1))  # noqa: S311 - spreads load, hides nothing


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of task: its name, what its payload must look like, and who handles it.

    ``timeout_seconds`` bounds one stretch of execution, from a claim to the
    next wait or the end. With a ``concern`` the worker asks for the person's
    consent before the handler begins and before each step, and discards the
    task when there is none. ``needs`` is what whoever asks for one over the API
    must have beside the right to add tasks: a permission, or ``installation``
    for a kind that works on all organizations. What is not ``is_metered`` is the
    platform's own upkeep: it counts neither as use nor against the quota of
    tasks, and goes on where storage is full. ``outside`` names where the text in
    its payload comes from if not from a member: its tasks are labelled untrusted
    whoever submits them. ``asked_by`` names the command and the route that ask for
    one, where they check and record more than adding a task does; it is not added
    or scheduled by hand then.
    """

    name: str
    handler: Handler
    payload: type[BaseModel]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_seconds: float = 300.0
    concern: Concern | None = None
    needs: str | None = None
    is_metered: bool = True
    outside: str | None = None
    asked_by: str | None = None

    def check_by_hand(self) -> None:
        """Refuse what has a door of its own, whoever adds it by another.

        Raises:
            InvalidInputError: names the door.
        """
        if self.asked_by is not None:
            raise InvalidInputError(f"a task {self.name} is not added by hand; ask for it with: {self.asked_by}")


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a caller asks for. ``key`` makes the request idempotent in its organization.

    With ``parent_fence`` it is added only while the parent is executed under that fence.
    ``labels`` say where the payload comes from and who asked; the run begins with them.
    """

    kind: str
    payload: BaseModel | Mapping[str, Any] = field(default_factory=dict[str, Any])
    priority: int = 2
    deadline_at: datetime | None = None
    delay_seconds: float | None = None
    run_at: datetime | None = None
    agent_id: str | None = None
    parent_id: str | None = None
    parent_fence: int | None = None
    cause_id: str | None = None
    key: str | None = None
    choice: Mapping[str, Any] | None = None
    labels: frozenset[str] = NO_LABELS


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The durable answer to a NewTask: its id, and whether this call made it."""

    task_id: str
    is_new: bool


class Task(NamedTuple):
    """A task as a handler sees it. ``attempt`` counts from 1.

    A named tuple, because one is made for every claim and a frozen dataclass of
    this width takes five times as long.
    """

    id: str
    organization_id: str
    kind: str
    payload: dict[str, Any]
    priority: int
    deadline_at: datetime | None
    agent_id: str | None
    parent_id: str | None
    cause_id: str | None
    fence: int
    failures: int
    recoveries: int
    lane: str
    inserted_at: datetime
    is_resumed: bool
    labels: frozenset[str] = NO_LABELS

    @property
    def attempt(self) -> int:
        """Which try this is; waits do not count, failures and lost workers do."""
        return self.failures + self.recoveries + 1


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """How an awaited task ended; ``labels`` say where its result comes from."""

    task_id: str
    state: TaskState
    result: Any
    reason: str | None
    labels: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Labelled(Generic[Value]):
    """What a step returns to say where its result comes from: ``value`` is journaled, the run carries the labels."""

    value: Value
    labels: Collection[str]
