"""A passkey authenticator in software: real keys, real signatures, and every value open to tampering."""

import base64
import hashlib
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


@dataclass
class _Kept:
    credential_id: bytes
    key: ec.EllipticCurvePrivateKey
    rp_id: str
    user_handle: bytes
    counter: int = 0


@dataclass
class Authenticator:
    """Makes and uses passkeys as a browser with a security key would; attributes bend the next answer."""

    origin: str
    verifies_user: bool = True
    counts: bool = True
    rp_id: str | None = None
    challenge: bytes | None = None
    user_handle: bytes | None = None
    kept: list[_Kept] = field(default_factory=list[_Kept])

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """What navigator.credentials.create returns, in its JSON form."""
        one = _Kept(
            os.urandom(32),
            ec.generate_private_key(ec.SECP256R1()),
            self.rp_id or options["rp"]["id"],
            unb64(options["user"]["id"]),
        )
        self.kept.append(one)
        numbers = one.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(one.credential_id)) + one.credential_id + cbor2.dumps(cose)
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._data(one, _ATTESTED) + attested}
        return {
            "id": b64(one.credential_id),
            "rawId": b64(one.credential_id),
            "type": "public-key",
            "response": {
                "clientDataJSON": b64(self._client_data("webauthn.create", options)),
                "attestationObject": b64(cbor2.dumps(attestation)),
                "transports": ["usb", "internal"],
            },
        }

    def get(self, options: dict[str, Any], *, which: int = -1) -> dict[str, Any]:
        """What navigator.credentials.get returns, in its JSON form."""
        one = self.kept[which]
        if self.counts:
            one.counter += 1
        client_data = self._client_data("webauthn.get", options)
        data = self._data(one, 0)
        signature = one.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return {
            "id": b64(one.credential_id),
            "rawId": b64(one.credential_id),
            "type": "public-key",
            "response": {
                "clientDataJSON": b64(client_data),
                "authenticatorData": b64(data),
                "signature": b64(signature),
                "userHandle": b64(self.user_handle or one.user_handle),
            },
        }

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        challenge = options["challenge"] if self.challenge is None else b64(self.challenge)
        return orjson.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False})

    def _data(self, one: _Kept, flags: int) -> bytes:
        flags |= _PRESENT | (_VERIFIED if self.verifies_user else 0)
        party = hashlib.sha256((self.rp_id or one.rp_id).encode()).digest()
        return party + bytes([flags]) + struct.pack(">I", one.counter)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
