"""Tasks, the second stage: durable units of work, leased, journaled, retried."""

from bailiwick.tasks.acting import Acted, Effect, Expectation
from bailiwick.tasks.errors import DiscardTask, JournalMismatchError, LeaseLostError, RetryTask
from bailiwick.tasks.model import Enqueued, Labelled, NewTask, RetryPolicy, Task, TaskKind, TaskOutcome, TaskState
from bailiwick.tasks.queue import TaskQueue
from bailiwick.tasks.registry import KindRegistry
from bailiwick.tasks.run import Run
from bailiwick.tasks.upkeep import Upkeep
from bailiwick.tasks.worker import Worker, WorkerSettings

__all__ = [
    "Acted", "DiscardTask", "Effect", "Enqueued", "Expectation", "JournalMismatchError", "KindRegistry",
    "Labelled", "LeaseLostError", "NewTask", "RetryPolicy", "RetryTask", "Run", "Task", "TaskKind", "TaskOutcome",
    "TaskQueue", "TaskState", "Upkeep", "Worker", "WorkerSettings",
]  # fmt: skip
