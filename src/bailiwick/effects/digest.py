"""What a decision and an approval are bound to."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from bailiwick.audit.canonical import canonical, digest

# What canonical JSON holds as a number.
_LARGEST = 2**63


def digest_of(
    tool: str, version: str, arguments: Any, *, target: str, observed: Any, policy_version: str, price: Decimal
) -> str:
    """Return the hexadecimal SHA-256 over the canonical JSON of everything that must not move before it is carried out.

    ``arguments`` and ``observed`` are plain data as they are kept, that is without secrets.
    ``policy_version`` names the policy's and the ceiling's version. Numbers that
    are equal have one form: a price of 2.50 is one of 2.5.
    """
    document = {
        "arguments": _in_one_form(arguments),
        "observed": _in_one_form(observed),
        "policy_version": policy_version,
        "price": f"{price.normalize():f}",
        "target": target,
        "tool": tool,
        "version": version,
    }
    return digest(canonical(document))


def _in_one_form(value: Any) -> Any:
    """Return plain data with equal numbers in one form, whichever PostgreSQL gives back: 1e16, or its digits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _LARGEST:
        return {"integer": str(value)}
    if isinstance(value, Mapping):
        return {name: _in_one_form(entry) for name, entry in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_in_one_form(entry) for entry in cast("Sequence[Any]", value)]
    return value
