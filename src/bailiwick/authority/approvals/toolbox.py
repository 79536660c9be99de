"""What approvals need to know of tools; those who carry out effects provide it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol


class Toolbox(Protocol):
    """Who knows the tools there are, and what an approval is bound to."""

    def version(self, tool: str) -> str:
        """Return the version of a tool, or raise UnknownKindError."""
        ...

    def checked(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments in the tool's schema as plain data, or raise InvalidPayloadError."""
        ...

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
        ...
