"""What outcomes register, as an extension like any other: the look that comes later."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.extensions.registrar import Registrar
from bailiwick.outcomes.checking import KIND, RETRY, OutcomeCheck, OutcomePayload
from bailiwick.tasks import TaskKind

_TIMEOUT_SECONDS = 180.0


class OutcomesExtension:
    """Proof that it worked."""

    name = "outcomes"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the task that looks."""
        kernel = registrar.kernel
        check = OutcomeCheck(kernel.outcomes, kernel.registry.checks)
        registrar.task_kind(
            TaskKind(
                KIND, check.handle, OutcomePayload, RETRY, _TIMEOUT_SECONDS, needs="outcomes:read", is_metered=False
            )
        )


extension = OutcomesExtension()
