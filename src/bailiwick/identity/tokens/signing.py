"""The keys that access tokens are signed with: made, rotated, and remembered for as long as a token may need them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import TokenRefusedError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.kernel.loading import loaded
from bailiwick.storage import Database
from bailiwick.vault import Vault

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

    from bailiwick.identity.tokens.access_tokens import AccessClaims

ACCESS_LIFETIME = timedelta(minutes=30)
ROTATE_AFTER = timedelta(days=90)
AUDIENCE = "bailiwick-api"
# Another process may sign with a retired key until it looks again.
_MEMORY_SECONDS = 60.0
# After this nothing that a retired key has signed can still be good.
_GRACE = ACCESS_LIFETIME + timedelta(seconds=2 * _MEMORY_SECONDS)
# How soon an unknown key's name is worth another look.
_LOOK_AGAIN_SECONDS = 1.0
_NONE = float("-inf")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed access token, its id and its end."""

    text: str
    id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SigningKeyRecord:
    """What is shown of a signing key."""

    kid: str
    algorithm: str
    created_at: datetime
    retired_at: datetime | None


class SigningKeys:
    """Signs access tokens and verifies them.

    One key signs; rotation puts another in its place and keeps the old one for
    verifying until the last token it signed has expired, so nobody is logged out.
    """

    def __init__(self, database: Database, vault: Vault, audit: AuditLog, *, issuer: str) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit
        self._issuer = issuer
        self._signer: tuple[str, OKPKey] | None = None
        self._signer_read_at = _NONE
        self._verifiers: dict[str, tuple[OKPKey, datetime | None]] = {}
        self._verifiers_read_at = _NONE

    async def sign(
        self, user_id: str, session_id: str, methods: Sequence[str], *, now: datetime | None = None
    ) -> AccessToken:
        """Return an access token, good for 30 minutes; the first key is made when it is needed."""
        jose = await _jose()
        kid, key = await self._current()
        issued = int((now or datetime.now(UTC)).timestamp())
        expires = issued + int(ACCESS_LIFETIME.total_seconds())
        token_id = new_id()
        claims = {
            "iss": self._issuer, "aud": AUDIENCE, "sub": user_id, "sid": session_id, "jti": token_id,
            "iat": issued, "nbf": issued, "exp": expires, "amr": list(methods),
        }  # fmt: skip
        return AccessToken(jose.sign(key, kid, claims), token_id, datetime.fromtimestamp(expires, tz=UTC))

    async def read(self, token: str, *, now: datetime | None = None) -> "AccessClaims":
        """Return what an access token says, verified; whether it was revoked is not looked at here.

        Raises:
            TokenExpiredError: its time is over.
            TokenRefusedError: it is forged, changed, not ours or not valid yet.
        """
        jose = await _jose()
        moment = now or datetime.now(UTC)
        kid = jose.kid_of(token)
        key, good_until = await self._verifier(kid)
        if good_until is not None and good_until <= moment:
            raise TokenRefusedError("the key that signed the token was retired; log in again")
        return jose.verify(token, key, issuer=self._issuer, audience=AUDIENCE, now=moment)

    async def rotate(self, *, actor: Actor) -> str:
        """Sign with a new key from now on and return its name; audited."""
        return await self._replace(actor, only_if=None)

    async def rotate_if_due(self, *, now: datetime | None = None) -> str | None:
        """Rotate a key that has signed for 90 days; return the new one's name, or None.

        Retired keys that no good token can need any more are removed.
        """
        moment = now or datetime.now(UTC)
        await self._database.execute("delete from signing_keys where retired_at < %s", (moment - _GRACE,))
        row = await self._database.fetch_one(
            "select kid from signing_keys where retired_at is null and created_at <= %s", (moment - ROTATE_AFTER,)
        )
        return None if row is None else await self._replace(SYSTEM, only_if=row["kid"])

    async def public_keys(self, *, now: datetime | None = None) -> list[dict[str, Any]]:
        """Return the keys by which a token can be verified, as JWKs (RFC 7517)."""
        rows = await self._database.fetch_all(
            "select public_key from signing_keys where retired_at is null or retired_at > %s order by created_at desc",
            ((now or datetime.now(UTC)) - _GRACE,),
        )
        return [row["public_key"] for row in rows]

    async def list(self) -> list[SigningKeyRecord]:
        """Return all keys that sign or verify, newest first; there are few."""
        rows = await self._database.fetch_all(
            "select kid, algorithm, created_at, retired_at from signing_keys order by created_at desc, kid"
        )
        return [SigningKeyRecord(**row) for row in rows]

    async def _current(self) -> "tuple[str, OKPKey]":
        if self._signer is not None and time.monotonic() < self._signer_read_at + _MEMORY_SECONDS:
            return self._signer
        asked_at = time.monotonic()
        row = await self._newest()
        if row is None:
            await self._replace(SYSTEM, only_if="")
            row = await self._newest()
            assert row is not None
        if self._signer is None or self._signer[0] != row["kid"]:
            opened = await self._vault.open(INSTALLATION, row["private_key"], purpose=_purpose(row["kid"]))
            self._signer = (row["kid"], (await _jose()).read_key(opened))
        self._signer_read_at = asked_at
        return self._signer

    async def _newest(self) -> dict[str, Any] | None:
        return await self._database.fetch_one("select kid, private_key from signing_keys where retired_at is null")

    async def _verifier(self, kid: str) -> "tuple[OKPKey, datetime | None]":
        age = time.monotonic() - self._verifiers_read_at
        if age > (_MEMORY_SECONDS if kid in self._verifiers else _LOOK_AGAIN_SECONDS):
            asked_at, jose = time.monotonic(), await _jose()
            rows = await self._database.fetch_all("select kid, public_key, retired_at from signing_keys")
            self._verifiers = {
                row["kid"]: (
                    jose.read_key(row["public_key"]),
                    None if row["retired_at"] is None else row["retired_at"] + _GRACE,
                )
                for row in rows
            }
            self._verifiers_read_at = asked_at
        found = self._verifiers.get(kid)
        if found is None:
            raise TokenRefusedError("the token is signed with a key that is not known here; log in again")
        return found

    async def _replace(self, actor: Actor, *, only_if: str | None) -> str:
        """Put a new key in the place of the current one; of ``only_if`` only, "" meaning that there is none yet."""
        jose = await _jose()
        key = jose.new_key()
        kid = str(key.kid)
        sealed = await self._vault.seal(INSTALLATION, jose.private_document(key), purpose=_purpose(kid))
        public = encode(jose.public_document(key), what="public key").decode()
        async with self._database.transaction(INSTALLATION) as connection:
            # One at a time: two processes that start together make one key.
            await connection.execute("select pg_advisory_xact_lock(hashtextextended('signing_keys', 0))")
            cursor = await connection.execute("select kid from signing_keys where retired_at is null")
            row = await cursor.fetchone()
            current = "" if row is None else str(row["kid"])
            if only_if not in (None, current):
                return current
            await connection.execute("update signing_keys set retired_at = now() where retired_at is null")
            await connection.execute(
                "insert into signing_keys (kid, algorithm, public_key, private_key) values (%s, %s, %s::jsonb, %s)",
                (kid, jose.ALGORITHM, public, sealed),
            )
            action = "signing_key.rotated" if current else "signing_key.created"
            before = {"kid": current} if current else None
            act = Act(INSTALLATION, action, actor, f"signing_key:{kid}", before=before, after={"kid": kid})
            await self._audit.record(act, connection=connection)
        self._signer, self._signer_read_at, self._verifiers_read_at = None, _NONE, _NONE
        return kid


def _purpose(kid: str) -> str:
    return f"signing_keys.private_key:{kid}"


async def _jose() -> Any:
    # When the first token passes, because it loads a cryptographic library.
    return await loaded("bailiwick.identity.tokens.access_tokens")
