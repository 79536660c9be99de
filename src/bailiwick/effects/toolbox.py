"""The tools as approvals need to know them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bailiwick.effects.digest import digest_of
from bailiwick.effects.registry import ToolRegistry


class Toolbox:
    """Tells approvals which tools there are and what an approval is bound to."""

    def __init__(self, tools: ToolRegistry) -> None:
        self._tools = tools

    def version(self, tool: str) -> str:
        """Return the version of a tool, or raise UnknownKindError."""
        return self._tools.get(tool).version

    def checked(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments in the tool's schema as plain data, or raise InvalidPayloadError."""
        return self._tools.arguments(self._tools.get(tool), arguments).model_dump(mode="json")

    def digest(
        self,
        tool: str,
        version: str,
        arguments: Any,
        *,
        target: str,
        observed: Any,
        policy_version: str,
        price: Decimal,
    ) -> str:
        """Return the hexadecimal SHA-256 of everything that must not move."""
        return digest_of(
            tool, version, arguments, target=target, observed=observed, policy_version=policy_version, price=price
        )
