"""What privacy registers, as an extension like any other: its facts, and the tasks that carry out requests."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.extensions.registrar import Registrar
from bailiwick.privacy.facts import EVENT_TYPES
from bailiwick.privacy.requests import ERASURE_KIND, EXPORT_KIND, RequestPayload
from bailiwick.tasks import RetryPolicy, TaskKind

_RETRY = RetryPolicy(max_attempts=10, first_delay_seconds=2)
_TIMEOUT_SECONDS = 3600.0


class PrivacyExtension:
    """Consents as events; exports and erasures as tasks."""

    name = "privacy"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the event types and the kinds of task."""
        for event_type in EVENT_TYPES:
            registrar.event_type(event_type)
        privacy = registrar.kernel.privacy
        for kind, handler in ((EXPORT_KIND, privacy.export.handle), (ERASURE_KIND, privacy.erasure.handle)):
            registrar.task_kind(
                TaskKind(
                    kind, handler, RequestPayload, _RETRY, _TIMEOUT_SECONDS, needs="privacy:write", is_metered=False
                )
            )


extension = PrivacyExtension()
