"""Moments as people write them on a command line."""

import re
from datetime import UTC, datetime, timedelta

from bailiwick.kernel.errors import InvalidInputError

_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_expiry(text: str, *, now: datetime | None = None) -> datetime:
    """Return the moment that ``90d``, ``12h`` or an ISO 8601 text means; one without a zone is UTC.

    Raises:
        InvalidInputError: it is neither.
    """
    span = _SPAN.fullmatch(text.strip())
    try:
        if span is not None:
            return (now or datetime.now(UTC)) + int(span[1]) * _UNITS[span[2]]
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{text[:50]!r} is no moment; write 30m, 12h, 90d, 8w or 2027-01-31T18:00Z") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
