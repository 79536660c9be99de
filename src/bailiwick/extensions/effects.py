"""What effects register, as an extension like any other: their facts, and the work that ends what no run ends."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.effects.facts import EVENT_TYPES
from bailiwick.effects.orphans import SCHEDULE, Orphans
from bailiwick.extensions.registrar import Registrar


class EffectsExtension:
    """What becomes of effects, as events."""

    name = "effects"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the event types, and a task kind with its schedule."""
        for event_type in EVENT_TYPES:
            registrar.event_type(event_type)
        kernel = registrar.kernel
        orphans = Orphans(kernel.database, kernel.registry.tools, kernel.effects.moves)
        registrar.task_kind(orphans.kind())
        registrar.schedule(SCHEDULE)


extension = EffectsExtension()
