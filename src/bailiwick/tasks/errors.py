"""What a handler may raise, and what the engine raises at it."""

from bailiwick.kernel.errors import BailiwickError, ConflictError, InternalError

# A hundred years: what is no number, or more, would never be due.
MAX_DELAY_SECONDS = 3_155_760_000


class DiscardTask(BailiwickError):
    """Raise it in a handler to dead-letter the task at once: trying again cannot help."""

    code = "task.discarded"


class RetryTask(BailiwickError):
    """Raise it in a handler to be tried again after ``delay_seconds``, counted as a failure."""

    code = "task.retry"
    retryable = True

    def __init__(self, reason: str, *, delay_seconds: float) -> None:
        super().__init__(reason)
        if not 0 <= delay_seconds <= MAX_DELAY_SECONDS:
            raise ValueError(f"delay_seconds is 0 to {MAX_DELAY_SECONDS:,}")
        self.delay_seconds = delay_seconds


class JournalMismatchError(InternalError):
    """The handler took another path than its journal: its code changed under a running task.

    Guard the change with ``run.patched(...)``, or fork the task from the step named.
    """

    code = "task.journal_mismatch"


class LeaseLostError(ConflictError):
    """The task was taken from this worker; nothing of this run is written any more."""

    code = "task.lease_lost"


class Suspended(BaseException):
    """The run let go of its task at a durable wait; it goes on when the wait ends.

    Not an ``Exception``, so that a handler's own ``except Exception`` lets it pass.
    """
