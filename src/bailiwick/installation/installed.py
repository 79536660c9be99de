"""Which extensions there are: those of the platform, those that were installed, and those that are handed in."""

from collections.abc import Sequence

from bailiwick.extensions import Extension, ExtensionStatus, authority, connectors, effects, find_extensions, outcomes
from bailiwick.extensions import privacy as privacy_extension
from bailiwick.extensions import rewinding as rewinding_extension
from bailiwick.installation.settings import Settings
from bailiwick.orchestrator import OrchestratorExtension
from bailiwick.storage.embedded_folder import default_data_dir


def installed(settings: Settings, extra: Sequence[Extension] = ()) -> tuple[list[Extension], list[ExtensionStatus]]:
    """Return all extensions in the order in which they register, and those that could not be imported."""
    found, failed = find_extensions()
    orchestrator = OrchestratorExtension(
        health_seconds=settings.health_seconds,
        retention_months=settings.retention_months,
        backs_up=settings.backup_dir is not None,
        data_folder=None if settings.database_url else settings.data_dir or default_data_dir(),
    )
    platform = [
        connectors.extension, privacy_extension.extension, authority.extension, effects.extension,
        rewinding_extension.extension, outcomes.extension, orchestrator,
    ]  # fmt: skip
    return [*platform, *found, *extra], failed
