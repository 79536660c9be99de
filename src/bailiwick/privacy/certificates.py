"""Certificates of erasure: signed documents that can be checked without this installation.

The signature is Ed25519 (RFC 8032) over the canonical JSON of the statement:
sorted names, no spaces, UTF-8. Its SHA-256 also stands in the audit log, whose
chain says when it was made.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.kernel.loading import loaded
from bailiwick.storage import Database
from bailiwick.vault import Vault

FORMAT = "bailiwick-erasure-certificate/1"
_SEALED_AS = "privacy.certificate_key"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking a certificate found. ``is_ours`` None: this installation's keys were not asked."""

    is_valid: bool
    reason: str
    key_id: str
    is_ours: bool | None = None


class Certificates:
    """Signs certificates with this installation's key, made at first use."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def sign(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``{statement, sha256, signature, key_id, public_key}``."""
        await loaded("cryptography.hazmat.primitives.asymmetric.ed25519")
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - heavy, and rarely needed

        key_id, public, private = await self._key()
        data = canonical(statement)
        return {
            "statement": dict(statement),
            "sha256": hashlib.sha256(data).hexdigest(),
            "signature": ed25519.Ed25519PrivateKey.from_private_bytes(private).sign(data).hex(),
            "key_id": key_id,
            "public_key": public.hex(),
        }

    async def verify(self, document: object) -> Verdict:
        """Check a certificate, and whether a key of this installation signed it."""
        verdict = verify(document)
        row = await self._database.fetch_one(
            "select public_key from certificate_keys where id::text = %s", (verdict.key_id,)
        )
        public = "" if not verdict.is_valid else cast("dict[str, Any]", document)["public_key"]
        is_ours = row is not None and bytes(row["public_key"]).hex() == public
        reason = verdict.reason
        if verdict.is_valid and not is_ours:
            reason = "the signature is right, but by a key that is not of this installation"
        return Verdict(verdict.is_valid and is_ours, reason, verdict.key_id, is_ours)

    async def _key(self) -> tuple[str, bytes, bytes]:
        query = "select id, public_key, sealed from certificate_keys order by id limit 1"
        row = await self._database.fetch_one(query)
        if row is None:
            await self._make_key()
            # Another process may have made one too; all use the first.
            row = await self._database.fetch_one(query)
        assert row is not None
        private = await self._vault.open(INSTALLATION, bytes(row["sealed"]), purpose=_SEALED_AS)
        return row["id"], bytes(row["public_key"]), private

    async def _make_key(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - loaded by who calls this

        key = ed25519.Ed25519PrivateKey.generate()
        sealed = await self._vault.seal(INSTALLATION, key.private_bytes_raw(), purpose=_SEALED_AS)
        await self._database.execute(
            "insert into certificate_keys (id, public_key, sealed) values (%s, %s, %s)",
            (new_id(), key.public_key().public_bytes_raw(), sealed),
        )


def canonical(statement: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed."""
    return orjson.dumps(statement, option=orjson.OPT_SORT_KEYS)


def verify(document: object) -> Verdict:
    """Check a certificate by what it holds: nothing of it was changed since it was signed.

    Whose key signed it, it cannot say; compare ``key_id`` and the public key with the installation's.

    Raises:
        InvalidInputError: it is no certificate of erasure.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy, and rarely needed
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - as above

    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    statement = fields.get("statement")
    if not isinstance(statement, dict) or cast("dict[str, Any]", statement).get("format") != FORMAT:
        raise InvalidInputError(f"this is no certificate of erasure; its statement's format is {FORMAT!r}")
    data = canonical(cast("dict[str, Any]", statement))
    key_id = str(fields.get("key_id"))
    if hashlib.sha256(data).hexdigest() != fields.get("sha256"):
        return Verdict(False, "the statement is not the one that was signed: its hash differs", key_id)
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(fields.get("public_key"))))
        public.verify(bytes.fromhex(str(fields.get("signature"))), data)
    except (ValueError, InvalidSignature):
        return Verdict(False, "the signature is not that of the key in the certificate", key_id)
    return Verdict(True, "unchanged since it was signed", key_id)
