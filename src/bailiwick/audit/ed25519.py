"""Ed25519 (RFC 8032) for roots and exports. cryptography is loaded at the first signature, not at import."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bailiwick.audit.canonical import canonical, moment
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.loading import load

_KEY_BYTES = 32
# On an event loop, load it ahead with `loaded`.
PRIMITIVES = "cryptography.hazmat.primitives.asymmetric.ed25519"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of the installation's line: signed by itself, and by the key before it."""

    number: int
    kid: str
    public_key: bytes
    statement: bytes
    signature: bytes
    endorsement: bytes | None

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Tell whether the signature over ``content`` is this key's."""
        invalid: type[Exception] = load("cryptography.exceptions").InvalidSignature
        try:
            load(PRIMITIVES).Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, content)
        except invalid:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key that signs now."""

    kid: str
    number: int
    private_key: bytes

    def sign(self, content: bytes) -> bytes:
        """Return the signature over ``content``, 64 bytes."""
        signature: bytes = load(PRIMITIVES).Ed25519PrivateKey.from_private_bytes(self.private_key).sign(content)
        return signature


def new_key(predecessor: SigningKey | None, at: datetime) -> tuple[SigningKey, PublicKey]:
    """Return a new key, endorsed by its predecessor."""
    private: Any = load(PRIMITIVES).Ed25519PrivateKey.generate()
    public_key: bytes = private.public_key().public_bytes_raw()
    number = 1 if predecessor is None else predecessor.number + 1
    key = SigningKey(kid_of(public_key), number, private.private_bytes_raw())
    statement = statement_of(
        number=number, public_key=public_key, predecessor=None if predecessor is None else predecessor.kid, at=at
    )
    endorsement = None if predecessor is None else predecessor.sign(statement)
    return key, PublicKey(number, key.kid, public_key, statement, key.sign(statement), endorsement)


def statement_of(*, number: int, public_key: bytes, predecessor: str | None, at: datetime) -> bytes:
    """Return what a key and its predecessor sign when the key begins."""
    document: dict[str, Any] = {
        "created_at": moment(at),
        "kid": kid_of(public_key),
        "number": number,
        "predecessor": predecessor,
        "public_key": to_text(public_key),
    }
    return canonical(document)


def kid_of(public_key: bytes) -> str:
    """Return a key's id: the first half of its SHA-256, so that an id stands for one key only."""
    return hashlib.sha256(public_key).hexdigest()[:32]


def to_text(value: bytes) -> str:
    """Return bytes as they are printed and exported, in base64."""
    return base64.b64encode(value).decode()


def from_text(text: str) -> bytes:
    """Return the bytes of base64 text; raise ValueError when it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def parse_public_key(text: str) -> bytes:
    """Return the public key that a person gave.

    Raises:
        InvalidInputError: it is no Ed25519 public key in base64.
    """
    try:
        key = from_text(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise InvalidInputError("that is no public key; give what `bailiwick audit key` prints, 44 characters")
    return key
