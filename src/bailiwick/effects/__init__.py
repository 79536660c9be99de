"""Effects: the only way anything outside the journal is changed."""

from bailiwick.effects.model import Observation, Undo, Verdict
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.tool import Call, Tool

__all__ = ["Call", "Observation", "Tool", "ToolRegistry", "Undo", "Verdict"]
