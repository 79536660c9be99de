"""Which tasks follow from which events."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from bailiwick.events import NewEvent
from bailiwick.kernel.ids import new_id
from bailiwick.storage.rows import RowFields
from bailiwick.tasks.model import NewTask
from bailiwick.tasks.registry import KindRegistry
from bailiwick.tasks.rows import new_task_row

# Builds the task that follows from an event, or None where none does. It sees
# the event's checked payload and must neither wait nor touch the outside.
Build = Callable[[Any], NewTask | None]


@dataclass(frozen=True, slots=True)
class Subscription:
    """From an event type to a task kind."""

    event_type: str
    task_kind: str
    build: Build


class Subscriptions:
    """All subscriptions; the event log asks here what follows from an event."""

    def __init__(self, kinds: KindRegistry) -> None:
        self._kinds = kinds
        self._by_type: dict[str, list[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """Add a subscription; several may answer one event."""
        self._by_type.setdefault(subscription.event_type, []).append(subscription)

    def all(self) -> list[Subscription]:
        """Return every subscription, by event type."""
        return [entry for name in sorted(self._by_type) for entry in self._by_type[name]]

    def follow(self, organization_id: str, event_id: str, event: NewEvent, payload: BaseModel) -> list[RowFields]:
        """Return the rows of the tasks that follow from one event."""
        rows: list[RowFields] = []
        for subscription in self._by_type.get(event.type, ()):
            task = subscription.build(payload)
            if task is not None:
                task = self._kinds.labelled(replace(task, labels=task.labels | event.labels) if event.labels else task)
                row = new_task_row(new_id(), organization_id, task, self._kinds.encode_payload(task.kind, task.payload))
                rows.append(row | {"cause": event_id, "event": event_id})
        return rows
