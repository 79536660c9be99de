"""The installation's signing keys: one signs, all that ever did stay known."""

from contextlib import suppress
from datetime import UTC, datetime

import psycopg

from bailiwick.audit.ed25519 import PRIMITIVES, PublicKey, SigningKey, new_key, to_text
from bailiwick.audit.log import AuditLog
from bailiwick.audit.model import SYSTEM, Act, Actor
from bailiwick.kernel.errors import ConflictError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.kernel.loading import loaded
from bailiwick.storage import Database, Row
from bailiwick.vault import Vault


class AuditKeys:
    """Makes, reads and replaces the key that signs roots. The private key lies sealed in the database."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._log = AuditLog(database)

    async def current(self) -> SigningKey:
        """Return the key that signs now; make the first one where there is none.

        Raises:
            MasterKeyError: the vault's master key is missing or another one.
        """
        await loaded(PRIMITIVES)
        row = await self._newest()
        if row is None:
            # Where another process was quicker, its key serves as well.
            with suppress(ConflictError):
                await self._add(None, SYSTEM)
            row = await self._newest()
            assert row is not None
        private = await self._vault.open(INSTALLATION, row["sealed"], purpose=_purpose(row["kid"]))
        return SigningKey(row["kid"], row["number"], private)

    async def rotate(self, *, actor: Actor) -> PublicKey:
        """Begin a new key, endorsed by the present one, whose private half is destroyed.

        Raises:
            ConflictError: another process rotated just now.
        """
        return await self._add(await self.current(), actor)

    async def list(self) -> list[PublicKey]:
        """Return all public keys, oldest first."""
        await loaded(PRIMITIVES)
        rows = await self._database.fetch_all(
            "select number, kid, public_key, statement, signature, endorsement from audit_keys order by number"
        )
        return [PublicKey(**{**row, "statement": row["statement"].encode()}) for row in rows]

    async def _newest(self) -> Row | None:
        return await self._database.fetch_one(
            "select k.kid, k.number, s.sealed from audit_keys k join audit_key_secrets s using (kid) "
            "order by k.number desc limit 1"
        )

    async def _add(self, predecessor: SigningKey | None, actor: Actor) -> PublicKey:
        at = datetime.now(UTC)
        key, public = new_key(predecessor, at)
        sealed = await self._vault.seal(INSTALLATION, key.private_key, purpose=_purpose(key.kid))
        act = Act(
            INSTALLATION, "audit_key.created" if predecessor is None else "audit_key.rotated", actor,
            f"audit_key:{key.kid}", before=None if predecessor is None else {"kid": predecessor.kid},
            after={"kid": key.kid, "public_key": to_text(public.public_key)},
        )  # fmt: skip
        try:
            async with self._database.transaction(INSTALLATION) as connection:
                await connection.execute(
                    "insert into audit_keys (number, kid, public_key, statement, signature, endorsement, created_at) "
                    "values (%s, %s, %s, %s, %s, %s, %s)",
                    (
                        public.number, public.kid, public.public_key, public.statement.decode(), public.signature,
                        public.endorsement, at,
                    ),
                )  # fmt: skip
                if predecessor is not None:
                    await connection.execute("delete from audit_key_secrets where kid = %s", (predecessor.kid,))
                await connection.execute("insert into audit_key_secrets values (%s, %s)", (key.kid, sealed))
                await self._log.record(act, connection=connection)
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError(
                "another process began a signing key just now; look with: bailiwick audit key"
            ) from error
        return public


def _purpose(kid: str) -> str:
    return f"audit.signing:{kid}"
