"""What outcomes register, as an extension like any other: the look that comes later."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.extensions.registrar import Registrar
from bailiwick.outcomes.checking import KIND, RETRY, OutcomeCheck, OutcomePayload
from bailiwick.outcomes.facts import EVENT_TYPES
from bailiwick.outcomes.general import register_general
from bailiwick.outcomes.learning import Learning
from bailiwick.tasks import TaskKind

_TIMEOUT_SECONDS = 180.0


class OutcomesExtension:
    """Proof that it worked."""

    name = "outcomes"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the event of a look, the task that looks, and who learns from it."""
        kernel = registrar.kernel
        for event_type in EVENT_TYPES:
            registrar.event_type(event_type)
        registry = kernel.registry
        register_general(registry.checks, kernel.database, kernel.effects, registry.tools)
        kernel.effects.moves.judged.append(Learning(kernel.autonomy).hear)
        check = OutcomeCheck(kernel.outcomes, registry.checks)
        registrar.task_kind(
            TaskKind(
                KIND,
                check.handle,
                OutcomePayload,
                RETRY,
                _TIMEOUT_SECONDS,
                needs="outcomes:read",
                is_metered=False,
                outside="checks",
            )
        )


extension = OutcomesExtension()
