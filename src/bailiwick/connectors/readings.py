"""The reader of meter readings, from CSV, JSON lines or a JSON array."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from bailiwick.connectors.csv.rows import CsvTable
from bailiwick.connectors.fitting import describe
from bailiwick.connectors.meters import MeterReading
from bailiwick.connectors.records import decode_object, json_frames, rejection
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.connectors.sources import ByteSource, PathOrStream, open_source
from bailiwick.connectors.timestamps import parse_timestamp
from bailiwick.kernel.errors import InvalidInputError, InvalidPayloadError

COLUMNS = ("meter_id", "unit", "value", "read_at", "interval_minutes")


def read_meter_readings(path_or_stream: PathOrStream) -> Iterator[MeterReading | RejectedRecord]:
    """Yield each meter reading, and each record that is refused; gzip or plain.

    The columns are ``meter_id, unit, value, read_at, interval_minutes``, in any
    order; others are ignored. ``read_at`` is ISO 8601, in UTC where it has no
    offset. An empty value is a gap and is refused, never read as zero.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is neither CSV nor JSON, or a column is missing.
    """
    with open_source(path_or_stream) as source:
        if source.head.lstrip()[:1] in (b"{", b"["):
            yield from _from_json(source)
        else:
            yield from _from_csv(source)


def _from_json(source: ByteSource) -> Iterator[MeterReading | RejectedRecord]:
    for frame in json_frames(source):
        try:
            yield _reading(decode_object(frame))
        except InvalidInputError as error:
            yield rejection(frame, error)


def _from_csv(source: ByteSource) -> Iterator[MeterReading | RejectedRecord]:
    table = CsvTable(source)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise InvalidInputError(
            f"{source.name} has no column {', '.join(missing)}; its columns are: {', '.join(table.columns)}"
        )
    for row in table.rows():
        if isinstance(row, RejectedRecord):
            yield row
            continue
        try:
            yield _reading(row.values)
        except InvalidInputError as error:
            yield table.rejection(row, str(error))


def _reading(values: Mapping[str, Any]) -> MeterReading:
    read_at = values.get("read_at")
    if not isinstance(read_at, str):
        raise InvalidPayloadError("read_at is missing")
    if values.get("value") in (None, ""):
        raise InvalidPayloadError("value is missing")
    fields = {column: values.get(column) for column in COLUMNS} | {"read_at": parse_timestamp(read_at, what="read_at")}
    if any(isinstance(value, str) and "\0" in value for value in fields.values()):
        raise InvalidPayloadError("holds the character U+0000, which cannot be stored; remove it")
    try:
        return MeterReading.model_validate(fields)
    except ValidationError as error:
        raise InvalidPayloadError(describe(error)) from error
