"""What really happened, noted by those who did it, and the proof that it was right.

Every process appends lines to a file of its own, so that a kill loses nothing
it noted. The clock is the machine's monotonic one, the same for all processes.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

Row = dict[str, Any]


@dataclass(frozen=True)
class Note:
    """One thing that a process did: when, who, what, to which task under which fence."""

    at: int
    who: str
    what: str
    task: str
    fence: int
    step: str
    value: Any


class Recorder:
    """Appends notes; written at once and in full lines."""

    def __init__(self, folder: Path, who: str) -> None:
        self.who = who
        self._file = os.open(folder / f"{who}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, what: str, task: str, *, fence: int = 0, step: str = "", value: Any = None) -> None:
        """Append one note: enqueued, began, step_began, step_returned, step_acknowledged or ended."""
        line = json.dumps([time.monotonic_ns(), self.who, what, task, fence, step, value])
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(folder: Path) -> list[Note]:
    """Return all notes of all processes in the order of time; a line cut off by a kill is left out."""
    notes: list[Note] = []
    for path in folder.glob("*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        notes += [Note(*json.loads(line)) for line in lines if line.endswith("\n")]
    return sorted(notes, key=lambda note: note.at)


@dataclass(frozen=True)
class State:
    """What the database holds in the end."""

    live: dict[str, Row]
    finished: dict[str, list[Row]]
    steps: dict[tuple[str, str], Row]


def state_of(url: str) -> State:
    """Return what the database at ``url`` holds."""
    with psycopg.Connection[Row].connect(url, autocommit=True, row_factory=dict_row) as connection:
        connection.adapters.register_loader("uuid", TextLoader)
        live = connection.execute("select id, state::text as state, fence from tasks").fetchall()
        finished = connection.execute("select id, state::text as state, fence from finished_tasks").fetchall()
        steps = connection.execute("select task_id, name, result, fence from steps where kind = 'step'").fetchall()
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in finished:
        by_task[row["id"]].append(row)
    return State({row["id"]: row for row in live}, dict(by_task), {(row["task_id"], row["name"]): row for row in steps})


def violations(notes: Iterable[Note], state: State) -> list[str]:
    """Return every broken promise that the notes and the final state prove; none is the wanted answer."""
    by_task: dict[str, list[Note]] = defaultdict(list)
    for note in notes:
        by_task[note.task].append(note)
    found: list[str] = []
    for task, history in by_task.items():
        found += _lost(task, history, state)
        found += _held_by_two(task, history)
        found += _accepted_when_stale(task, history)
        found += _ran_again(task, history)
        found += _changed(task, history, state)
        found += _ended_twice(task, history, state)
    return found


def _lost(task: str, history: list[Note], state: State) -> list[str]:
    if any(note.what == "enqueued" for note in history) and task not in state.live and task not in state.finished:
        return [f"lost: {task} was acknowledged and is nowhere"]
    return []


def _held_by_two(task: str, history: list[Note]) -> list[str]:
    holders: dict[int, list[str]] = defaultdict(list)
    for note in history:
        if note.what == "began":
            holders[note.fence].append(note.who)
    return [
        f"held by two: fence {fence} of {task} was given to {', '.join(who)}"
        for fence, who in holders.items()
        if len(who) > 1
    ]


def _accepted_when_stale(task: str, history: list[Note]) -> list[str]:
    """Find writes that were sent after a higher fence was at work, and acknowledged all the same."""
    found: list[str] = []
    sent: dict[tuple[int, str], int] = {}
    highest = 0
    for note in history:
        if note.what == "began":
            highest = max(highest, note.fence)
        elif note.what in ("step_returned", "ending"):
            sent[note.fence, note.step] = highest
        elif note.what in ("step_acknowledged", "ended") and sent.get((note.fence, note.step), 0) > note.fence:
            found.append(f"accepted when stale: {note.what} {note.step} of {task} under fence {note.fence}")
    return found


def _ran_again(task: str, history: list[Note]) -> list[str]:
    """Find steps that began after they were journaled; a run that has lost its task may not know yet."""
    found: list[str] = []
    journaled: dict[str, int] = {}
    for note in history:
        if note.what == "step_acknowledged":
            journaled.setdefault(note.step, note.fence)
        elif note.what == "step_began" and note.fence >= journaled.get(note.step, 1 << 31):
            found.append(f"ran again: step {note.step} of {task} under fence {note.fence}")
    return found


def _changed(task: str, history: list[Note], state: State) -> list[str]:
    found: list[str] = []
    for note in history:
        if note.what != "step_acknowledged":
            continue
        row = state.steps.get((task, note.step))
        if row is None:
            found.append(f"lost step: {note.step} of {task} was acknowledged and is not in the journal")
        elif row["result"] != note.value:
            found.append(f"changed: step {note.step} of {task} was {note.value}, is {row['result']}")
    return found


def _ended_twice(task: str, history: list[Note], state: State) -> list[str]:
    ends = [note for note in history if note.what == "ended"]
    rows = state.finished.get(task, [])
    found: list[str] = []
    if len(ends) > 1 or len(rows) > 1:
        found.append(f"ended twice: {task} under fences {[note.fence for note in ends]}, {len(rows)} rows")
    if rows and task in state.live:
        found.append(f"ended twice: {task} has ended and is live")
    if ends and not rows:
        found.append(f"lost end: {task} was acknowledged as ended and is not")
    return found
