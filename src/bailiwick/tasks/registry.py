"""The task kinds this process knows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from bailiwick.kernel.documents import encode_checked
from bailiwick.kernel.errors import UnknownKindError
from bailiwick.kernel.labels import checked, declared, untrusted
from bailiwick.tasks.model import NewTask, TaskKind
from bailiwick.telemetry.redacting import redacted_json


class KindRegistry:
    """Task kinds by name. Filled once at start; read by queue and workers."""

    def __init__(self) -> None:
        self._kinds: dict[str, TaskKind] = {}

    def register(self, kind: TaskKind) -> None:
        """Add a kind; a second one of the same name is a programming error."""
        if kind.name in self._kinds:
            raise ValueError(f"task kind {kind.name!r} is registered twice")
        if kind.outside is not None:
            untrusted(kind.outside)
        self._kinds[kind.name] = kind

    def get(self, name: str) -> TaskKind:
        """Return the kind of that name, or raise UnknownKindError naming the known ones."""
        try:
            return self._kinds[name]
        except KeyError:
            raise UnknownKindError(
                f"unknown task kind {name!r}; known: {', '.join(sorted(self._kinds)) or 'none'}"
            ) from None

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._kinds)

    def metered(self) -> dict[str, bool]:
        """Return of every name whether its tasks count against the quota."""
        return {name: kind.is_metered for name, kind in self._kinds.items()}

    def labelled(self, task: NewTask) -> NewTask:
        """Return a task with the labels that its kind declares, and all that it had.

        Raises:
            UnknownKindError, InvalidInputError: no such kind, or something among its labels is none.
        """
        labels = declared(task.labels, self.get(task.kind).outside)
        if labels:
            checked(labels)
        return task if labels is task.labels else replace(task, labels=labels)

    def encode_payload(self, kind: str, payload: BaseModel | Mapping[str, Any]) -> bytes:
        """Return a payload as JSON after checking it against the kind's schema, without the secrets in it.

        Raises:
            UnknownKindError, InvalidPayloadError, PayloadTooLargeError: it is refused.
        """
        schema = self.get(kind).payload
        return redacted_json(encode_checked(schema, payload, what=f"payload of task {kind}")[1])
