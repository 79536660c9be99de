"""Telling how a column writes its times, from what stands in it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo

from bailiwick.connectors.timestamps import in_utc, parse_timestamp
from bailiwick.kernel.errors import InvalidInputError, InvalidPayloadError

DateReader = Callable[[str], datetime]

ISO = "iso"
EPOCH = "epoch"
_CLOCKS = (" %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "")
_DAYS = (
    "%d/%b/%y", "%d/%b/%Y", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
    "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y",
)  # fmt: skip
_WHOLE = ("%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y")
_EARLIEST_EPOCH, _LATEST_EPOCH = 315_532_800, 4_102_444_800  # 1980 to 2100, in seconds

# So many samples choose the forms that are then tried on all.
_FIRST = 20


def date_reader(
    column: str, samples: Sequence[str], *, date_format: str | None = None, timezone: tzinfo = UTC
) -> DateReader:
    """Return the function that reads this column's times, as UTC.

    Without ``date_format`` (a ``strptime`` pattern, ``iso`` or ``epoch``) the
    one form is taken that fits every sample; a time without an offset is in
    ``timezone``. The function raises InvalidPayloadError for what does not fit.

    Raises:
        InvalidInputError: no known form fits, or the samples can be read
            day-first as well as month-first.
    """
    chosen = date_format or _detect(column, samples)

    def read(text: str) -> datetime:
        if chosen == ISO:
            return parse_timestamp(text, what=column, timezone=timezone)
        moment = _parse(text, chosen)
        if moment is None:
            raise InvalidPayloadError(f"{column} does not fit the date format {chosen}: {text[:60]!r}")
        return in_utc(moment, what=column, timezone=timezone)

    return read


def _detect(column: str, samples: Sequence[str]) -> str:
    present = [sample for sample in dict.fromkeys(samples) if sample.strip()]
    if not present:
        return ISO
    every = (ISO, EPOCH, *(day + clock for day in _DAYS for clock in _CLOCKS), *_WHOLE)
    candidates = [form for form in every if any(_parse(sample, form) is not None for sample in present[:_FIRST])] or [
        ISO
    ]
    # A few odd cells must not hide the form of the rest; they are rejected one by one later.
    fitting = {form: sum(1 for sample in present if _parse(sample, form) is not None) for form in candidates}
    best = max(fitting.values())
    forms = [form for form in candidates if fitting[form] == best]
    if best * 2 <= len(present):
        raise InvalidInputError(
            f"the times in column {column!r} have no known form, for example {present[0][:60]!r}; "
            "give it with --date-format, for example '%d/%m/%Y %H:%M'"
        )
    if _differ(forms, present):
        raise InvalidInputError(
            f"the times in column {column!r} can be read in more than one way ({', '.join(forms[:3])}), "
            f"for example {present[0][:60]!r}; say which with --date-format"
        )
    return forms[0]


def _differ(forms: Sequence[str], samples: Sequence[str]) -> bool:
    return any(len({_parse(sample, form) for form in forms}) > 1 for sample in samples)


def _parse(text: str, form: str) -> datetime | None:
    text = text.strip()
    try:
        if form == ISO:
            return datetime.fromisoformat(text) if "-" in text else None
        if form == EPOCH:
            return _epoch(text)
        # The caller gives the zone to what has none.
        return datetime.strptime(text, form)  # noqa: DTZ007
    except (ValueError, OverflowError):
        return None


def _epoch(text: str) -> datetime | None:
    seconds = float(text)
    for scale in (1, 1000):
        if _EARLIEST_EPOCH <= seconds / scale < _LATEST_EPOCH:
            return datetime.fromtimestamp(seconds / scale, UTC)
    return None
