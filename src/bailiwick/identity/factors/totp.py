"""Time-based one-time passwords (RFC 6238): six digits from an authenticator, each accepted once."""

import hmac
import secrets
from base64 import b32encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.factors.recovery_codes import RecoveryCodes
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database
from bailiwick.vault import Vault

if TYPE_CHECKING:
    from pyotp.totp import TOTP

STEP_SECONDS = 30
_ISSUER = "Bailiwick"
_PURPOSE = "totp.secret"
# The step before and after the present one: clocks differ, and people type slowly.
_WINDOW = 1
# As RFC 4226 section 4 recommends.
_SECRET_BYTES = 20


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator needs: the address to scan, and the secret in it for typing."""

    uri: str
    secret: str


class Totp:
    """The authenticators of all users: at most one each. SHA-1, six digits, 30 s: what every authenticator reads."""

    def __init__(self, database: Database, vault: Vault, audit: AuditLog, recovery_codes: RecoveryCodes) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit
        self._recovery_codes = recovery_codes

    async def enrol(self, user_id: str, email: str) -> Enrolment:
        """Make a secret and return it; it counts from the first code on, given to ``confirm``.

        Beginning again replaces a secret that was never confirmed.

        Raises:
            ConflictError: an authenticator is confirmed already.
        """
        secret = b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        sealed = await self._vault.seal(
            INSTALLATION, secret.encode(), purpose=_PURPOSE, subject_id=user_id, is_secret=True
        )
        stored = await self._database.execute(
            "insert into totp_secrets (user_id, sealed_secret) values (%s, %s) on conflict (user_id) do update "
            "set sealed_secret = excluded.sealed_secret, last_step = 0, created_at = now() "
            "where totp_secrets.confirmed_at is null",
            (user_id, sealed),
        )
        if not stored:
            raise ConflictError("an authenticator is set up already; remove it first to set up another")
        uri = _generator(secret).provisioning_uri(name=email, issuer_name=_ISSUER)
        return Enrolment(uri, secret)

    async def confirm(self, user_id: str, code: str, *, actor: Actor, at: datetime | None = None) -> list[str]:
        """Make an enrolled authenticator count, and return ten recovery codes; they cannot be shown again.

        Raises:
            InvalidInputError: the code is not the authenticator's; it shows another one within 30 s.
            ConflictError: nothing is waiting to be confirmed.
        """
        step = await self._matching_step(user_id, code, at, is_confirmed=False)
        async with self._database.transaction(INSTALLATION) as connection:
            cursor = await connection.execute(
                "update totp_secrets set confirmed_at = now(), last_step = %s "
                "where user_id = %s and confirmed_at is null and last_step < %s",
                (step or 0, user_id, step or 0),
            )
            if step is None or cursor.rowcount == 0:
                await self._refuse_confirmation(user_id)
            codes = await self._recovery_codes.replace(user_id, connection)
            act = Act(INSTALLATION, "second_factor.added", actor, f"user:{user_id}", after={"kind": "totp"})
            await self._audit.record(act, connection=connection)
        return codes

    async def check(self, user_id: str, code: str, *, at: datetime | None = None) -> bool:
        """Tell whether a code is the authenticator's now, and refuse it from then on.

        ``at`` is the moment to check for; the present one if left out.
        """
        step = await self._matching_step(user_id, code, at, is_confirmed=True)
        if step is None:
            return False
        # Two that come at once: the row lock lets one raise the step, and the other finds it raised.
        accepted = await self._database.execute(
            "update totp_secrets set last_step = %s where user_id = %s and confirmed_at is not null and last_step < %s",
            (step, user_id, step),
        )
        return accepted == 1

    async def is_set_up(self, user_id: str) -> bool:
        """Tell whether a confirmed authenticator exists."""
        row = await self._database.fetch_one(
            "select 1 as one from totp_secrets where user_id = %s and confirmed_at is not null", (user_id,)
        )
        return row is not None

    async def remove(self, user_id: str, *, actor: Actor, reason: str | None = None) -> bool:
        """Forget the authenticator and the recovery codes; tell whether there was one.

        Whoever calls this has seen a fresh second factor, or is an administrator.
        """
        async with self._database.transaction(INSTALLATION) as connection:
            cursor = await connection.execute("delete from totp_secrets where user_id = %s", (user_id,))
            await connection.execute("delete from recovery_codes where user_id = %s", (user_id,))
            if cursor.rowcount:
                act = Act(
                    INSTALLATION, "second_factor.removed", actor, f"user:{user_id}", before={"kind": "totp"},
                    reason=reason,
                )  # fmt: skip
                await self._audit.record(act, connection=connection)
        return cursor.rowcount > 0

    async def new_recovery_codes(self, user_id: str, *, actor: Actor) -> list[str]:
        """Replace the recovery codes and return the new ones; they cannot be shown again.

        Raises:
            ConflictError: there is no authenticator that they could stand in for.
        """
        if not await self.is_set_up(user_id):
            raise ConflictError("set up an authenticator first; recovery codes stand in for it")
        async with self._database.transaction(INSTALLATION) as connection:
            codes = await self._recovery_codes.replace(user_id, connection)
            act = Act(INSTALLATION, "recovery_codes.replaced", actor, f"user:{user_id}")
            await self._audit.record(act, connection=connection)
        return codes

    async def _matching_step(self, user_id: str, code: str, at: datetime | None, *, is_confirmed: bool) -> int | None:
        row = await self._database.fetch_one(
            "select sealed_secret from totp_secrets where user_id = %s and (confirmed_at is not null) = %s",
            (user_id, is_confirmed),
        )
        digits = code.replace(" ", "")
        if row is None or not (len(digits) == 6 and digits.isascii() and digits.isdigit()):
            return None
        secret = await self._vault.open(INSTALLATION, row["sealed_secret"], purpose=_PURPOSE, is_secret=True)
        return _step_of(secret.decode(), digits, at or datetime.now(UTC))

    async def _refuse_confirmation(self, user_id: str) -> None:
        waiting = await self._database.fetch_one(
            "select 1 as one from totp_secrets where user_id = %s and confirmed_at is null", (user_id,)
        )
        if waiting is None:
            raise ConflictError("no authenticator waits to be confirmed; begin with enrolling one")
        raise InvalidInputError("the code is not what the authenticator shows now; enter the next one")


def _step_of(secret: str, digits: str, at: datetime) -> int | None:
    """Return the time step whose code this is, among the present one and its neighbours."""
    generator = _generator(secret)
    present = generator.timecode(at)
    found = None
    # All of them, in constant time: which one fits is nobody's business.
    for step in range(max(present - _WINDOW, 0), present + _WINDOW + 1):
        if hmac.compare_digest(digits, generator.generate_otp(step)):
            found = step
    return found


def _generator(secret: str) -> "TOTP":
    from pyotp.totp import TOTP  # noqa: PLC0415 - only who enrols or checks a code pays for the import

    return TOTP(secret, interval=STEP_SECONDS)
