"""Values as people read them: moments, amounts, shares and documents, each written in one way everywhere."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from bailiwick.cli.legible import legible, legible_json

LONGEST = 300
"""How many characters of a value are shown before it is cut; ``--json`` has the whole."""
# To cut less than the hint is long saves nothing.
_HINT = 40


def moment(at: datetime) -> str:
    """Return a moment as it is written wherever how long ago is not enough."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def amount(value: Decimal | float) -> str:
    """Return an amount, such as of money, without an exponent and without zeros that say nothing."""
    text = f"{value if isinstance(value, Decimal) else Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value: float, digits: int = 0) -> str:
    """Return a share of one in percent."""
    return f"{value:.{digits}%}"


def in_line(value: object, *, longest: int | None = LONGEST) -> str:
    """Return any value on one line: texts as they are, documents as compact JSON; what is hidden or obeyed is escaped.

    What is much longer than ``longest`` is cut, with by how much and where the whole is.
    """
    text = _written(value)
    if longest is None or len(text) <= longest + _HINT:
        return text
    return f"{text[:longest]}… ({len(text) - longest:,} more characters: --json)"


def _written(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, int | float | date) and not isinstance(value, bool):
        return str(value)
    return legible_json(json.dumps(_plain(value), ensure_ascii=False, default=_as_text))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return dict(value) if isinstance(value, Mapping) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - json takes any


def _as_text(value: object) -> Any:
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - json takes any
    return _plain(value) if is_dataclass(value) or isinstance(value, Mapping) else str(value)
