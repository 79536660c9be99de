"""Takes secrets out of what is written down: logs, events, journals, errors, prompts.

Two ways to know a secret. By value: whatever this process opened or was
configured with is registered by `hide` and replaced wherever it appears, also
as it looks inside JSON or a URL. By form: keys and tokens whose issuers gave
them one, private keys, passwords in URLs; in text for people also headers.
What is left shows what kind of secret stood there: ``ghp_***``.
"""

import base64
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson
from pydantic import SecretStr

MARK = "***"
MIN_HIDDEN_CHARACTERS = 8
"""Shorter values are not replaced by value: they would take ordinary words out of every text."""
_LONGER_THAN_WORDS = 20
_CAPACITY = 1000
_MAX_HIDDEN_CHARACTERS = 4096

# What every secret of a form holds, the form, and what is written instead. No
# pattern can be made to read a text over and over: what varies is bounded, or
# ends where the next could begin.
_FORMS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    # Keys, refresh tokens and session cookies of our own.
    *((kind, re.compile(rf"\b({kind}[\w-]{{6}})[\w-]{{10,}}"), rf"\1{MARK}") for kind in ("bw_", "bwr_", "bws_")),
    *((f"gh{kind}_", re.compile(rf"\b(gh{kind}_)[0-9A-Za-z]{{20,}}"), rf"\1{MARK}") for kind in "pousr"),
    ("github_pat_", re.compile(r"\b(github_pat_)[0-9A-Za-z_]{20,}"), rf"\1{MARK}"),
    *((kind, re.compile(rf"\b({kind})[0-9A-Z]{{16}}\b"), rf"\1{MARK}") for kind in ("AKIA", "ASIA")),
    ("eyJ", re.compile(r"(?<![\w-])(eyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"), rf"\1{MARK}"),
    (
        "PRIVATE KEY",
        re.compile(
            r"(-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----)"
            r"(?:(?:(?!-----BEGIN)[^\"'`])*?-----END [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----"
            r"|(?:[A-Za-z0-9+/=\s]|\\[nr])*)"
        ),
        rf"\1{MARK}",
    ),
    (
        "://",
        re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s:/@\"'<>]{0,200}:)[^\s@\"'<>/\\]{1,400}(@)"),
        rf"\1{MARK}\2",
    ),
)
# One look at the bytes of a document: whether any of the above may be in it. It
# stops only at the rarest character of each: about 2 µs for 400 bytes.
_LOOK = re.compile(
    rb"[_IJK:](?:(?<=bw_)|(?<=bw[rs]_)|(?<=gh[pousr]_)|(?<=github_)pat_|(?<=A[KS]I)A|(?<=eyJ)|(?<=PRIVATE K)EY"
    rb"|(?<=:)//[^\s:/@\"'<>]{0,200}:)"
)
# Headers and the queries of URLs, only in texts for people: in a document
# "Cookie:" may be somebody's prose.
_HEADER_WORDS = re.compile(r"(?i)authorization|cookie|bearer|[?&#][\w-]{1,40}=")
_HEADERS = (
    re.compile(r"(?i)(\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|digest)\s+)?)[^\s\"',;]+"),
    re.compile(r"(?i)(\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)[^\s\"'=]{1,100}=[^\r\n\"']+"),
    re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]{16,}"),
    re.compile(r"(?i)([?&#](?:[\w-]{0,30}(?:token|secret|password|api_?key)|code)=)[^\s&#\"'<>]+"),
)
_FIELD = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|token|authorization|cookies?|credentials?"
    r"|(?:api|private|master|signing|encryption|access)[_-]?key)$"
)


class _Hidden:
    """The registered values of this process, in every form in which they may appear."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self.texts: tuple[str, ...] = ()
        # Those that a stored document is searched for; every one more costs on the hot path.
        self.encoded: tuple[bytes, ...] = ()

    def add(self, value: str) -> None:
        with self._lock:
            if value in self._values:
                self._values.move_to_end(value)
                return
            self._values[value] = _forms_of(value)
            if len(self._values) > _CAPACITY:
                self._values.popitem(last=False)
            # The longest first: one secret may be the beginning of another.
            forms = {form for forms in self._values.values() for form in forms}
            self.texts = tuple(sorted(forms, key=len, reverse=True))
            self.encoded = tuple({form.encode() for value in self._values for form in (value, _in_json(value))})


_hidden = _Hidden()


def hide(value: str | bytes | SecretStr | None) -> None:
    """Register a secret: from now on this process writes ``***`` in its place.

    Left out are values of fewer than ``MIN_HIDDEN_CHARACTERS`` or more than 4096,
    what is no text, and short words: a password such as ``postgres`` would take
    that word out of everything. Of more than 1000 the oldest are forgotten.
    """
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return
    if value is None:
        return
    # What UTF-8 cannot hold cannot be written down either.
    value = value.strip().encode("utf-8", "ignore").decode()
    is_word = value.isalpha() and len(value) < _LONGER_THAN_WORDS
    if MIN_HIDDEN_CHARACTERS <= len(value) <= _MAX_HIDDEN_CHARACTERS and not is_word:
        _hidden.add(value)


def redacted(text: str) -> str:
    """Return a text for people with every secret that can be recognized replaced."""
    text = _without(text)
    if _HEADER_WORDS.search(text):
        for header in _HEADERS:
            text = header.sub(rf"\1{MARK}", text)
    return text


def redact(document: Any) -> Any:
    """Return a document for people with its secrets replaced, those in fields named like one too.

    Mappings, sequences and texts are walked; numbers stay; anything else
    becomes its ``repr``. The document itself is not changed.
    """
    if isinstance(document, str):
        return redacted(document)
    if document is None or isinstance(document, bool | int | float):
        return document
    if isinstance(document, Mapping):
        return {name: MARK if _is_secret(name, value) else redact(value) for name, value in document.items()}
    if isinstance(document, list | tuple | set | frozenset):
        return [redact(value) for value in document]
    if isinstance(document, bytes | bytearray | memoryview):
        return f"{len(document)} bytes"
    return redacted(repr(document))


def redacted_json(encoded: bytes) -> bytes:
    """Return a JSON document to be stored with its secrets replaced, or the very same object if there are none.

    On the hot path of events and journals, so only what is certain counts:
    registered values and tokens of a published form, never a field's name.
    """
    for value in _hidden.encoded:
        if value in encoded:
            break
    else:
        if not _LOOK.search(encoded):
            return encoded
    return _without(encoded.decode()).encode()


def for_prompt(text: str) -> str:
    """Return what may be sent to a model of a text: everything but its secrets.

    Every prompt passes here, so that nothing a model repeats can be a secret.
    """
    return redacted(text)


def _without(text: str) -> str:
    for value in _hidden.texts:
        if value in text:
            text = text.replace(value, MARK)
    for sign, pattern, replacement in _FORMS:
        if sign in text:
            text = pattern.sub(replacement, text)
    return text


def _forms_of(value: str) -> tuple[str, ...]:
    """Return a value as it may appear: plain, inside JSON, in a URL, and as base64."""
    in_base64 = base64.b64encode(value.encode()).decode().rstrip("=")
    return (value, _in_json(value), quote(value, safe=""), in_base64)


def _in_json(value: str) -> str:
    return orjson.dumps(value).decode()[1:-1]


def _is_secret(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, str | bytes) and bool(value) and bool(_FIELD.search(name))
