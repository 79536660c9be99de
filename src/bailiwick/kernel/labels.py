"""Labels: where content comes from, and who asked for work. They are joined and never taken away.

``untrusted:SOURCE`` marks text that came from outside the organization,
``by:KIND:ID`` who asked for the work: a user, a key, a service account;
``by:maker:PERSON`` who made the key or service account that asked.
"""

import re
from collections.abc import Collection, Iterable

from bailiwick.kernel.errors import InvalidInputError

NO_LABELS: frozenset[str] = frozenset()

_UNTRUSTED = "untrusted:"
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_LABEL = re.compile(rf"untrusted:{_SOURCE.pattern}|by:[a-z]{{1,20}}:[A-Za-z0-9][A-Za-z0-9_.:@-]{{0,199}}")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_.:@-]")


def untrusted(source: str) -> str:
    """Return the label of text that came from a source outside, such as ``github``.

    Raises:
        InvalidInputError: it is no lower-case name.
    """
    if not _SOURCE.fullmatch(source):
        raise InvalidInputError(
            f"{source!r} names no source; use up to 63 lower-case letters, digits, dots, hyphens or underscores"
        )
    return f"{_UNTRUSTED}{source}"


def by(kind: str, identifier: str) -> str:
    """Return the label of who asked for something: their kind and id, as the audit log names them."""
    # What no label may hold is replaced: two that look alike count as the same requester, which refuses more.
    return f"by:{kind}:{_NOT_IN_IDS.sub('_', identifier).lstrip('_.:@-')[:200] or 'unknown'}"


def is_untrusted(labels: Iterable[str]) -> bool:
    """Tell whether any of these labels marks text from outside."""
    return any(label.startswith(_UNTRUSTED) for label in labels)


def declared(labels: frozenset[str], source: str | None) -> frozenset[str]:
    """Return the labels of content that is declared to come from outside, whoever hands it over.

    ``source`` stands in where no door said where it came from; None: nothing is declared.
    """
    return labels if source is None or is_untrusted(labels) else labels | {untrusted(source)}


def checked(labels: Collection[str]) -> frozenset[str]:
    """Return labels as a set.

    Raises:
        InvalidInputError: one of them is none.
    """
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise InvalidInputError(f"{label!r} is no label; use untrusted:SOURCE or by:KIND:ID")
    return frozenset(labels)
