"""The reader of issue tables."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from pathlib import PurePath
from typing import Any, Literal

from pydantic import ValidationError

from bailiwick.connectors.csv.dates import DateReader, date_reader
from bailiwick.connectors.csv.mapping import CsvMapping
from bailiwick.connectors.csv.rows import CsvTable, Row
from bailiwick.connectors.fitting import MAX_ATTRIBUTES, attribute_text, describe, fit
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.connectors.sources import ByteSource, PathOrStream, open_source
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES
from bailiwick.kernel.errors import InvalidInputError, InvalidPayloadError

SAMPLE_ROWS = 500
_SAMPLE_CHARACTERS = 4 * 1024 * 1024
_DATE_FIELDS = ("created_at", "updated_at", "closed_at")
_CLOSED = frozenset(
    ("closed", "resolved", "done", "fixed", "completed", "complete", "cancelled", "canceled", "rejected", "wontfix",
     "won't fix", "duplicate", "verified", "merged")
)  # fmt: skip
_OPEN = frozenset(
    ("open", "opened", "reopened", "new", "to do", "todo", "backlog", "in progress", "in review", "patch available",
     "blocked", "waiting", "pending", "triage", "unconfirmed", "assigned", "started")
)  # fmt: skip
_LAST_NUMBER = re.compile(r"(\d{1,18})\D*$")


def read_csv_issues(
    path_or_stream: PathOrStream, mapping: CsvMapping | None = None, *, repository: str | None = None
) -> Iterator[IssueRecord | RejectedRecord]:
    """Yield each row of a table as an issue, and each row that is refused; gzip or plain.

    Fields that ``mapping`` does not name are guessed from the column names.
    The form of each time column is taken from the first rows. An issue is
    closed when its state column says so in a known word, else when it has a
    closing time. ``repository`` names the project where no column does; by
    default it is the file's name. A stream is left open.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is no table, a column is missing, or the form of
            its times is unclear. Raised at the first step of the iteration.
    """
    with open_source(path_or_stream) as source:
        table = CsvTable(source)
        chosen = (mapping or CsvMapping()).completed(table.columns)
        rows = table.rows()
        sample = _sample(rows)
        reader = _RowReader(chosen, sample, repository or _project_name(source))
        for row in chain(_drain(sample), rows):
            yield row if isinstance(row, RejectedRecord) else reader.read(row, table)


def _sample(rows: Iterator[Row | RejectedRecord]) -> deque[Row | RejectedRecord]:
    sample: deque[Row | RejectedRecord] = deque()
    characters = 0
    for row in rows:
        sample.append(row)
        characters += len(row.raw) if isinstance(row, RejectedRecord) else sum(map(len, row.values.values()))
        if len(sample) >= SAMPLE_ROWS or characters > _SAMPLE_CHARACTERS:
            break
    return sample


def _drain(sample: deque[Row | RejectedRecord]) -> Iterator[Row | RejectedRecord]:
    while sample:
        yield sample.popleft()


def _project_name(source: ByteSource) -> str:
    name = PurePath(source.name).name if source.is_file else "csv"
    return name.removesuffix(".gz").removesuffix(".csv").removesuffix(".tsv") or "csv"


class _RowReader:
    def __init__(self, mapping: CsvMapping, sample: deque[Row | RejectedRecord], repository: str) -> None:
        self._columns = mapping.columns
        self._repository = repository
        self._dates: dict[str, DateReader] = {}
        for name in _DATE_FIELDS:
            if column := mapping.columns.get(name):
                samples = [row.values[column] for row in sample if isinstance(row, Row)]
                self._dates[name] = date_reader(
                    column, samples, date_format=mapping.date_format, timezone=mapping.timezone
                )
        # The state is kept as it was written too, because open or closed says less.
        self._used = {column for name, column in mapping.columns.items() if name != "state"}

    def read(self, row: Row, table: CsvTable) -> IssueRecord | RejectedRecord:
        try:
            record = IssueRecord.model_validate(self._fields(row.values))
            return fit(record) if _may_need_fitting(row.values) else record
        except ValidationError as error:
            return table.rejection(row, describe(error))
        except InvalidInputError as error:
            return table.rejection(row, str(error))

    def _fields(self, values: Mapping[str, str]) -> dict[str, Any]:
        number = self._value(values, "number")
        created_at = self._time(values, "created_at")
        closed_at = self._time(values, "closed_at")
        if created_at is None:
            raise InvalidPayloadError(f"{self._columns['created_at']} is empty")
        if closed_at is not None and closed_at < created_at:
            raise InvalidPayloadError(f"it was closed ({closed_at}) before it was created ({created_at})")
        state = _state(self._value(values, "state"), closed_at)
        title = self._value(values, "title")
        if not title:
            raise InvalidPayloadError(f"{self._columns['title']} is empty")
        return {
            "source": "csv",
            "repository": self._value(values, "repository") or self._repository,
            "number": _number(number, self._columns["number"]),
            "external_id": self._value(values, "external_id") or number or None,
            "url": self._value(values, "url") or None,
            "title": title,
            "body": values.get(self._columns.get("body", ""), ""),
            "labels": _split(self._value(values, "labels")),
            "state": state,
            "state_reason": self._value(values, "state_reason") or None,
            "author": self._value(values, "author") or None,
            "assignees": _split(self._value(values, "assignees")),
            "comments_count": _count(self._value(values, "comments_count")),
            "created_at": created_at,
            "updated_at": self._time(values, "updated_at"),
            "closed_at": closed_at if state == "closed" else None,
            "attributes": self._attributes(values),
        }

    def _value(self, values: Mapping[str, str], name: str) -> str:
        column = self._columns.get(name)
        return "" if column is None else values[column].strip()

    def _time(self, values: Mapping[str, str], name: str) -> datetime | None:
        text = self._value(values, name)
        return self._dates[name](text) if text else None

    def _attributes(self, values: Mapping[str, str]) -> dict[str, str]:
        kept = ((column[:255], value) for column, value in values.items() if value and column not in self._used)
        return {column: attribute_text(value) for (column, value), _ in zip(kept, range(MAX_ATTRIBUTES), strict=False)}


def _may_need_fitting(values: Mapping[str, str]) -> bool:
    # A character takes at most six bytes of JSON (a control character); U+0000 is refused in any amount.
    characters = sum(map(len, values.values())) + sum(map(len, values))
    return characters * 6 > MAX_PAYLOAD_BYTES // 2 or any("\0" in value for value in values.values())


def _state(text: str, closed_at: datetime | None) -> Literal["open", "closed"]:
    word = text.lower()
    if word in _CLOSED:
        return "closed"
    if word in _OPEN or closed_at is None:
        return "open"
    return "closed"


def _number(text: str, column: str) -> int:
    match = _LAST_NUMBER.search(text) if text.isascii() else None
    if match is None:
        raise InvalidPayloadError(f"{column} holds no number: {text[:60]!r}")
    return int(match.group(1))


def _split(text: str) -> tuple[str, ...]:
    mark = ";" if ";" in text else ","
    return tuple(dict.fromkeys(part.strip() for part in text.split(mark) if part.strip()))


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= len("999999999") else 0
