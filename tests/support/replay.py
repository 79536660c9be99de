"""Recorded journals of the repository, and recordings made by hand."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bailiwick.kernel.ids import new_id
from bailiwick.replay.recording import RecordedChild, RecordedEvent, RecordedRun
from bailiwick.replay.replaying import Replayed, replay
from bailiwick.tasks import Task
from bailiwick.tasks.journal import JournalEntry
from bailiwick.tasks.model import Handler
from tests.support.engine import AnyPayload

FOLDER = Path(__file__).parent / "journals"


def load(name: str) -> RecordedRun:
    """Return the recorded journal of that name."""
    document = json.loads((FOLDER / f"{name}.json").read_text())
    made = recording(document["kind"], document["payload"], document["steps"], result=document["result"])
    return replace(made, task=made.task._replace(id=document["task_id"]))


def recording(
    kind: str,
    payload: Any,
    steps: Sequence[Mapping[str, Any]],
    *,
    result: Any = None,
    state: str = "completed",
    children: Mapping[str, RecordedChild] | None = None,
    events: Mapping[str, RecordedEvent] | None = None,
) -> RecordedRun:
    """Return a recording of steps given as ``{kind, name, result}``."""
    task = Task(
        new_id(),
        new_id(),
        kind,
        payload,
        2,
        None,
        None,
        None,
        None,
        2,
        0,
        0,
        "",
        datetime(2026, 1, 1, tzinfo=UTC),
        True,
    )
    entries = [
        JournalEntry(number, step["kind"], step["name"], step["result"], is_open=bool(step.get("is_open")))
        for number, step in enumerate(steps)
    ]
    return RecordedRun(task, state, result, entries, children=children or {}, events=events or {})


async def replayed(made: RecordedRun, handler: Handler) -> Replayed:
    """Replay a recording by a handler that takes any payload."""
    return await replay(made, handler, AnyPayload)
