"""What the engine's database functions promise, as plain Python without concurrency."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Due = Literal["later", "due"]


@dataclass
class ModelStep:
    """One journaled step; ``is_open`` while its wait has not ended."""

    result: object
    is_open: bool


@dataclass
class ModelTask:
    """One live task, as the row of ``tasks`` shows it."""

    id: str
    organization: str
    kind: str
    priority: int
    deadline: int | None
    parent: str | None = None
    state: str = "available"
    lane: str = ""
    fence: int = 0
    worker: str | None = None
    failures: int = 0
    recoveries: int = 0
    is_paused: bool = False
    run_at: Due | None = None
    pending: int = 0
    is_awaited: bool = False
    wait_key: str | None = None
    wait_seen: frozenset[str] = frozenset()
    wait_seq: int | None = None

    @property
    def order(self) -> tuple[object, ...]:
        """How early it is claimed within its organization and lane."""
        return (self.priority, self.deadline is None, self.deadline or 0, self.id)


@dataclass
class EngineModel:
    """All state of the engine; each method does what the function of its name promises."""

    live: dict[str, ModelTask] = field(default_factory=dict[str, ModelTask])
    finished: dict[str, tuple[ModelTask, str]] = field(default_factory=dict[str, tuple[ModelTask, str]])
    steps: dict[str, dict[int, ModelStep]] = field(default_factory=dict[str, dict[int, ModelStep]])
    keys: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    event_keys: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    events: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    workers: dict[str, str] = field(default_factory=dict[str, str])
    limits: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def is_held(self, task: str, fence: int) -> bool:
        """Tell whether writes under this fence count."""
        found = self.live.get(task)
        return found is not None and found.fence == fence and found.worker is not None

    def lane(self, organization: str, kind: str) -> str:
        """Return the lane of new tasks of a kind."""
        subjects = ("organization", f"kind:{kind}")
        return "|".join(sorted(s for s in subjects if (organization, s) in self.limits))

    def enqueue(self, task: ModelTask, key: str | None, parent_fence: int | None = None) -> str | None:
        """Add a task; return who holds its key now, or None if it was refused."""
        if parent_fence is not None and not self.is_held(task.parent or "", parent_fence):
            return None
        if key is not None:
            holder = self.keys.setdefault((task.organization, key), task.id)
            if holder != task.id:
                return holder
        if task.id not in self.live and task.id not in self.finished:
            task.lane = self.lane(task.organization, task.kind)
            self.live[task.id] = task
            self.steps.setdefault(task.id, {})
        return task.id

    def claimable(self, kinds: Sequence[str]) -> dict[tuple[str, str], list[ModelTask]]:
        """Return what is available by organization and lane, in the order of claims."""
        found: dict[tuple[str, str], list[ModelTask]] = {}
        for task in self.live.values():
            if task.state == "available" and task.kind in kinds:
                found.setdefault((task.organization, task.lane), []).append(task)
        return {lane: sorted(tasks, key=lambda task: task.order) for lane, tasks in found.items()}

    def room(self, organization: str, lane: str) -> int | None:
        """Return how many more of a lane may start; None for any number."""
        rooms = [
            self.limits[organization, subject]
            - sum(
                subject in task.lane.split("|")
                for task in self.live.values()
                if task.organization == organization and task.state == "executing"
            )
            for subject in lane.split("|")
            if (organization, subject) in self.limits
        ]
        return max(0, min(rooms)) if rooms else None

    def claim(self, worker: str, tasks: Sequence[str]) -> None:
        """Lease tasks to a worker."""
        for task in tasks:
            found = self.live[task]
            found.state, found.worker, found.fence = "executing", worker, found.fence + 1

    def journal(self, task: str, fence: int, seq: int, result: object) -> bool:
        """Record a step; the first record of a sequence number stays."""
        if not self.is_held(task, fence):
            return False
        self.steps[task].setdefault(seq, ModelStep(result, is_open=False))
        return True

    def finish(self, task: str, fence: int | None, state: str) -> bool:
        """End a task; ``fence`` None ends it whoever holds it."""
        if task not in self.live or (fence is not None and not self.is_held(task, fence)):
            return False
        ended = self.live.pop(task)
        self.finished[task] = (ended, state)
        parent = self.live.get(ended.parent or "")
        if parent is not None and ended.is_awaited and parent.pending > 0:
            parent.pending -= 1
            if parent.pending == 0:
                self._answer(parent, None)
                if parent.state == "waiting" and not parent.is_paused:
                    parent.state = "available"
        return True

    def release(self, task: str, fence: int, state: str, run_at: Due | None, *, failed: bool = False) -> bool:
        """Let go of a task without a durable wait."""
        if not self.is_held(task, fence):
            return False
        found = self.live[task]
        found.state, found.worker, found.pending = state, None, 0
        found.run_at = None if state == "available" else run_at
        found.failures += failed
        found.wait_key, found.wait_seen, found.wait_seq = None, frozenset(), None
        return True

    def wait(
        self,
        task: str,
        fence: int,
        seq: int,
        *,
        run_at: Due | None = None,
        key: str | None = None,
        seen: frozenset[str] = frozenset(),
        children: Sequence[str] | None = None,
    ) -> bool:
        """Let go of a task until a time, an event of a key, or the end of children."""
        if not self.release(task, fence, "waiting", run_at):
            return False
        found = self.live[task]
        found.wait_key, found.wait_seen, found.wait_seq = key, seen, seq
        self.steps[task].setdefault(seq, ModelStep(None, is_open=True))
        if children is not None:
            for child in children:
                if child in self.live and self.live[child].parent == task:
                    self.live[child].is_awaited = True
                    found.pending += 1
            if not found.pending:
                found.state, found.run_at = "available", None
                self._answer(found, None)
        return True

    def promote(self) -> int:
        """Make available what is due."""
        due = [task for task in self.live.values() if task.run_at == "due" and not task.is_paused]
        for task in due:
            task.state, task.run_at, task.wait_key = "available", None, None
            self._answer(task, None)
        return len(due)

    def publish(self, event: str, organization: str, key: str, dedupe: str | None) -> str:
        """Record an event; return the id of the one that stands for it."""
        if dedupe is not None:
            holder = self.event_keys.setdefault((organization, dedupe), event)
            if holder != event:
                return holder
        self.events.append((event, organization, key))
        return event

    def wake_by_event(self, event: str) -> None:
        """End the waits that an event concerns, each by the earliest event it has not had."""
        known = {identifier: (organization, key) for identifier, organization, key in self.events}
        for task in self.live.values():
            if (task.organization, task.wait_key) == known.get(event):
                answer = self._answer_in_history(task)
                if answer is not None and not task.is_paused:
                    self._answer(task, answer)
                    task.state, task.run_at, task.wait_key = "available", None, None

    def wake_from_history(self, tasks: Sequence[str] | None) -> None:
        """End the waits whose event is there already, and others that it concerns."""
        waiting = [task for task in self.live.values() if tasks is None or task.id in tasks]
        answers = {self._answer_in_history(task) for task in waiting} - {None}
        for answer in answers:
            self.wake_by_event(str(answer))

    def _answer_in_history(self, task: ModelTask) -> str | None:
        candidates = [
            event
            for event, organization, key in self.events
            if (organization, key) == (task.organization, task.wait_key)
            and event > task.id
            and event not in task.wait_seen
        ]
        return min(candidates, default=None) if task.state == "waiting" else None

    def pause(self, task: str) -> bool:
        """Take a task away and park it."""
        found = self.live.get(task)
        if found is None or found.is_paused:
            return False
        found.is_paused = True
        if found.state == "executing":
            found.fence += 1
            found.worker = None
        if found.state in ("available", "executing"):
            found.state, found.run_at = "scheduled", None
        return True

    def resume(self, task: str) -> bool:
        """Let a paused task go on."""
        found = self.live.get(task)
        if found is None or not found.is_paused:
            return False
        found.is_paused = False
        is_over = found.wait_key is None and found.run_at is None and found.pending <= 0
        if (found.state == "scheduled" and found.run_at is None) or (found.state == "waiting" and is_over):
            found.state = "available"
        return True

    def redrive(self, task: str) -> bool:
        """Bring a discarded or cancelled task back."""
        found, state = self.finished.get(task, (None, ""))
        if found is None or state == "completed":
            return False
        del self.finished[task]
        again = ModelTask(found.id, found.organization, found.kind, found.priority, found.deadline, found.parent)
        again.fence = found.fence
        again.lane = self.lane(again.organization, again.kind)
        self.live[task] = again
        return True

    def fork(self, task: str, new: str, before: int) -> bool:
        """Copy a task with the steps before one."""
        found = self.live.get(task) or self.finished.get(task, (None, ""))[0]
        if found is None:
            return False
        copy = ModelTask(new, found.organization, found.kind, found.priority, None)
        copy.fence, copy.lane = 1, self.lane(found.organization, found.kind)
        self.live[new] = copy
        self.steps[new] = {
            seq: ModelStep(step.result, is_open=False)
            for seq, step in self.steps[task].items()
            if seq < before and not step.is_open
        }
        return True

    def reap(self, lapsed: Sequence[str], most: int) -> tuple[int, int]:
        """Bury lapsed workers; return how many tasks were freed and how many of those discarded."""
        for worker in lapsed:
            self.workers[worker] = "dead"
        alive = {worker for worker, state in self.workers.items() if state in ("active", "draining")}
        freed = [task for task in self.live.values() if task.state == "executing" and task.worker not in alive]
        for task in freed:
            task.state, task.worker = "available", None
            task.fence += 1
            task.recoveries += 1
        poison = [task.id for task in freed if task.recoveries >= most]
        for identifier in poison:
            self.finish(identifier, None, "discarded")
        return len(freed), len(poison)

    def give_back(self, worker: str, tasks: Sequence[str]) -> int:
        """Free tasks that a living worker holds without executing them."""
        strays = [task for task in self.live.values() if task.id in tasks and task.worker == worker]
        for task in strays:
            task.state, task.worker = "available", None
            task.fence += 1
        return len(strays)

    def relane(self, organization: str) -> None:
        """Apply a change of limits."""
        for task in self.live.values():
            if task.organization == organization:
                task.lane = self.lane(organization, task.kind)

    def totals(self) -> Counter[tuple[str, str, str]]:
        """Return how many tasks ended, by organization, kind and state."""
        return Counter((task.organization, task.kind, state) for task, state in self.finished.values())

    def _answer(self, task: ModelTask, result: object) -> None:
        step = self.steps[task.id].get(-1 if task.wait_seq is None else task.wait_seq)
        if step is not None and step.is_open:
            step.result, step.is_open = result, False
