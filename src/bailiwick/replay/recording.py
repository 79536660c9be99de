"""A run as it was recorded: what it was given, every step with its result, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bailiwick.agents import AgentRecord
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.tasks import Task
from bailiwick.tasks.journal import JournalEntry

_UNFENCED = 0


@dataclass(frozen=True, slots=True)
class RecordedChild:
    """A task that the run made: its kind and what it was given."""

    kind: str
    payload: Any


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event that the run published. ``is_own`` is False for one that was there under the same key already."""

    type: str
    key: str | None
    payload: Any
    is_own: bool = True


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One task with its complete journal.

    ``state`` is that of the task. A run that did not complete ends where its
    journal ends: what it would have done next was never recorded. ``effects``
    are the documents of the effects it proposed, oldest first, as archives hold them.
    """

    task: Task
    state: str
    result: Any
    steps: Sequence[JournalEntry]
    reason: str | None = None
    error: Mapping[str, Any] | None = None
    agent: AgentRecord | None = None
    children: Mapping[str, RecordedChild] = field(default_factory=dict[str, RecordedChild])
    events: Mapping[str, RecordedEvent] = field(default_factory=dict[str, RecordedEvent])
    outcomes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    effects: Sequence[Mapping[str, Any]] = ()

    @property
    def is_complete(self) -> bool:
        """Tell whether the handler came to its end, so that the journal holds everything it did."""
        return self.state == "completed"

    @property
    def journal(self) -> dict[int, JournalEntry]:
        """The steps by their number."""
        return {step.seq: step for step in self.steps}


def recorded_task(document: Mapping[str, Any]) -> Task:
    """Return the task of a recording as its handler sees it.

    Raises:
        InvalidInputError: the document is not that of a task.
    """
    try:
        return Task(
            id=document["id"],
            organization_id=document["organization_id"],
            kind=document["kind"],
            payload=document["payload"],
            priority=document["priority"],
            deadline_at=_moment(document["deadline_at"]),
            agent_id=document["agent_id"],
            parent_id=document["parent_id"],
            cause_id=document["cause_id"],
            fence=_UNFENCED,
            failures=document["failures"],
            recoveries=document["recoveries"],
            lane="",
            inserted_at=datetime.fromisoformat(document["inserted_at"]),
            is_resumed=True,
            labels=frozenset(document.get("labels") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"the recorded task is not whole: {type(error).__name__} at {error}") from error


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def recording_of(parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> RecordedRun:
    """Return the run that an archive's parts, or a run as it was collected, hold.

    Raises:
        InvalidInputError: something that a replay needs is not in them.
    """
    try:
        task = parts["task"][0]
        errors = task.get("errors") or [None]
        return RecordedRun(
            task=recorded_task(task),
            state=task["state"],
            result=task["result"],
            steps=[_step(step) for step in parts.get("journal", ())],
            reason=task.get("reason"),
            error=errors[-1] if task["state"] == "discarded" else None,
            agent=next((_agent(agent) for agent in parts.get("agent", ())), None),
            children={one["id"]: RecordedChild(one["kind"], one["payload"]) for one in parts.get("children", ())},
            events={
                one["id"]: RecordedEvent(one["type"], one["key"], one["payload"], one["cause_id"] == task["id"])
                for one in parts.get("events", ())
            },
            outcomes={
                one["id"]: {"claim": one["claim"], "arguments": one["arguments"]} for one in parts.get("outcomes", ())
            },
            effects=parts.get("effects", ()),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InvalidInputError(f"the recording is not whole: {type(error).__name__} at {error}") from error


def _step(document: Mapping[str, Any]) -> JournalEntry:
    return JournalEntry(
        document["seq"], document["kind"], document["name"], document["result"],
        is_open="finished_at" in document and document["finished_at"] is None,
        labels=frozenset(document.get("labels") or ()),
    )  # fmt: skip


def _agent(document: Mapping[str, Any]) -> AgentRecord:
    return AgentRecord(
        id=document["id"],
        organization_id=document["organization_id"],
        kind=document["kind"],
        name=document["name"],
        configuration=document["configuration"],
        capabilities=tuple(document["capabilities"]),
        price=float(document["price"]),
        capacity=document["capacity"],
        is_enabled=document["is_enabled"],
        created_at=datetime.fromisoformat(document["created_at"]),
    )
