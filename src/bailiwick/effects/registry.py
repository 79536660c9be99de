"""The tools that are there."""

from dataclasses import dataclass
from typing import Any

from bailiwick.authority.model import EffectClass
from bailiwick.effects.tool import Recovery, Tool
from bailiwick.kernel.documents import validated
from bailiwick.kernel.errors import ConflictError, UnknownKindError


@dataclass(frozen=True, slots=True)
class ToolView:
    """A tool as it is shown; ``arguments`` is its JSON Schema."""

    name: str
    version: str
    effect_class: EffectClass
    recovery: Recovery
    summary: str
    timeout_seconds: float
    arguments: dict[str, Any]


def view_of(tool: Tool[Any]) -> ToolView:
    """Return what there is to know of a tool."""
    return ToolView(
        tool.name, tool.version, tool.effect_class, tool.recovery, tool.summary, tool.timeout_seconds,
        tool.arguments.model_json_schema(),
    )  # fmt: skip


class ToolRegistry:
    """Tools by name. Filled at start, read afterwards."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool[Any]] = {}

    def register(self, tool: Tool[Any]) -> None:
        """Add a tool.

        Raises:
            ConflictError: another has its name.
        """
        if tool.name in self._tools:
            raise ConflictError(f"two tools are called {tool.name!r}")
        self._tools[tool.name] = tool

    def get(self, name: str) -> Tool[Any]:
        """Return a tool.

        Raises:
            UnknownKindError: there is none of that name.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise UnknownKindError(f"no tool {name!r}; there are: {', '.join(sorted(self._tools)) or 'none'}")
        return tool

    def knows(self, name: str) -> bool:
        """Tell whether there is a tool of that name."""
        return name in self._tools

    def all(self) -> list[Tool[Any]]:
        """Return every tool, by name."""
        return [self._tools[name] for name in sorted(self._tools)]

    def arguments(self, tool: Tool[Any], given: Any) -> Any:
        """Return arguments in the tool's own schema.

        Raises:
            InvalidPayloadError: they do not fit.
        """
        return validated(tool.arguments, given, f"the arguments do not fit {tool.name}", whole="arguments")
