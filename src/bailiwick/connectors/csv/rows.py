"""Rows of a CSV input, one at a time, and the rows that are none."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.connectors.sources import ByteSource, not_utf8
from bailiwick.kernel.errors import InvalidInputError

MAX_FIELD_CHARACTERS = 1024 * 1024
MAX_LINE_BYTES = 4 * MAX_FIELD_CHARACTERS
# What "surrogateescape" makes of a byte that is not UTF-8.
_SURROGATE = re.compile("[\udc80-\udcff]")
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Row:
    """The values of one row by column, empty ones included."""

    line: int
    ordinal: int
    values: dict[str, str]


class CsvTable:
    """A CSV input with a header row, read once.

    The delimiter is the one of ``, ; tab |`` that divides the header into most
    columns. Fields may be quoted and span lines; a field of more than one
    million characters is refused.
    """

    def __init__(self, source: ByteSource) -> None:
        """Read the header.

        Raises:
            InvalidInputError: it is empty, not text, or has no usable header.
        """
        source.check_text()
        self._source = source
        self._stream = _LineStream(source)
        first = source.head.split(b"\n", 1)[0].decode("utf-8", "surrogateescape")
        self.delimiter = max(_DELIMITERS, key=lambda mark: _column_count(first, mark))
        # The limit is one of the whole process; nothing else here reads CSV.
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        self._reader = csv.reader(self._stream, delimiter=self.delimiter, strict=True)
        try:
            header = next(self._reader, [])
        except csv.Error as error:
            raise InvalidInputError(f"{source.name} has no readable header row: {error}") from error
        self.columns = _column_names(header, source.name)

    def rows(self) -> Iterator[Row | RejectedRecord]:
        """Yield each row, and a rejection for each that cannot be read."""
        ordinal = 0
        while True:
            self._stream.begin_record()
            ordinal += 1
            try:
                values = next(self._reader)
            except StopIteration:
                break
            except csv.Error as error:
                yield self._reject(ordinal, _csv_fault(error))
                continue
            if not values:
                ordinal -= 1
                continue
            yield self._row(ordinal, values)
        if self._source.fault is not None:
            self._stream.begin_record()
            yield self._reject(ordinal, self._source.fault)

    def rejection(self, row: Row, reason: str) -> RejectedRecord:
        """Return the rejection of a row, as a small table that can be mended and read again."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerow(row.values.values())
        return RejectedRecord.of(
            text.getvalue().encode("utf-8", "surrogateescape"), reason, line=row.line, ordinal=row.ordinal
        )

    def _row(self, ordinal: int, values: list[str]) -> Row | RejectedRecord:
        if len(values) != len(self.columns):
            return self._reject(ordinal, f"has {len(values)} columns where the header has {len(self.columns)}")
        fault = next((value for value in values if not _is_text(value)), None)
        if fault is not None:
            return self._reject(ordinal, not_utf8(fault.encode("utf-8", "surrogateescape")))
        return Row(self._stream.record_line, ordinal, dict(zip(self.columns, values, strict=True)))

    def _reject(self, ordinal: int, reason: str) -> RejectedRecord:
        header = io.StringIO()
        csv.writer(header, delimiter=self.delimiter, lineterminator="\n").writerow(self.columns)
        data = header.getvalue().encode("utf-8", "surrogateescape") + self._stream.record_bytes()
        truncated = self._stream.record_truncated
        return RejectedRecord.of(data, reason, line=self._stream.record_line, ordinal=ordinal, truncated=truncated)


class _LineStream:
    """The physical lines of the input, remembering those of the present record."""

    def __init__(self, source: ByteSource) -> None:
        self._lines = _lines(source)
        self._line = 0
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self.record_line = 1
        self.record_truncated = False

    def begin_record(self) -> None:
        self._kept = []
        self._kept_bytes = 0
        self.record_line = self._line + 1
        self.record_truncated = False

    def record_bytes(self) -> bytes:
        return b"".join(self._kept)

    def __iter__(self) -> "_LineStream":
        return self

    def __next__(self) -> str:
        data = next(self._lines)
        self._line += 1
        if self._kept_bytes < MAX_FIELD_CHARACTERS:
            self._kept.append(data)
            self._kept_bytes += len(data)
        else:
            self.record_truncated = True
        # Bytes that are not UTF-8 stay visible as lone surrogates, so that only their row is refused.
        return data.decode("utf-8", "surrogateescape")


def _lines(source: ByteSource) -> Iterator[bytes]:
    tail = b""
    is_overlong = False
    for chunk in source.chunks():
        *lines, tail = (tail + chunk).split(b"\n")
        for line in lines:
            if not is_overlong:
                yield line + b"\n"
            is_overlong = False
        if is_overlong:
            tail = b""
        elif len(tail) > MAX_LINE_BYTES:
            # The parser refuses it by its field limit or its number of columns; the rest of the line is not kept.
            yield tail[:MAX_LINE_BYTES]
            tail, is_overlong = b"", True
    if tail and source.fault is None:
        yield tail


def _column_count(header: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([header], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _column_names(header: list[str], source_name: str) -> tuple[str, ...]:
    names: list[str] = []
    for position, raw in enumerate(header, start=1):
        if not _is_text(raw) or "\0" in raw:
            raise InvalidInputError(f"the header of {source_name} is not UTF-8 text; convert the file to UTF-8")
        name = raw.strip() or f"column {position}"
        repeats = sum(1 for other in names if other == name or other.startswith(f"{name} ("))
        names.append(f"{name} ({repeats + 1})" if name in names else name)
    if not names or (len(names) == 1 and not header[0].strip()):
        raise InvalidInputError(f"{source_name} has no header row; the first row must name the columns")
    if names[0][:1] in "{[<":
        raise InvalidInputError(f"{source_name} seems to be JSON or HTML, not CSV; use the import for that form")
    return tuple(names)


def _csv_fault(error: csv.Error) -> str:
    text = str(error)
    if "field larger" in text:
        return f"has a field of more than {MAX_FIELD_CHARACTERS:,} characters; a quote may not be closed"
    if "unexpected end" in text:
        return "a quoted field is not closed before the end of the input"
    return f"is not valid CSV: {text}"


def _is_text(value: str) -> bool:
    return value.isascii() or _SURROGATE.search(value) is None
