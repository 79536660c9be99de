"""Recorded journals, and handlers replayed against them without a database."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from bailiwick.events import NewEvent
from bailiwick.tasks import NewTask, Run, Task, TaskOutcome
from bailiwick.tasks.journal import Journal, JournalEntry
from bailiwick.tasks.model import Handler
from tests.support.engine import AnyPayload, Row

FOLDER = Path(__file__).parent / "journals"


class NewWorkError(AssertionError):
    """The handler did something that its complete journal does not hold."""


class _NoServices:
    async def enqueue(self, organization_id: str, task: NewTask) -> str:
        raise NewWorkError(f"spawns {task.kind} in {organization_id}")

    async def publish(self, organization_id: str, event: NewEvent) -> str:
        raise NewWorkError(f"publishes {event.type} in {organization_id}")

    async def outcomes(self, organization_id: str, task_ids: Sequence[str]) -> list[TaskOutcome]:
        raise NewWorkError(f"looks at {len(task_ids)} tasks in {organization_id}")


class _NoJournal:
    async def record(self, row: Row) -> bool:
        raise NewWorkError(f"journals {row['k']} {row['n']!r} as step {row['s']}")

    async def release(self, row: Row) -> bool | None:
        raise NewWorkError(f"waits at {row.get('sk')} {row.get('sn')!r} as step {row.get('ss')}")


@dataclass(frozen=True)
class RecordedJournal:
    """A finished task as it was recorded: what it got, what it did, what it returned."""

    kind: str
    task_id: str
    payload: dict[str, Any]
    steps: list[dict[str, Any]]
    result: Any

    @classmethod
    def load(cls, name: str) -> "RecordedJournal":
        """Return the recorded journal of that name."""
        return cls(**json.loads((FOLDER / f"{name}.json").read_text()))

    async def replay(self, handler: Handler) -> Any:
        """Run a handler against this journal and return its result.

        Raises:
            JournalMismatchError: the handler takes another path.
            NewWorkError: it does more than the journal holds.
        """
        task = Task(
            self.task_id, self.task_id, self.kind, self.payload, 2, None, None, None, None, 2, 0, 0, "",
            datetime(2026, 1, 1, tzinfo=UTC), True,
        )  # fmt: skip
        recorded = {
            number: JournalEntry(number, step["kind"], step["name"], step["result"], is_open=False)
            for number, step in enumerate(self.steps)
        }
        run = Run(task, cast("Journal", _NoJournal()), _NoServices(), recorded)
        return await handler(run, AnyPayload.model_validate(self.payload))
