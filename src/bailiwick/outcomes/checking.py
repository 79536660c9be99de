"""The task kind ``outcome.check``: looks when the time has come, and writes what it found."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.errors import BailiwickError, CannotDetermineError, DatabaseUnavailableError
from bailiwick.outcomes.checks import CheckRegistry, Expected, Finding
from bailiwick.outcomes.model import OutcomeRecord
from bailiwick.outcomes.service import Look, Outcomes
from bailiwick.tasks import DiscardTask, RetryPolicy, Run

KIND = "outcome.check"
# From a minute to a few hours: what is away for longer makes the outcome unknown.
RETRY = RetryPolicy(max_attempts=6, first_delay_seconds=60, factor=4, max_delay_seconds=4 * 3600)
LOOK_SECONDS = 60.0
"""How long one look may take."""

SWEEP_KIND = "outcome.sweep"
SWEEP_AFTER = timedelta(hours=1)

ON_TIME = timedelta(minutes=5)
"""Later than this is late; a timer that is due waits its turn like any task."""


class OutcomePayload(BaseModel):
    """Which expectation is to be looked at."""

    model_config = ConfigDict(extra="forbid")

    outcome_id: str


class SweepPayload(BaseModel):
    """The sweep is asked with nothing."""

    model_config = ConfigDict(extra="forbid")


class OutcomeSweep:
    """The task kind ``outcome.sweep``: no promise stays pending for ever because its timer was cancelled or gave up."""

    def __init__(self, outcomes: Outcomes, *, clock: Clock | None = None) -> None:
        self._outcomes = outcomes
        self._clock = clock or SystemClock()

    async def handle(self, run: Run, payload: SweepPayload) -> dict[str, Any]:
        """Make unknown what nobody will look at any more; return how many that were."""
        del payload
        now = self._clock.now()
        finding = Finding("unknown", missing="a look: its timer was cancelled, or given up after its worker died often")
        lost = await self._outcomes.abandoned(run.task.organization_id, before=now - SWEEP_AFTER)
        settled = [await self._outcomes.record(run, outcome_id, Look(finding, now)) for outcome_id in lost]
        return {"settled": sum(settled)}


class OutcomeCheck:
    """Carries out looks.

    Looking changes nothing and writing happens once, so it may be stopped
    anywhere: it looks again.
    """

    def __init__(
        self, outcomes: Outcomes, checks: CheckRegistry, *, retry: RetryPolicy = RETRY, clock: Clock | None = None
    ) -> None:
        """Take the policy by which the task kind is tried again: after its last try the outcome is unknown."""
        self._outcomes = outcomes
        self._checks = checks
        self._retry = retry
        self._clock = clock or SystemClock()

    async def handle(self, run: Run, payload: OutcomePayload) -> dict[str, Any]:
        """Look, and write the verdict with its evidence; tried again after passing faults, then unknown.

        Raises:
            DiscardTask: this task is not the timer of the outcome.
            BailiwickError, Exception: the look failed so that another may succeed.
        """
        outcome = await self._outcomes.get(run.task.organization_id, payload.outcome_id)
        if run.task.id != outcome.id:
            raise DiscardTask(f"outcome {outcome.id} is looked at by its own timer when its time has come")
        if outcome.state != "pending":
            return {"outcome_id": outcome.id, "verdict": outcome.state, "is_new": False}
        looked_at = self._clock.now()
        finding = await self._finding(run, outcome)
        look = Look(finding, looked_at, _late(outcome.check_at, looked_at))
        is_new = await self._outcomes.record(run, outcome.id, look)
        return {"outcome_id": outcome.id, "verdict": finding.verdict, "is_new": is_new}

    async def _finding(self, run: Run, outcome: OutcomeRecord) -> Finding:
        try:
            check = self._checks.get(outcome.check)
            arguments = self._checks.arguments(check, outcome.arguments)
            async with asyncio.timeout(LOOK_SECONDS):
                return await check.look(outcome.organization_id, arguments, _expected(outcome))
        except DatabaseUnavailableError:
            # No failure of the look: the engine puts the task off until there is a database.
            raise
        except CannotDetermineError as error:
            return Finding("unknown", missing=error.missing)
        except Exception as error:
            may_pass = not isinstance(error, BailiwickError) or error.retryable
            if may_pass and self._retry.delay_seconds(run.task.failures + 1) is not None:
                raise
            return Finding("unknown", missing=_problem(error, run.task.failures + 1))


def _expected(outcome: OutcomeRecord) -> Expected:
    return Expected(
        outcome.id, outcome.claim, outcome.task_id, outcome.effect_id, outcome.agent_id,
        outcome.expected_at, outcome.check_at,
    )  # fmt: skip


def _late(check_at: datetime, at: datetime) -> float | None:
    late = at - check_at
    return late.total_seconds() if late > ON_TIME else None


def _problem(error: Exception, tries: int) -> str:
    said = str(error) if isinstance(error, BailiwickError) else f"{type(error).__name__}: {error}"
    return f"a look that succeeds; {tries} failed, the last with: {said[:500]}"
