"""Reads numbers out of an issue: CSV, Markdown tables and JSON, column by column, with what is missing counted."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from bailiwick.kernel.documents import decode
from bailiwick.kernel.errors import InvalidPayloadError
from bailiwick.packs.operations.departments.body import Body, Line

MAX_ROWS = 20_000
MAX_COLUMNS = 50
MAX_NAME_CHARS = 100

_EMPTY = frozenset({"", "-", "–", "—", "na", "n/a", "nan", "null", "none", "?"})
_NUMBER = re.compile(r"[-+]?(?:\d{1,18}(?:\.\d{1,18})?|\.\d{1,18})(?:[eE][-+]?\d{1,3})?")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,18})?")
_UNIT = re.compile(r"^[€$£]?\s{0,2}(.{1,40}?)\s{0,2}(?:%|kWh|MWh|h|ms|s|€|\$|£|EUR|USD)?$")
_RULE_ROW = re.compile(r"^[\s|:-]{1,500}$")
_DATE = re.compile(r"^(\d{4})-(\d{2})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Column:
    """A numeric column: one value per row in order, None where the cell is empty or no number."""

    name: str
    values: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        """The values that are there."""
        return [value for value in self.values if value is not None]

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return len(self.values) - len(self.known)


@dataclass(frozen=True, slots=True)
class Table:
    """A table and where it stands; ``texts`` are its other columns, ``truncated`` says that rows were left out."""

    source: str
    columns: tuple[Column, ...]
    texts: dict[str, tuple[str, ...]]
    rows: int
    truncated: bool = False

    @property
    def dates(self) -> tuple[str, ...] | None:
        """The first text column whose every cell begins with an ISO date."""
        return next((cells for cells in self.texts.values() if cells and all(map(_is_date, cells))), None)


def read_tables(body: Body, *, with_texts: bool = False) -> list[Table]:
    """Return the tables of a text: CSV, TSV, JSON or Markdown in fenced blocks, Markdown in the prose.

    Tables without a numeric column are left out unless ``with_texts``.
    """
    found: list[Table] = []
    for block in body.blocks:
        text = block.text.strip()
        table = _from_json(text, block.source) if text[:1] in ("[", "{") else _from_csv(text, block.source)
        tables = [table] if table is not None else _from_markdown(block.lines)
        found.extend(tables)
    return [table for table in [*found, *_from_markdown(body.prose)] if table.columns or with_texts]


def to_number(cell: object) -> float | None:
    """Return a cell as a number, or None; thousands separators, a currency sign and a unit are understood."""
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float):
        value = float(cell)
        return value if abs(value) < 1e300 else None
    text = str(cell).strip()
    if text.lower() in _EMPTY or len(text) > 60:
        return None
    bare = _UNIT.match(text)
    digits = (bare.group(1) if bare else text).strip()
    if _NUMBER.fullmatch(digits):
        return float(digits)
    return float(digits.replace(",", "")) if _GROUPED.fullmatch(digits) else None


def _from_csv(text: str, source: str) -> Table | None:
    head, _, rest = text.partition("\n")
    delimiter = next((mark for mark in ("\t", ";", ",") if mark in head), None)
    if delimiter is None or not rest.strip() or head.lstrip().startswith("|"):
        return None
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        return None
    width = len(rows[0])
    body = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    # Prose with commas is no table: its lines differ in the number of parts.
    if width < 2 or not body or sum(len(row) == width for row in body) < 0.9 * len(body):
        return None
    return _table(source, rows[0], body)


def _from_json(text: str, source: str) -> Table | None:
    try:
        value = decode(text)
    except InvalidPayloadError:
        return None
    if isinstance(value, list) and value and all(to_number(one) is not None or one is None for one in value):
        return _table(source, ["value"], [[one] for one in value])
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        names = list(dict.fromkeys(str(name) for one in value[:MAX_ROWS] for name in one))[:MAX_COLUMNS]
        return _table(source, names, [[one.get(name) for name in names] for one in value])
    if isinstance(value, dict) and value and all(isinstance(one, list) for one in value.values()):
        names = [str(name) for name in value][:MAX_COLUMNS]
        length = max(len(one) for one in value.values())
        cells = [value[name] + [None] * (length - len(value[name])) for name in names]
        return _table(source, names, [list(row) for row in zip(*cells, strict=True)])
    return None


def _from_markdown(lines: Sequence[Line]) -> list[Table]:
    found: list[Table] = []
    position = 0
    while position + 2 < len(lines) + 1:
        group = _pipe_rows(lines, position)
        if len(group) >= 3 and _RULE_ROW.match(group[1].text) and "-" in group[1].text:
            rows = [_cells(line.text) for line in group]
            found.append(_table(group[0].source, rows[0], rows[2:]))
        position += max(1, len(group))
    return found


def _pipe_rows(lines: Sequence[Line], start: int) -> list[Line]:
    end = start
    while end < len(lines) and "|" in lines[end].text:
        end += 1
    return list(lines[start:end])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _table(source: str, names: Iterable[object], rows: Sequence[Sequence[object]]) -> Table:
    heads = [str(name).strip()[:MAX_NAME_CHARS] or f"column {number}" for number, name in enumerate(names, start=1)][
        :MAX_COLUMNS
    ]
    kept = rows[:MAX_ROWS]
    columns: list[Column] = []
    texts: dict[str, tuple[str, ...]] = {}
    for index, name in enumerate(heads):
        cells = [row[index] if index < len(row) else None for row in kept]
        values = tuple(to_number(cell) for cell in cells)
        filled = sum(cell is not None and str(cell).strip().lower() not in _EMPTY for cell in cells)
        known = sum(value is not None for value in values)
        # A column is numeric when nearly all its filled cells are numbers; the others count as missing.
        if known and known >= 0.8 * filled:
            columns.append(Column(name, values))
        else:
            texts[name] = tuple("" if cell is None else str(cell).strip() for cell in cells)
    return Table(source, tuple(columns), texts, len(kept), truncated=len(rows) > MAX_ROWS)


def _is_date(cell: str) -> bool:
    match = _DATE.match(cell)
    if match is None:
        return False
    try:
        date(*map(int, match.groups()))
    except ValueError:
        return False
    return True
