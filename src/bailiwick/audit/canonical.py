"""The canonical JSON that is hashed and signed, and the documents that have one.

Canonical is: object names sorted by code point, no white space, UTF-8 without
needless escapes, numbers in their shortest form that reads back the same. That
is RFC 8785 but for names outside the Basic Multilingual Plane, which RFC 8785
sorts by UTF-16 units. Moments are UTC to the microsecond: 2026-11-21T08:30:00.000000Z.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson

ZERO = "0" * 64

_SORTED = orjson.OPT_SORT_KEYS


def canonical(document: object) -> bytes:
    """Return the canonical JSON of plain data; raise orjson.JSONEncodeError for what JSON cannot hold."""
    return orjson.dumps(document, option=_SORTED)


def digest(content: bytes) -> str:
    """Return the hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def moment(at: datetime) -> str:
    """Return a moment as it stands in canonical documents."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def entry_content(organization_id: str, seq: int, act: bytes, previous: str, at: datetime) -> bytes:
    """Return what an entry's hash is over; ``act`` is canonical already. The database builds the same text."""
    return b'{"act":%b,"organization_id":"%b","previous":"%b","recorded_at":"%b","seq":%d}' % (
        act, organization_id.encode(), previous.encode(), moment(at).encode(), seq,
    )  # fmt: skip


def root_content(
    organization_id: str, *, number: int, seq: int, entry_hash: str, previous: str, kid: str, at: datetime
) -> bytes:
    """Return what a root's signature and hash are over; ``previous`` is the hash of the root before."""
    document: dict[str, Any] = {
        "entry_hash": entry_hash,
        "kid": kid,
        "number": number,
        "organization_id": organization_id,
        "previous": previous,
        "seq": seq,
        "signed_at": moment(at),
    }
    return canonical(document)
