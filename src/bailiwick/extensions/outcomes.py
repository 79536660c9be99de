"""What outcomes register, as an extension like any other: the look that comes later, and who learns from it."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick import __version__
from bailiwick.extensions.registrar import Registrar
from bailiwick.outcomes.checking import (
    KIND,
    RETRY,
    SWEEP_KIND,
    OutcomeCheck,
    OutcomePayload,
    OutcomeSweep,
    SweepPayload,
)
from bailiwick.outcomes.facts import EVENT_TYPES
from bailiwick.outcomes.general import register_general
from bailiwick.outcomes.learning import Learning
from bailiwick.outcomes.shadowing import EffectsOfPeople, ShadowComparing
from bailiwick.tasks import RetryPolicy, Run, TaskKind
from bailiwick.tasks.schedules import NewSchedule

COMPARE_KIND = "autonomy.compare"
_TIMEOUT_SECONDS = 180.0
_JOB_RETRY = RetryPolicy(max_attempts=3, first_delay_seconds=2)


class ComparePayload(BaseModel):
    """The comparison is asked with nothing."""

    model_config = ConfigDict(extra="forbid")


class OutcomesExtension:
    """Proof that it worked."""

    name = "outcomes"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the event of a look, the task that looks, the general checks, and who learns from verdicts."""
        kernel, registry = registrar.kernel, registrar.kernel.registry
        for event_type in EVENT_TYPES:
            registrar.event_type(event_type)
        register_general(registry.checks, kernel.database, kernel.effects, registry.tools)
        kernel.effects.moves.judged.append(Learning(kernel.autonomy).hear)
        check = OutcomeCheck(kernel.outcomes, registry.checks)
        # Nobody but the platform asks for a look: it comes when it was promised.
        registrar.task_kind(TaskKind(KIND, check.handle, OutcomePayload, RETRY, _TIMEOUT_SECONDS, is_metered=False))
        sweep = OutcomeSweep(kernel.outcomes)
        registrar.task_kind(
            TaskKind(SWEEP_KIND, sweep.handle, SweepPayload, _JOB_RETRY, _TIMEOUT_SECONDS, is_metered=False)
        )
        registrar.schedule(NewSchedule(SWEEP_KIND, SWEEP_KIND, interval_seconds=3600, jitter_seconds=360, priority=3))
        self._register_shadow(registrar)

    def _register_shadow(self, registrar: Registrar) -> None:
        kernel, registry = registrar.kernel, registrar.kernel.registry
        registrar.counterparts("effects of people", EffectsOfPeople(kernel.database).watch)
        comparing = ShadowComparing(kernel.database, kernel.autonomy, registry.tools, registry.shadows)

        async def compare(run: Run, _: ComparePayload) -> Any:
            return await comparing.compare_due(run.task.organization_id)

        registrar.task_kind(
            TaskKind(COMPARE_KIND, compare, ComparePayload, _JOB_RETRY, _TIMEOUT_SECONDS, is_metered=False)
        )
        registrar.schedule(
            NewSchedule(COMPARE_KIND, COMPARE_KIND, interval_seconds=3600, jitter_seconds=360, priority=3)
        )


extension = OutcomesExtension()
