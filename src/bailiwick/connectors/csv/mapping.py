"""Which column of a table holds which field of an issue."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Self

from bailiwick.kernel.errors import InvalidInputError

# Field -> the column names that usually hold it, best first, without case and punctuation.
GUESSES: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "summary", "subject", "headline", "issue title"),
    "number": ("number", "issue number", "issue id", "issue key", "key", "id", "ticket", "ticket id", "bug id"),
    "created_at": ("created at", "created", "creation date", "creationdate", "opened", "opened at", "date created"),
    "body": ("body", "description", "text", "details", "issue body"),
    "state": ("state", "status", "issue status"),
    "closed_at": ("closed at", "closed", "resolved at", "resolved", "resolution date", "resolutiondate"),
    "updated_at": ("updated at", "updated", "last updated", "modified", "changed"),
    "labels": ("labels", "label", "tags"),
    "author": ("author", "reporter", "creator", "opened by", "user"),
    "assignees": ("assignees", "assignee", "assigned to", "owner"),
    "url": ("url", "html url", "link"),
    "repository": ("repository", "repo", "project", "project key", "project name"),
    "external_id": ("external id", "node id", "uuid"),
    "state_reason": ("state reason",),
    "comments_count": ("comments count", "comment count", "comments"),
}
REQUIRED = ("title", "number", "created_at")


@dataclass(frozen=True)
class CsvMapping:
    """Columns by field, and how to read their times.

    ``columns`` maps fields of an issue to column names; columns that no field
    uses are kept as the issue's ``attributes``. ``timezone`` is that of times
    written without an offset.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    date_format: str | None = None
    timezone: tzinfo = UTC

    @classmethod
    def parse(cls, text: str, *, date_format: str | None = None, timezone: tzinfo = UTC) -> Self:
        """Return the mapping written as ``field=Column,field=Column``.

        A pair whose column holds a comma is put in double quotes.

        Raises:
            InvalidInputError: a pair has no ``=`` or names no field of an issue.
        """
        columns: dict[str, str] = {}
        try:
            pairs = next(csv.reader([text], skipinitialspace=True, strict=True), [])
        except csv.Error as error:
            raise InvalidInputError(f"the column map is not readable: {error}") from error
        for pair in pairs:
            name, equals, column = pair.partition("=")
            name = name.strip()
            if not equals or not column.strip():
                raise InvalidInputError(f"the column map needs field=Column, not {pair!r}")
            if name not in GUESSES:
                raise InvalidInputError(f"{name!r} is no field of an issue; the fields are {', '.join(GUESSES)}")
            columns[name] = column.strip()
        return cls(columns=columns, date_format=date_format, timezone=timezone)

    @classmethod
    def guess(cls, columns: Iterable[str]) -> Self:
        """Return what the column names suggest; it may lack required fields."""
        plain = {_plain(column): column for column in reversed(list(columns))}
        found: dict[str, str] = {}
        for name, guesses in GUESSES.items():
            column = next((plain[guess] for guess in guesses if guess in plain), None)
            if column is not None and column not in found.values():
                found[name] = column
        return cls(columns=found)

    def written(self) -> str:
        """Return the mapping in the form that ``parse`` reads."""
        pairs = (f"{name}={column}" for name, column in self.columns.items())
        return ",".join(f'"{pair}"' if "," in pair else pair for pair in pairs)

    def completed(self, available: Sequence[str]) -> "CsvMapping":
        """Return this mapping with guesses for the fields it does not name.

        Raises:
            InvalidInputError: a named column is not in the table, or a
                required field has none; lists the columns and a suggestion.
        """
        guessed = CsvMapping.guess(column for column in available if column not in self.columns.values())
        columns = {**guessed.columns, **self.columns}
        absent = [column for column in self.columns.values() if column not in available]
        missing = [name for name in REQUIRED if name not in columns]
        if absent or missing:
            fault = f"there is no column {absent[0]!r}" if absent else f"no column is known for {', '.join(missing)}"
            wanted = {name: guessed.columns.get(name, "?") for name in REQUIRED} | dict(guessed.columns)
            raise InvalidInputError(
                f"{fault}; the columns are: {', '.join(available)}. "
                f"Suggested: --map {CsvMapping(columns=wanted).written()}"
            )
        return CsvMapping(columns=columns, date_format=self.date_format, timezone=self.timezone)


def _plain(name: str) -> str:
    return " ".join("".join(character if character.isalnum() else " " for character in name.lower()).split())
