"""YAML as entries that know their line. Safe: no tags, no anchors, no types but those of JSON, bounded depth."""

from dataclasses import dataclass
from typing import Any, cast

from bailiwick.kernel.errors import InvalidInputError

MAX_CHARACTERS = 1_000_000


class PolicySyntaxError(InvalidInputError):
    """A policy cannot be read; the message names the line and what to write instead."""

    code = "policy.invalid"


@dataclass(slots=True)
class Entry:
    """A value of a document: a mapping or list of entries, or a scalar; with its line and, of scalars, its text."""

    value: Any
    line: int
    text: str = ""

    def fail(self, message: str) -> PolicySyntaxError:
        """Return the error that says what is wrong here."""
        return PolicySyntaxError(f"line {self.line}: {message}")

    def plain(self) -> Any:
        """Return the value as JSON has it."""
        if isinstance(self.value, dict):
            return {name: entry.plain() for name, entry in cast("dict[str, Entry]", self.value).items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in cast("list[Entry]", self.value)]
        return self.value


def read_entries(text: str) -> Entry:
    """Return the one document of a text.

    Raises:
        PolicySyntaxError: it is too long, no YAML, several documents, or uses what only other YAML needs.
    """
    # PyYAML takes a while to import, and most processes start without reading a policy.
    from bailiwick.authority.policy.yaml_document import document_of  # noqa: PLC0415

    if len(text) > MAX_CHARACTERS:
        raise PolicySyntaxError(f"a policy has at most {MAX_CHARACTERS:,} characters, not {len(text):,}")
    return document_of(text)
