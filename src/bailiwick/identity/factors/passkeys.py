"""Passkeys (W3C Web Authentication, level 3): made, used, removed. The private key stays in the authenticator."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.factors.ceremonies import Ceremonies
from bailiwick.identity.factors.relying_party import RelyingParty
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError, UnauthorizedError
from bailiwick.kernel.ids import INSTALLATION, new_id, parse_id
from bailiwick.kernel.loading import loaded
from bailiwick.storage import Database, Row

if TYPE_CHECKING:
    from bailiwick.identity.factors import passkey_proofs

MAX_PASSKEYS = 20
MAX_NAME_CHARACTERS = 100
_REGISTERING, _SIGNING = "passkey.registering", "passkey.signing"
_LIFETIME_SECONDS = 300
_COLUMNS = "id, name, transports, is_backed_up, created_at, last_used_at"

# Alone it must be two factors in one: the device, and who holds it.
PasskeyUse = Literal["login", "second_factor"]


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey of a user; ``is_backed_up``: its authenticator keeps a copy elsewhere."""

    id: str
    name: str
    transports: list[str]
    is_backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class PasskeyOptions:
    """``ceremony`` names what was begun, ``options`` go to ``navigator.credentials`` as they are (JSON form)."""

    ceremony: str
    options: dict[str, Any]


