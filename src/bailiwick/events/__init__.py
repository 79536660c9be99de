"""Events, the first stage: facts come in, are kept, and tasks follow from them."""

from bailiwick.events.log import EventLog
from bailiwick.events.model import Event, EventType, NewEvent, Published
from bailiwick.events.registry import EventRegistry

__all__ = ["Event", "EventLog", "EventRegistry", "EventType", "NewEvent", "Published"]
