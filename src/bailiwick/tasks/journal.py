"""The worker's side of the hot path: claim, journal, finish, release."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bailiwick.kernel.labels import NO_LABELS
from bailiwick.storage.batching import Batcher
from bailiwick.storage.channel import Channel
from bailiwick.storage.rows import RowFields, batch
from bailiwick.tasks.model import Task

# An organization and a lane: how far a walk over what is available has come.
Position = tuple[str, str]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One recorded step of a run; ``is_open`` marks a wait that has not ended."""

    seq: int
    kind: str
    name: str
    result: Any
    is_open: bool
    labels: frozenset[str] = NO_LABELS


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a task's end: whether it was still ours, and whom it concerns."""

    was_held: bool
    has_lane: bool = False
    woke_parent: bool = False


class Journal:
    """Writes what runs do, many runs per commit, each write checked against its fence."""

    def __init__(self, url: str) -> None:
        self._channels = {
            name: Channel(url, application=f"bailiwick {name}") for name in ("claim", "journal", "finish", "release")
        }
        self._steps: Batcher[RowFields, bool] = Batcher(self._flush_steps)
        self._ends: Batcher[RowFields, Ended] = Batcher(self._flush_ends)
        self._releases: Batcher[RowFields, bool | None] = Batcher(self._flush_releases)

    async def open(self) -> None:
        """Start the batchers."""
        for batcher in (self._steps, self._ends, self._releases):
            batcher.start()

    async def close(self) -> None:
        """Write what was handed in, then stop."""
        for batcher in (self._steps, self._ends, self._releases):
            await batcher.close()
        await self._close_channels()

    async def abort(self) -> None:
        """Stop at once: whatever is not acknowledged yet is the next worker's to redo."""
        for batcher in (self._steps, self._ends, self._releases):
            batcher.abort()
        await self._close_channels()

    async def claim(
        self,
        worker_id: str,
        limit: int,
        *,
        kinds: Sequence[str],
        after: Position,
        rooms: Mapping[str, int],
        version: str,
    ) -> tuple[list[Task], Position | None]:
        """Lease up to ``limit`` tasks to a worker, fairly over organizations.

        ``rooms`` says how many more of an organization are wanted at most. Returns
        the tasks, and where the next call should go on if this one could not look
        at everything.

        Raises:
            psycopg.Error: SQLSTATE BW001 when the worker was declared dead.
        """
        rows = await self._channels["claim"].call(
            "select * from task_claim(%s::uuid, %s, %s::text[], %s::uuid, %s, %s::uuid[], %s::int[], %s)",
            (worker_id, limit, list(kinds), *after, list(rooms), list(rooms.values()), version),
        )
        position: Position | None = None
        if rows and rows[-1]["task_id"] is None:
            last = rows.pop()
            position = (last["org"], last["task_lane"])
        tasks = [
            Task(
                row["task_id"], row["org"], row["task_kind"], row["body"], row["pri"], row["deadline"], row["agent"],
                row["parent"], row["cause"], row["token"], row["failed"], row["recovered"], row["task_lane"],
                row["inserted"], row["resumed"], frozenset(row["marks"]) if row["marks"] else NO_LABELS,
            )
            for row in rows
        ]  # fmt: skip
        return tasks, position

    async def give_back(self, worker_id: str, task_ids: Sequence[str]) -> int:
        """Make tasks available that a worker holds without executing them; returns how many."""
        rows = await self._channels["claim"].call(
            "select worker_return(%s::uuid, %s::uuid[]) as returned", (worker_id, list(task_ids))
        )
        return int(rows[0]["returned"])

    async def load(self, worker_id: str, task_ids: Sequence[str]) -> dict[str, dict[int, JournalEntry]]:
        """Return the journals of tasks that the worker holds and that ran before, by task and sequence number."""
        rows = await self._channels["claim"].call(
            "select * from task_journals(%s::uuid, %s::uuid[])", (worker_id, list(task_ids))
        )
        journals: dict[str, dict[int, JournalEntry]] = {task_id: {} for task_id in task_ids}
        for row in rows:
            labels = frozenset(row["labels"] or ())
            entry = JournalEntry(row["seq"], row["kind"], row["name"], row["result"], row["is_open"], labels)
            journals[row["task_id"]][entry.seq] = entry
        return journals

    async def record(self, row: RowFields) -> bool:
        """Journal one step; returns False when the task was taken away meanwhile."""
        return await self._steps.put(row)

    async def finish(self, row: RowFields) -> Ended:
        """End a task for good."""
        return await self._ends.put(row)

    async def release(self, row: RowFields) -> bool | None:
        """Let go of a task. None: it was not ours any more; True: it is available at once."""
        return await self._releases.put(row)

    async def wake_from_history(self, task_id: str) -> None:
        """Look for an event that came before the task's wait was committed."""
        await self._channels["release"].call("select task_wake_from_history(%s::uuid[])", ([task_id],))

    async def _flush_steps(self, rows: list[RowFields]) -> list[bool]:
        answers = await self._channels["journal"].call("select task_journal(%s::jsonb) as id", (batch(rows),))
        held = {answer["id"] for answer in answers}
        return [row["t"] in held for row in rows]

    async def _flush_ends(self, rows: list[RowFields]) -> list[Ended]:
        answers = await self._channels["finish"].call("select * from task_finish(%s::jsonb)", (batch(rows),))
        ended = {row["task_id"]: Ended(True, row["task_lane"] != "", row["woke_parent"]) for row in answers}
        missing = [row["t"] for row in rows if row["t"] not in ended]
        if missing:
            ended.update(await self._ended_before(missing, {row["t"]: (row["f"], row["st"]) for row in rows}))
        return [ended.get(row["t"], Ended(False)) for row in rows]  # pyright: ignore[reportArgumentType] - ids are str

    async def _ended_before(
        self, task_ids: list[object], ends: dict[object, tuple[object, object]]
    ) -> dict[object, Ended]:
        # A batch sent again after a lost answer finds its tasks ended by itself. A
        # cancellation leaves the fence as it was but another state.
        rows = await self._channels["finish"].call("select * from task_ends(%s::uuid[])", (task_ids,))
        return {
            row["task_id"]: Ended(True, row["task_lane"] != "", woke_parent=True)
            for row in rows
            if (row["token"], row["ended_as"]) == ends[row["task_id"]]
        }

    async def _flush_releases(self, rows: list[RowFields]) -> list[bool | None]:
        answers = await self._channels["release"].call("select * from task_release(%s::jsonb)", (batch(rows),))
        released = {row["task_id"]: bool(row["is_available"]) for row in answers}
        return [released.get(row["t"]) for row in rows]  # pyright: ignore[reportArgumentType] - ids are str

    async def _close_channels(self) -> None:
        for channel in self._channels.values():
            await channel.close()
