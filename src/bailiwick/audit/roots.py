"""Signed roots: from time to time the installation signs where every chain stands."""

from collections.abc import AsyncIterator
from typing import Any

from bailiwick.audit.canonical import digest, root_content
from bailiwick.audit.keys import AuditKeys
from bailiwick.audit.model import Root
from bailiwick.storage import Database, Row

_APPEND = "select audit_append_root(%s, %s, %s, %s, decode(%s, 'hex'), %s, %s, %s) as is_new"
_FIELDS = "number, seq, content, encode(hash, 'hex') as hash, signature, kid, signed_at"
_BLOCK = 1000


class AuditRoots:
    """Signs and reads roots. A root is never changed, and names the hash of the root before it."""

    def __init__(self, database: Database, keys: AuditKeys) -> None:
        self._database = database
        self.keys = keys

    async def sign(self, organization_id: str | None = None) -> list[Root]:
        """Sign the end of every chain that went on since its last root, or of one organization's if it did.

        Another process that signs at the same moment does no harm: one root is kept.

        Raises:
            MasterKeyError: the signing key cannot be opened.
        """
        heads = await self.heads(moved=True)
        if organization_id is not None:
            heads = [head for head in heads if head["organization_id"] == organization_id]
        if not heads:
            return []
        key = await self.keys.current()
        signed: list[Root] = []
        for head in heads:
            root = Root(head["organization_id"], head["root_number"] + 1, head["seq"], head["at"], key.kid)
            content = root_content(
                root.organization_id, number=root.number, seq=root.seq, entry_hash=head["hash"],
                previous=head["root_hash"], kid=key.kid, at=root.signed_at,
            )  # fmt: skip
            row = await self._database.fetch_one(
                _APPEND,
                (
                    root.organization_id, root.number, root.seq, content.decode(), digest(content), key.sign(content),
                    key.kid, root.signed_at,
                ),
            )  # fmt: skip
            if row is not None and row["is_new"]:
                signed.append(root)
        return signed

    async def heads(self, *, moved: bool = False, organization_id: str | None = None) -> list[Row]:
        """Return where chains stand, by organization; with ``moved`` those that went on since their last root."""
        found = await self._database.fetch_all(
            "select organization_id, seq, encode(hash, 'hex') as hash, root_number, root_seq, "
            "encode(root_hash, 'hex') as root_hash, at from audit_heads(%s)",
            (moved,),
        )
        return [head for head in found if organization_id in (None, head["organization_id"])]

    async def rows(self, organization_id: str) -> AsyncIterator[Row]:
        """Yield an organization's roots in order, a block at a time."""
        number = 0
        while True:
            rows: list[dict[str, Any]] = await self._database.fetch_all(
                f"select {_FIELDS} from audit_roots where organization_id = %s and number > %s "
                "order by number limit %s",
                (organization_id, number, _BLOCK),
                organization_id=organization_id,
            )
            for row in rows:
                yield row
            if len(rows) < _BLOCK:
                return
            number = rows[-1]["number"]
