"""Finds credentials in text by their published formats, and by entropy beside a telling name. Reported masked only."""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from bailiwick.packs.operations.departments.body import Line

MIN_ENTROPY_BITS = 3.0
"""Shannon bits per character below which a value beside a telling name is taken for a word, not a secret."""


@dataclass(frozen=True, slots=True)
class SecretFinding:
    """A credential at a place; ``masked`` keeps at most four characters of a known prefix."""

    kind: str
    source: str
    masked: str
    certain: bool


# Formats as their issuers publish them. Every quantifier is bounded and every pattern begins with a literal.
_FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AWS access key id", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\bgh[pousr]_[0-9A-Za-z]{36}\b")),
    ("GitHub fine-grained token", re.compile(r"\bgithub_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}\b")),
    ("GitLab token", re.compile(r"\bglpat-[0-9A-Za-z_-]{20}(?![0-9A-Za-z_-])")),
    ("Slack token", re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,200}")),
    (
        "Slack webhook",
        re.compile(r"https://hooks\.slack\.com/services/T[0-9A-Z]{8,12}/B[0-9A-Z]{8,12}/[0-9A-Za-z]{20,40}"),
    ),
    ("Stripe key", re.compile(r"\b[sr]k_live_[0-9A-Za-z]{16,120}\b")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])")),
    ("npm token", re.compile(r"\bnpm_[0-9A-Za-z]{36}\b")),
    ("PyPI token", re.compile(r"\bpypi-AgEI[0-9A-Za-z_-]{50,500}")),
    ("SendGrid key", re.compile(r"\bSG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}")),
    ("private key", re.compile(r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED |PGP )?PRIVATE KEY(?: BLOCK)?-----")),
    (
        "credentials in a URL",
        re.compile(r"\b[a-z][a-z0-9+]{1,15}://[^\s/:@'\"<>]{1,60}:[^\s/:@'\"<>]{3,100}@[\w.-]{1,200}"),
    ),
)
# What is left of a token where our own log took the rest out before it was stored.
_TAKEN_OUT: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AWS access key id", re.compile(r"\b(?:AKIA|ASIA)\*\*\*")),
    ("GitHub token", re.compile(r"\bgh[pousr]_\*\*\*")),
    ("GitHub fine-grained token", re.compile(r"\bgithub_pat_\*\*\*")),
    ("JSON web token", re.compile(r"\beyJ\*\*\*")),
    ("credentials in a URL", re.compile(r"\b[a-z][a-z0-9+]{1,15}://[^\s/:@'\"<>]{0,60}:\*\*\*@[\w.-]{1,200}")),
)
_WEB_TOKEN = re.compile(r"\beyJ[0-9A-Za-z_-]{10,400}\.[0-9A-Za-z_-]{10,2000}\.[0-9A-Za-z_-]{10,1000}")
_NAMED = re.compile(
    r"(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?['\"]?\s{0,4}(?::=|=>|[:=])\s{0,4}"
    r"(?:['\"]([^'\"\s]{8,200})['\"]|([^\s'\",;]{8,200}))",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"example|placeholder|change_?me|your|dummy|sample|xxx|\*\*\*|\.\.\.|<|\$\{|\{\{|\$\(|process\.env|os\.environ|getenv|redacted|masked|null|undefined",
    re.IGNORECASE,
)


def find_secrets(lines: Iterable[Line]) -> Iterator[SecretFinding]:
    """Yield credentials: ``certain`` by format, otherwise a high-entropy value named like a secret.

    Placeholders (``<token>``, ``${TOKEN}``, ``example``) do not count. The value itself is never returned.
    """
    for line in lines:
        yield from _in_line(line)


def entropy_bits(text: str) -> float:
    """Return the Shannon entropy of the characters, in bits per character."""
    total = len(text)
    return -sum(count / total * math.log2(count / total) for count in Counter(text).values()) if total else 0.0


def mask(value: str, keep: int = 4) -> str:
    """Return a value with all but its first ``keep`` characters hidden, and its length."""
    return f"{value[:keep]}… ({len(value)} characters)"


def _in_line(line: Line) -> Iterator[SecretFinding]:
    taken: list[tuple[int, int]] = []
    for kind, pattern in _FORMATS:
        for found in pattern.finditer(line.text):
            if kind == "credentials in a URL" and _PLACEHOLDER.search(found.group()):
                continue
            taken.append(found.span())
            yield SecretFinding(kind, line.source, _masked(kind, found.group()), certain=True)
    for kind, pattern in _TAKEN_OUT:
        for found in pattern.finditer(line.text):
            taken.append(found.span())
            yield SecretFinding(kind, line.source, found.group(), certain=True)
    for found in _WEB_TOKEN.finditer(line.text):
        if _is_web_token(found.group()):
            taken.append(found.span())
            yield SecretFinding("JSON web token", line.source, mask(found.group()), certain=True)
    for found in _NAMED.finditer(line.text):
        value = found.group(1) or found.group(2)
        overlaps = any(start < found.end() and found.start() < end for start, end in taken)
        if not overlaps and _looks_secret(value, quoted=found.group(1) is not None):
            yield SecretFinding("value named like a secret", line.source, mask(value, keep=0), certain=False)


def _masked(kind: str, value: str) -> str:
    if kind == "private key":
        return value
    if kind == "credentials in a URL":
        return f"{value.partition('://')[0]}://…@{value.rpartition('@')[2]}"
    return mask(value)


def _looks_secret(value: str, *, quoted: bool) -> bool:
    if _PLACEHOLDER.search(value) or entropy_bits(value) < MIN_ENTROPY_BITS:
        return False
    # A bare word after "token:" is prose; a bare value counts when it mixes letters and digits, as keys do.
    has_digit = any(char.isdigit() for char in value)
    return has_digit and any(char.isalpha() for char in value) if not quoted else True


def _is_web_token(token: str) -> bool:
    head = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header
