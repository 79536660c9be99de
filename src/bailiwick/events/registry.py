"""The event types this process knows."""

from bailiwick.events.model import EventType
from bailiwick.kernel.errors import UnknownKindError
from bailiwick.kernel.labels import untrusted


class EventRegistry:
    """Event types by name. Filled once at start."""

    def __init__(self) -> None:
        self._types: dict[str, EventType] = {}

    def register(self, event_type: EventType) -> None:
        """Add a type; a second one of the same name is a programming error."""
        if event_type.name in self._types:
            raise ValueError(f"event type {event_type.name!r} is registered twice")
        if event_type.outside is not None:
            untrusted(event_type.outside)
        self._types[event_type.name] = event_type

    def get(self, name: str) -> EventType:
        """Return the type of that name, or raise UnknownKindError naming the known ones."""
        try:
            return self._types[name]
        except KeyError:
            raise UnknownKindError(
                f"unknown event type {name!r}; known: {', '.join(sorted(self._types)) or 'none'}"
            ) from None

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._types)
