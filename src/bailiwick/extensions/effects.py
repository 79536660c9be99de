"""What effects register, as an extension like any other: their facts."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.effects.facts import EVENT_TYPES
from bailiwick.extensions.registrar import Registrar


class EffectsExtension:
    """What becomes of effects, as events."""

    name = "effects"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the event types."""
        for event_type in EVENT_TYPES:
            registrar.event_type(event_type)


extension = EffectsExtension()
