"""Finds what is about a person in texts and documents, and takes exactly that out.

By exact tokens: ``ann`` is not in ``annabel`` nor in ``ann-marie``, and
``ann@acme.test`` not in ``joann@acme.test``. A login counts where it stands
alone in a field, as a mention (``@ann``) or as a profile's address; as a bare
word of prose it is a word, unless it is declared as a name too.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from bailiwick.kernel.ids import parse_id
from bailiwick.privacy.identifiers import Identifier

MARKER = "[erased]"

# Fields whose strings are keys, states and names of kinds: what makes a record usable. In what came
# from a person's words they stay, less what names the person; every other string goes.
_KEPT_FIELDS = frozenset({
    "id", "key", "type", "kind", "state", "status", "source", "repository", "number", "url", "external_id", "labels",
    "priority", "department", "operation", "agent", "author", "assignees", "purpose", "certainty", "decision", "actor",
    "state_reason", "currency", "unit", "code", "error", "where", "passed", "failed", "not_measured", "target",
    "class", "before", "after", "by", "version", "language", "direction",
})  # fmt: skip
_KEPT_ENDINGS = ("_id", "_ids", "_at", "_key", "_keys", "_status", "_kind", "_source", "_of", "_unit", "_version")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.]+(Z|[+-]\d{2}:?\d{2})?)?")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

# Told of every string that is about the person: where it stands, and what it says.
Noticed = Callable[[str, str], None]


class Redaction:
    """What one person is known by, ready to be searched for; ``marker`` is written in its place."""

    def __init__(self, identifiers: Iterable[Identifier], marker: str = MARKER) -> None:
        self._marker = marker
        self._identifiers = tuple(identifiers)
        self._logins = frozenset(one.value for one in self._identifiers if one.kind == "login")
        self._whole = frozenset(one.value.lower() for one in self._identifiers)
        self._tokens = _pattern(map(_token, self._identifiers))
        self._bare = _pattern(map(_bare, self._logins))

    @property
    def names(self) -> list[str]:
        """Everything the person is known by, in small letters."""
        return sorted(self._whole)

    @property
    def users(self) -> list[str]:
        """The ids of the person's accounts."""
        return [one.value for one in self._identifiers if one.kind == "user"]

    @property
    def patterns(self) -> list[str]:
        """Patterns for LIKE that match every row in which something may be found, and some more."""
        forms: set[str] = set()
        for one in self._identifiers:
            for text in {one.value, orjson.dumps(one.value).decode()[1:-1]}:
                forms.add(f"%{_like(text)}%")
        return sorted(forms)

    def is_author(self, document: Mapping[str, Any]) -> bool | None:
        """Tell whether the person wrote an object; None where it names no author."""
        author = document.get("author")
        if author is None and isinstance(user := document.get("user"), dict):
            author = cast("dict[str, Any]", user).get("login")
        if not isinstance(author, str):
            return None
        return author.strip().removeprefix("@").lower() in self._whole

    def text(self, value: str, *, is_theirs: bool = False) -> str:
        """Return a text without what names the person; all of it goes if it ``is_theirs``."""
        if is_theirs and value.strip():
            return self._marker
        if value.strip().removeprefix("@").lower() in self._whole:
            return self._marker
        return value if self._tokens is None else self._tokens.sub(self._marker, value)

    def document(self, value: Any, *, is_theirs: bool = False, noticed: Noticed | None = None) -> Any:
        """Return a JSON value without what is about the person.

        ``is_theirs`` is a document that came from the person's words. An object
        that names its author is theirs or somebody else's by that name.
        """
        return _Walk(self, noticed).value(value, "", "", is_theirs)

    def raw(self, data: bytes, noticed: Noticed | None = None) -> bytes | None:
        """Return bytes without what is about the person, or None where they must go as a whole.

        They go if the person wrote them, or names the person in a form that cannot be taken apart.
        """
        text = data.decode("utf-8", "replace")
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            plain = _UNICODE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
            is_named = any(p is not None and p.search(plain) for p in (self._tokens, self._bare))
            if is_named and noticed is not None:
                noticed("", text)
            return None if is_named else data
        if isinstance(document, dict) and self.is_author(cast("dict[str, Any]", document)):
            if noticed is not None:
                noticed("", text)
            return None
        changed = self.document(document, noticed=noticed)
        return data if changed == document else orjson.dumps(changed)


class _Walk:
    def __init__(self, redaction: Redaction, noticed: Noticed | None) -> None:
        self._redaction = redaction
        self._noticed = noticed

    def value(self, value: Any, field: str, path: str, is_theirs: bool) -> Any:
        if isinstance(value, str):
            return self._string(value, field, path, is_theirs)
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self.value(item, field, f"{path}[{place}]", is_theirs) for place, item in enumerate(items)]
        if isinstance(value, dict):
            return self._object(cast("dict[str, Any]", value), path, is_theirs)
        return value

    def _object(self, value: dict[str, Any], path: str, is_theirs: bool) -> dict[str, Any]:
        wrote = self._redaction.is_author(value)
        theirs = is_theirs if wrote is None else wrote
        made: dict[str, Any] = {}
        for name, entry in value.items():
            key = self._redaction.text(name)
            if key != name and self._noticed is not None:
                self._noticed(f"{path}.{name}".lstrip("."), name)
            while key in made:
                # Two fields may be named by the person; neither may be lost.
                key += "'"
            made[key] = self.value(entry, name, f"{path}.{name}".lstrip("."), theirs)
        return made

    def _string(self, value: str, field: str, path: str, is_theirs: bool) -> str:
        is_prose = is_theirs and not _is_kept(field, value)
        changed = self._redaction.text(value, is_theirs=is_prose)
        if changed != value and self._noticed is not None:
            self._noticed(path, value)
        return changed


def _is_kept(field: str, value: str) -> bool:
    if field in _KEPT_FIELDS or field.endswith(_KEPT_ENDINGS):
        return True
    return parse_id(value) is not None or _MOMENT.fullmatch(value) is not None


def _pattern(sources: Iterable[str]) -> re.Pattern[str] | None:
    alternatives = sorted(sources, key=len, reverse=True)
    return re.compile("|".join(alternatives), re.IGNORECASE) if alternatives else None


def _token(identifier: Identifier) -> str:
    value = re.escape(identifier.value)
    if identifier.kind == "email":
        return rf"(?<![\w.+@-]){value}(?![\w@-]|\.\w)"
    if identifier.kind == "user":
        return rf"(?<![\w-]){value}(?![\w-])"
    if identifier.kind == "name":
        spaced = r"\s+".join(re.escape(word) for word in identifier.value.split())
        return rf"(?<!\w)(?<!\w[-'’]){spaced}(?!\w|[-'’]\w)"
    # A mention, or the address of a profile; a repository's address names the repository.
    return rf"(?<![\w@.])@{value}(?![\w@/-]|\.\w)|(?<=github\.com/){value}(?![\w/-]|\.\w)"


def _bare(login: str) -> str:
    return rf"(?<![\w@.-]){re.escape(login)}(?![\w@-]|\.\w)"


def _like(text: str) -> str:
    """Return a pattern for what may be found: any space for a space, any letter where cases are hard to tell."""
    made: Sequence[str] = [
        "%" if letter.isspace() else f"\\{letter}" if letter in "%_\\" else letter if letter.isascii() else "_"
        for letter in text
    ]
    return "".join(made)
