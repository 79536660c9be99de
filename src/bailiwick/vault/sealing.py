"""The sealed format: AES-256-GCM (NIST SP 800-38D) with a random nonce, bound to where the value belongs.

    version (1 byte, 0x01) | data key id (16) | nonce (12) | ciphertext | tag (16)

What is bound as associated data: version, key id, organization, purpose and
subject. A value moved to another organization, column, row or person does not
open. With random 96-bit nonces one key is good for 2^32 seals.
"""

import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailiwick.vault.errors import SealBrokenError

KEY_BYTES = 32
OVERHEAD_BYTES = 1 + 16 + 12 + 16
_VERSION = 1
_KEY_ID_END = 17
_NONCE_END = 29
_BROKEN = "this sealed value was changed, or was sealed for another organization, purpose or person; it stays closed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs."""

    organization_id: str
    purpose: str
    subject_id: str | None

    def encoded(self) -> bytes:
        """Return the place as bytes that no other place has: each part after its length, None apart from empty."""
        subject = b"\0" if self.subject_id is None else b"\1" + self.subject_id.encode()
        parts = (UUID(self.organization_id).bytes, self.purpose.encode(), subject)
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def seal(key: bytes, key_id: str, plaintext: bytes, place: Place) -> bytes:
    """Return ``plaintext`` sealed with a data key."""
    head = bytes((_VERSION,)) + UUID(key_id).bytes
    nonce = os.urandom(12)
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, head + place.encoded())


def key_id_of(sealed: bytes) -> str:
    """Return the id of the data key that opens a sealed value.

    Raises:
        SealBrokenError: this is no sealed value.
    """
    if len(sealed) < OVERHEAD_BYTES or sealed[0] != _VERSION:
        raise SealBrokenError("this is no sealed value, or one of a newer version of Bailiwick")
    return str(UUID(bytes=bytes(sealed[1:_KEY_ID_END])))


def open_sealed(key: bytes, sealed: bytes, place: Place) -> bytes:
    """Return what was sealed.

    Raises:
        SealBrokenError: a byte was changed, or it was sealed for another place or with another key.
    """
    head = sealed[:_KEY_ID_END]
    try:
        return AESGCM(key).decrypt(sealed[_KEY_ID_END:_NONCE_END], sealed[_NONCE_END:], bytes(head) + place.encoded())
    except InvalidTag as error:
        raise SealBrokenError(_BROKEN) from error
