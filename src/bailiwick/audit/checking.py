"""Checks a chain link by link: entries, the roots over them, and the line of keys that signed."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import orjson

from bailiwick.audit.canonical import ZERO, canonical
from bailiwick.audit.ed25519 import PublicKey, from_text, kid_of

_ENTRY_NAMES = {"act", "organization_id", "previous", "recorded_at", "seq"}
_ACT_NAMES = {"action", "actor", "after", "before", "id", "reason", "target"}


class BrokenChainError(Exception):
    """Something is not as it was written; the message names the first place."""


class ChainCheck:
    """Takes a chain's entries and roots in order and refuses the first that does not fit."""

    def __init__(self, organization_id: str, keys: Sequence[PublicKey]) -> None:
        self.organization_id = organization_id
        self.seq = 0
        self.hash = ZERO
        self.roots = 0
        self.covered_seq = 0
        self.covered_at: datetime | None = None
        # When the first entry that no root covers was recorded.
        self.uncovered_since: datetime | None = None
        self._root_hash = ZERO
        self._keys = {key.kid: key for key in keys}

    def entry(self, content: bytes, written_hash: object) -> None:
        """Check the next entry: canonical content and the hash that stands beside it."""
        seq = self.seq + 1
        if hashlib.sha256(content).hexdigest() != written_hash:
            raise BrokenChainError(f"entry {seq}: its hash does not fit its content, so it was edited")
        document = orjson.loads(content)
        self._check_place(document, seq)
        if self.uncovered_since is None:
            self.uncovered_since = datetime.fromisoformat(document["recorded_at"])
        self.seq, self.hash = seq, cast("str", written_hash)

    def _check_place(self, document: dict[str, Any], seq: int) -> None:
        if set(document) != _ENTRY_NAMES or not isinstance(document["act"], dict) or set(document["act"]) != _ACT_NAMES:
            raise BrokenChainError(f"entry {seq}: its fields are not those of an entry")
        if document["organization_id"] != self.organization_id:
            raise BrokenChainError(f"entry {seq}: it belongs to another organization")
        if document["seq"] != seq:
            raise BrokenChainError(
                f"entry {seq}: number {document['seq']} stands in its place; one was removed or moved"
            )
        if document["previous"] != self.hash:
            raise BrokenChainError(f"entry {seq}: it does not continue the entry before it")

    def root(self, content: bytes, written_hash: object, signature: bytes) -> None:
        """Check the next root, which must be over the last entry."""
        number = self.roots + 1
        document = orjson.loads(content)
        if not isinstance(document, dict):
            raise BrokenChainError(f"root {number}: it is no object")
        key = self._keys.get(str(document.get("kid")))
        if key is None or not key.verifies(signature, content):
            raise BrokenChainError(
                f"root {number} (entry {self.seq}): its signature is not by a key of this installation"
            )
        if hashlib.sha256(content).hexdigest() != written_hash:
            raise BrokenChainError(f"root {number}: its hash does not fit its content")
        expected = {
            "organization_id": self.organization_id, "number": number, "previous": self._root_hash,
            "seq": self.seq, "entry_hash": self.hash,
        }  # fmt: skip
        for name, value in expected.items():
            if document.get(name) != value:
                raise BrokenChainError(
                    f"root {number}: its {name} is {document.get(name)!r}, not {value!r}; entries or roots are missing"
                )
        self.roots = number
        self._root_hash = cast("str", written_hash)
        self.covered_seq = self.seq
        self.covered_at = datetime.fromisoformat(document["signed_at"])
        self.uncovered_since = None


def check_keys(keys: Sequence[PublicKey], trusted: bytes | None) -> None:
    """Check that keys are one unbroken line, and that the ``trusted`` one, if given, is in it.

    Each key signs its own beginning, naming the one before; the one before
    endorses it. So trust in any of them is trust in all.

    Raises:
        BrokenChainError: they are not.
    """
    before: PublicKey | None = None
    for number, key in enumerate(keys, 1):
        document = orjson.loads(key.statement)
        expected = {"number": number, "kid": kid_of(key.public_key), "predecessor": before.kid if before else None}
        if any(document.get(name) != value for name, value in expected.items()):
            raise BrokenChainError(f"key {number}: it does not continue the line of keys")
        if not key.verifies(key.signature, key.statement):
            raise BrokenChainError(f"key {number}: it did not sign its own statement")
        if before is not None and not (key.endorsement and before.verifies(key.endorsement, key.statement)):
            raise BrokenChainError(f"key {number}: the key before it did not endorse it")
        before = key
    if trusted is not None and all(key.public_key != trusted for key in keys):
        raise BrokenChainError("the given key is none of those that signed this; it is from another installation")


def read_key(document: Any) -> PublicKey:
    """Return a key from its exported form; raise ValueError or KeyError where it is none."""
    statement = document["statement"].encode()
    fields = orjson.loads(statement)
    if canonical(fields) != statement:
        raise ValueError("a key's statement is not canonical")
    endorsement = document["endorsement"]
    return PublicKey(
        number=fields["number"],
        kid=fields["kid"],
        public_key=from_text(fields["public_key"]),
        statement=statement,
        signature=from_text(document["signature"]),
        endorsement=None if endorsement is None else from_text(endorsement),
    )
