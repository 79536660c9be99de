"""Pages of a listing: newest first, by an opaque cursor that survives new rows."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import parse_id

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Item = TypeVar("Item")


class Identified(Protocol):
    """A row as it is shown, whose id a cursor can continue behind."""

    @property
    def id(self) -> str:
        """What its listing is ordered by."""
        ...


Record = TypeVar("Record", bound=Identified)

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items and the cursor of what follows; None when nothing does."""

    items: list[Item]
    next_cursor: str | None


def page_of(found: Sequence[Record], limit: int) -> Page[Record]:
    """Return the page of what was read with one row more than ``limit``, which tells whether others follow."""
    items = list(found[:limit])
    return Page(items, cursor_of(items[-1].id) if len(found) > limit else None)


def asked_of(wanted: "DataclassInstance | None") -> dict[str, Any]:
    """Return what a filter asks of which column; what is None in it asks for anything."""
    given = {} if wanted is None else {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    return {column: value for column, value in given.items() if value is not None}


def cursor_of(identifier: str) -> str:
    """Return the cursor that continues behind a row."""
    return base64.urlsafe_b64encode(identifier.encode()).decode().rstrip("=")


def after_cursor(cursor: str | None) -> str | None:
    """Return the id a cursor stands for, None for the beginning.

    Raises:
        InvalidInputError: it is not one of ours.
    """
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    identifier = parse_id(text)
    if identifier is None:
        raise InvalidInputError("the cursor is not valid; take next_cursor from the page before, or leave it out")
    return identifier


def checked_limit(limit: int) -> int:
    """Return a page size, or raise InvalidInputError stating the bounds."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInputError(f"limit must be from 1 to {MAX_PAGE}, not {limit}")
    return limit
