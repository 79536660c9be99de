"""The lines of an export: a header with the public keys, entries with their roots, and a signed end.

Every line is one canonical JSON object. A root follows the entry it is over.
The end holds the SHA-256 of all bytes before it, so that nothing at all can be
changed unseen; the chain and the roots tell where.
"""

from typing import Any

from bailiwick.audit.canonical import canonical
from bailiwick.audit.ed25519 import PublicKey, SigningKey, to_text

FORMAT = "bailiwick-audit/1"


def header_line(*, organization_id: str, slug: str, exported_at: str, keys: list[PublicKey]) -> bytes:
    """Return the first line."""
    document: dict[str, Any] = {
        "content": {
            "exported_at": exported_at,
            "format": FORMAT,
            "keys": [key_document(key) for key in keys],
            "organization": slug,
            "organization_id": organization_id,
        },
        "type": "header",
    }
    return canonical(document) + b"\n"


def entry_line(content: bytes, entry_hash: str) -> bytes:
    """Return the line of an entry whose canonical content is given."""
    return b'{"content":%b,"hash":"%b","type":"entry"}\n' % (content, entry_hash.encode())


def root_line(content: bytes, root_hash: str, signature: bytes) -> bytes:
    """Return the line of a root."""
    return b'{"content":%b,"hash":"%b","signature":"%b","type":"root"}\n' % (
        content, root_hash.encode(), to_text(signature).encode(),
    )  # fmt: skip


def end_line(*, organization_id: str, digest: str, entries: int, roots: int, key: SigningKey) -> bytes:
    """Return the last line; ``digest`` is over all lines before it."""
    content = canonical(
        {"digest": digest, "entries": entries, "kid": key.kid, "organization_id": organization_id, "roots": roots}
    )
    signature = to_text(key.sign(content)).encode()
    return b'{"content":%b,"signature":"%b","type":"end"}\n' % (content, signature)


def key_document(key: PublicKey) -> dict[str, Any]:
    """Return a public key as exports hold it; ``checking.read_key`` reads it."""
    return {
        "endorsement": None if key.endorsement is None else to_text(key.endorsement),
        "signature": to_text(key.signature),
        "statement": key.statement.decode(),
    }
