"""The job that ends what dead runs left reserved."""

from pydantic import BaseModel

from bailiwick.authority.budgets.budgets import Budgets
from bailiwick.tasks import RetryPolicy, Run, TaskKind
from bailiwick.tasks.schedules import NewSchedule

KIND = "system.budgets"
SCHEDULE = NewSchedule(
    KIND, KIND, interval_seconds=300, jitter_seconds=30, priority=3, overlap="skip", catch_up="latest"
)


class SweepPayload(BaseModel):
    """Nothing to be said: it works on all organizations."""


def sweep_kind(budgets: Budgets) -> TaskKind:
    """Return the kind of task that does it."""

    async def sweep(run: Run, payload: SweepPayload) -> object:
        del payload
        # Ending a reservation twice changes nothing, so a crash in the middle may repeat it.
        return await run.step("sweep", budgets.sweep)

    return TaskKind(KIND, sweep, SweepPayload, RetryPolicy(max_attempts=3), 600, needs="installation", is_metered=False)
