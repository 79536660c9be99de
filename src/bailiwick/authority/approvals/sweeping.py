"""What time does to approvals: people are reminded, others are asked too, and in the end silence counts."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.authority.approvals.approvals import Approvals
from bailiwick.tasks import RetryPolicy, Run, TaskKind
from bailiwick.tasks.schedules import NewSchedule

KIND = "approvals.sweep"

SCHEDULE = NewSchedule(KIND, KIND, interval_seconds=60, jitter_seconds=2, priority=1, overlap="skip", catch_up="latest")


class SweepPayload(BaseModel):
    """Nothing: the task's organization says it all."""

    model_config = ConfigDict(extra="forbid")


def sweep_kind(approvals: Approvals) -> TaskKind:
    """Return the kind of task that ends, escalates and reminds of an organization's approvals."""

    async def handle(run: Run, payload: SweepPayload) -> dict[str, Any]:
        del payload
        return await run.step("sweep", approvals.sweep, run.task.organization_id)

    return TaskKind(KIND, handle, SweepPayload, RetryPolicy(max_attempts=3), is_metered=False)
