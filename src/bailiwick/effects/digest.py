"""What a decision and an approval are bound to."""

from decimal import Decimal
from typing import Any

from bailiwick.audit.canonical import canonical, digest


def digest_of(
    tool: str, version: str, arguments: Any, *, target: str, observed: Any, policy_version: str, price: Decimal
) -> str:
    """Return the hexadecimal SHA-256 over the canonical JSON of everything that must not move before it is carried out.

    ``arguments`` and ``observed`` are plain data as they are kept, that is without secrets.
    ``policy_version`` names the policy's and the ceiling's version. Numbers that
    are equal have one form: a price of 2.50 is one of 2.5.
    """
    document = {
        "arguments": arguments,
        "observed": observed,
        "policy_version": policy_version,
        "price": f"{price.normalize():f}",
        "target": target,
        "tool": tool,
        "version": version,
    }
    return digest(canonical(document))