class Passkeys:
    """The passkeys of all users."""

    def __init__(self, database: Database, audit: AuditLog, ceremonies: Ceremonies, public_url: str) -> None:
        self._database = database
        self._audit = audit
        self._ceremonies = ceremonies
        self._public_url = public_url

    @property
    def relying_party(self) -> RelyingParty:
        """Who passkeys are made for, or InvalidInputError where browsers would make none."""
        return RelyingParty.of(self._public_url)

    async def begin_registration(self, user_id: str, email: str, name: str) -> PasskeyOptions:
        """Return what a browser needs to make a passkey for a user, within five minutes.

        Raises:
            ConflictError: the user has as many as anybody may have.
        """
        proofs = await _proofs()
        known = await self._credentials(user_id)
        if len(known) >= MAX_PASSKEYS:
            raise ConflictError(f"nobody has more than {MAX_PASSKEYS} passkeys; remove one first")
        options, challenge = proofs.registration_options(
            self.relying_party, user_id=user_id, email=email, name=name, known=known
        )
        return await self._begin(_REGISTERING, options, challenge, user_id)

    async def finish_registration(
        self, user_id: str, ceremony: str, credential: Mapping[str, Any], name: str, *, actor: Actor
    ) -> Passkey:
        """Keep the passkey that a browser made.

        ``credential`` is what ``navigator.credentials.create`` returned, in its JSON form.

        Raises:
            UnauthorizedError: the ceremony is over or another user's.
            InvalidInputError: what the browser sent does not prove a new passkey for here.
            ConflictError: this passkey is known already.
        """
        proofs = await _proofs()
        party = self.relying_party
        begun = await self._ceremonies.finish(ceremony, _REGISTERING)
        if begun.user_id != user_id:
            raise UnauthorizedError("this passkey was begun by somebody else; begin again")
        try:
            made = proofs.verify_registration(party, credential, bytes.fromhex(begun.document["challenge"]))
        except proofs.UnprovenError as error:
            raise InvalidInputError(f"this is no passkey made for {party.origin}: {error}") from error
        return await self._keep(user_id, made, name, actor)

    async def begin_use(self, use: PasskeyUse, *, user_id: str | None = None) -> PasskeyOptions:
        """Return what a browser needs to prove that it holds a passkey, within five minutes.

        For a login without a name ``user_id`` is left out: the authenticator says whose passkey it is.
        """
        proofs = await _proofs()
        known = [] if user_id is None else await self._credentials(user_id)
        options, challenge = proofs.use_options(self.relying_party, known=known, is_alone=use == "login")
        return await self._begin(f"passkey.{use}", options, challenge, user_id)

    async def finish_use(
        self, use: PasskeyUse, ceremony: str, credential: Mapping[str, Any], *, user_id: str | None = None
    ) -> str:
        """Return the user whose passkey answered the challenge; ``user_id`` must be what the ceremony began with.

        ``credential`` is what ``navigator.credentials.get`` returned, in its JSON form.

        Raises:
            UnauthorizedError: it proves nothing: the ceremony is over, the passkey unknown or another's, the
                signature or its counter wrong, or nobody verified who held the device where that is needed.
        """
        proofs = await _proofs()
        begun = await self._ceremonies.finish(ceremony, f"passkey.{use}")
        stored = await self._stored(proofs.credential_id_of(credential))
        if stored is None or begun.user_id != user_id or user_id not in (None, stored["user_id"]):
            raise _unproven()
        challenge = bytes.fromhex(begun.document["challenge"])
        try:
            used = proofs.verify_use(self.relying_party, credential, challenge, stored, is_alone=use == "login")
        except proofs.UnprovenError as error:
            raise _unproven() from error
        await self._count_use(stored, used)
        return str(stored["user_id"])

    async def begin_signature(self, user_id: str, statement: bytes) -> PasskeyOptions:
        """Return what a browser needs to sign a statement with one of a user's passkeys, within five minutes.

        The challenge is the statement's SHA-256, so the signature is over it and nothing else.

        Raises:
            ConflictError: the user has no passkey.
        """
        proofs = await _proofs()
        known = await self._credentials(user_id)
        if not known:
            raise ConflictError("this account has no passkey to sign with; what it says counts without one")
        challenge = hashlib.sha256(statement).digest()
        options, _ = proofs.use_options(self.relying_party, known=known, is_alone=False, challenge=challenge)
        ceremony = await self._ceremonies.begin(
            _SIGNING, {"statement": statement.hex()}, user_id=user_id, lifetime_seconds=_LIFETIME_SECONDS
        )
        return PasskeyOptions(ceremony, options)

    async def finish_signature(self, user_id: str, ceremony: str, credential: Mapping[str, Any]) -> dict[str, Any]:
        """Return a user's signature over the statement it was begun with, and all that verifies it later.

        Raises:
            UnauthorizedError: it proves nothing: the ceremony is over or another's, or the signature is wrong.
        """
        proofs = await _proofs()
        begun = await self._ceremonies.finish(ceremony, _SIGNING)
        stored = await self._stored(proofs.credential_id_of(credential))
        if stored is None or begun.user_id != user_id or stored["user_id"] != user_id:
            raise _unproven()
        party = self.relying_party
        signature = {
            "statement": bytes.fromhex(begun.document["statement"]).decode(),
            "credential": proofs.evidence_of(credential),
            "public_key": stored["public_key"].hex(),
            "passkey": stored["id"],
            "user": user_id,
            "rp_id": party.id,
            "origin": party.origin,
        }
        try:
            used = proofs.verify_signature(signature, sign_count=stored["sign_count"])
        except proofs.UnprovenError as error:
            raise _unproven() from error
        await self._count_use(stored, used)
        return signature

    async def list(self, user_id: str) -> Sequence[Passkey]:
        """Return a user's passkeys, oldest first."""
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from passkeys where user_id = %s order by id", (user_id,)
        )
        return [Passkey(**row) for row in rows]

    async def remove(self, user_id: str, passkey_id: str, *, actor: Actor, reason: str | None = None) -> None:
        """Forget one of a user's passkeys, or raise NotFoundError."""
        async with self._database.transaction(INSTALLATION) as connection:
            cursor = await connection.execute(
                "delete from passkeys where user_id = %s and id = %s returning name", (user_id, parse_id(passkey_id))
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFoundError(f"no passkey {passkey_id!r} of this user")
            before = {"kind": "passkey", "passkey": passkey_id}
            act = Act(INSTALLATION, "second_factor.removed", actor, f"user:{user_id}", before=before, reason=reason)
            await self._audit.record(act, connection=connection)

    async def _begin(
        self, purpose: str, options: dict[str, Any], challenge: bytes, user_id: str | None
    ) -> PasskeyOptions:
        ceremony = await self._ceremonies.begin(
            purpose, {"challenge": challenge.hex()}, user_id=user_id, lifetime_seconds=_LIFETIME_SECONDS
        )
        return PasskeyOptions(ceremony, options)

    async def _keep(self, user_id: str, made: "passkey_proofs.NewCredential", name: str, actor: Actor) -> Passkey:
        passkey_id = new_id()
        async with self._database.transaction(INSTALLATION) as connection:
            cursor = await connection.execute(
                "insert into passkeys (id, user_id, credential_id, public_key, sign_count, name, transports, "
                "is_backed_up) values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (credential_id) do nothing "
                f"returning {_COLUMNS}",
                (
                    passkey_id, user_id, made.credential_id, made.public_key, made.sign_count, name,
                    made.transports, made.is_backed_up,
                ),
            )  # fmt: skip
            row = await cursor.fetchone()
            if row is None:
                raise ConflictError("this passkey is known here already")
            after = {"kind": "passkey", "passkey": passkey_id}
            act = Act(INSTALLATION, "second_factor.added", actor, f"user:{user_id}", after=after)
            await self._audit.record(act, connection=connection)
        return Passkey(**row)

    async def _credentials(self, user_id: str) -> Sequence[Row]:
        return await self._database.fetch_all(
            "select credential_id, transports from passkeys where user_id = %s order by id", (user_id,)
        )

    async def _stored(self, credential_id: bytes | None) -> Row | None:
        return await self._database.fetch_one(
            "select id, user_id, public_key, sign_count from passkeys where credential_id = %s", (credential_id,)
        )

    async def _count_use(self, stored: Row, used: "passkey_proofs.Use") -> None:
        """Keep the counter, unless another answer of the same authenticator has come in between."""
        counted = await self._database.execute(
            "update passkeys set sign_count = %(count)s, is_backed_up = %(copied)s, last_used_at = now() "
            "where id = %(id)s and ((sign_count = 0 and %(count)s = 0) or sign_count < %(count)s)",
            {"count": used.sign_count, "copied": used.is_backed_up, "id": stored["id"]},
        )
        if not counted:
            raise _unproven()


def _unproven() -> UnauthorizedError:
    return UnauthorizedError("this passkey proves nothing here; begin again, or log in another way")


async def verify_signature(signature: Mapping[str, Any]) -> str:
    """Return the statement that a kept signature is over; needs nothing but what was kept with it.

    Raises:
        UnauthorizedError: it does not prove it.
    """
    proofs = await _proofs()
    try:
        proofs.verify_signature(signature, sign_count=0)
    except proofs.UnprovenError as error:
        raise UnauthorizedError(f"this signature proves nothing: {error}") from error
    return str(signature["statement"])


async def _proofs():
    """Return what checks proofs, loaded in a thread at its first use: it is slow to import."""
    await loaded("bailiwick.identity.factors.passkey_proofs")
    from bailiwick.identity.factors import passkey_proofs  # noqa: PLC0415 - as above

    return passkey_proofs
