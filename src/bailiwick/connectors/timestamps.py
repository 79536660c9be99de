"""Reading the times that sources write."""

from datetime import UTC, datetime, tzinfo

from bailiwick.kernel.errors import InvalidPayloadError


def parse_timestamp(text: str, *, what: str, timezone: tzinfo = UTC) -> datetime:
    """Return an ISO 8601 time as an aware datetime in UTC.

    A time without an offset is taken to be in ``timezone``.

    Raises:
        InvalidPayloadError: it is not an ISO 8601 time; ``what`` names the field.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidPayloadError(f"{what} is not an ISO 8601 time: {text[:60]!r}") from error
    return in_utc(moment, what=what, timezone=timezone)


def in_utc(moment: datetime, *, what: str, timezone: tzinfo = UTC) -> datetime:
    """Return ``moment`` in UTC; without an offset it is taken to be in ``timezone``.

    Raises:
        InvalidPayloadError: the UTC time falls outside the years 1 to 9999.
    """
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone)
    if aware.tzinfo is UTC:
        return aware
    try:
        return aware.astimezone(UTC)
    except OverflowError as error:
        raise InvalidPayloadError(f"{what} is out of range: {moment}") from error
