"""Bounds of arguments in remembered rules: what each argument may be at most."""

from collections.abc import Mapping
from typing import Any

from bailiwick.kernel.errors import InvalidInputError

_KINDS = ("equals", "one_of", "min", "max", "max_length")
_MAX_BOUNDS = 50


def checked_bounds(bounds: Mapping[str, Mapping[str, Any]], arguments: Mapping[str, Any]) -> None:
    """Refuse bounds that say nothing, or that the approved arguments do not fit.

    Raises:
        InvalidInputError: says which bound, and what bounds there are.
    """
    if len(bounds) > _MAX_BOUNDS:
        raise InvalidInputError(f"a rule has at most {_MAX_BOUNDS} bounds")
    for name, bound in bounds.items():
        if not bound or not set(bound) <= set(_KINDS):
            raise InvalidInputError(f"the bound of {name[:50]!r} is none; there are: {', '.join(_KINDS)}")
        if not _is_typed(bound):
            raise InvalidInputError(f"the bound of {name[:50]!r} has a limit that is no number or list")
        if not within({name: bound}, arguments):
            raise InvalidInputError(f"the approved arguments are not within the bound of {name[:50]!r}")


def within(bounds: Mapping[str, Mapping[str, Any]], arguments: Mapping[str, Any]) -> bool:
    """Tell whether arguments are within all bounds; one that is not there is within none."""
    return all(name in arguments and _fits(bound, arguments[name]) for name, bound in bounds.items())


def _is_typed(bound: Mapping[str, Any]) -> bool:
    limits = [bound[kind] for kind in ("min", "max", "max_length") if kind in bound]
    return all(_is_number(limit) for limit in limits) and isinstance(bound.get("one_of", []), list)


def _fits(bound: Mapping[str, Any], value: Any) -> bool:
    return all(_keeps(kind, limit, value) for kind, limit in bound.items())


def _keeps(kind: str, limit: Any, value: Any) -> bool:
    match kind:
        case "equals":
            return _same(value, limit)
        case "one_of":
            return any(_same(value, one) for one in limit)
        case "min":
            return _is_number(value) and value >= limit
        case "max":
            return _is_number(value) and value <= limit
        case _:
            return isinstance(value, str | list) and len(value) <= limit  # pyright: ignore[reportUnknownArgumentType]


def _is_number(value: object) -> bool:
    # Python counts True as 1.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: object, other: object) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other
