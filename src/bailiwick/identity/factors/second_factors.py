"""The second factors of a user: what there is, and whether what was given is one. Guessing is slowed down."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.factors.passkeys import Passkeys
from bailiwick.identity.factors.recovery_codes import RecoveryCodes
from bailiwick.identity.factors.totp import Totp
from bailiwick.kernel.errors import RateLimitedError, UnauthorizedError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database

FactorKind = Literal["totp", "passkey", "recovery_code"]

MAX_FAILURES = 10
WINDOW_SECONDS = 900
_REASONS: Mapping[FactorKind, str] = {
    "totp": "wrong one-time password",
    "passkey": "passkey not proved",
    "recovery_code": "wrong recovery code",
}
# Counted before it is looked at, so that a crowd of simultaneous guesses gets no more tries than one after another.
_ATTEMPT = """
insert into second_factor_failures as f (user_id, failed, window_began_at) values (%(user)s, 1, now())
on conflict (user_id) do update set
    failed = case when f.window_began_at < now() - make_interval(secs => %(window)s) then 1 else f.failed + 1 end,
    window_began_at = case when f.window_began_at < now() - make_interval(secs => %(window)s) then now()
                           else f.window_began_at end
    where f.failed < %(most)s or f.window_began_at < now() - make_interval(secs => %(window)s)
"""


class TooManyCodesError(RateLimitedError):
    """Too many wrong second factors; wait ``retry_after_seconds``."""

    code = "login.too_many_codes"


@dataclass(frozen=True, slots=True)
class Proof:
    """A second factor as it was given: a code, or what a browser answered to a passkey's challenge."""

    kind: FactorKind
    code: str = ""
    ceremony: str = ""
    credential: Mapping[str, Any] | None = None


class SecondFactors:
    """The second factors of all users."""

    def __init__(
        self, database: Database, audit: AuditLog, totp: Totp, passkeys: Passkeys, recovery_codes: RecoveryCodes
    ) -> None:
        self.totp = totp
        self.passkeys = passkeys
        self.recovery_codes = recovery_codes
        self._database = database
        self._audit = audit

    async def kinds_of(self, user_id: str) -> list[FactorKind]:
        """Return which second factors a user can give."""
        kinds: list[FactorKind] = []
        if await self.passkeys.list(user_id):
            kinds.append("passkey")
        if await self.totp.is_set_up(user_id):
            kinds.append("totp")
            if await self.recovery_codes.count_left(user_id):
                kinds.append("recovery_code")
        return kinds

    async def check(
        self, user_id: str, proof: Proof, *, address: str | None = None, at: datetime | None = None
    ) -> None:
        """Make sure that a proof is a second factor of a user; a failure is audited as ``login.failed``.

        Whatever was right is used up. ``at`` is the moment for one-time
        passwords; the present one if left out.

        Raises:
            UnauthorizedError: it is none.
            TooManyCodesError: too many were wrong lately, in whichever login.
        """
        await self._attempt(user_id)
        if not await self._is_right(user_id, proof, at):
            actor = Actor("anonymous", user_id, "somebody", address)
            act = Act(INSTALLATION, "login.failed", actor, f"user:{user_id}", reason=_REASONS[proof.kind])
            await self._audit.record(act)
            raise UnauthorizedError("this second factor is wrong or was used before; give the next one")
        await self._database.execute("delete from second_factor_failures where user_id = %s", (user_id,))

    async def confirm_totp(self, user_id: str, code: str, *, actor: Actor) -> list[str]:
        """Make an enrolled authenticator count as `Totp.confirm` does; wrong codes are slowed down as in ``check``."""
        await self._attempt(user_id)
        codes = await self.totp.confirm(user_id, code, actor=actor)
        await self._database.execute("delete from second_factor_failures where user_id = %s", (user_id,))
        return codes

    async def _is_right(self, user_id: str, proof: Proof, at: datetime | None) -> bool:
        if proof.kind == "totp":
            return await self.totp.check(user_id, proof.code, at=at)
        if proof.kind == "recovery_code":
            return await self.recovery_codes.spend(user_id, proof.code)
        try:
            await self.passkeys.finish_use("second_factor", proof.ceremony, proof.credential or {}, user_id=user_id)
        except UnauthorizedError:
            return False
        return True

    async def _attempt(self, user_id: str) -> None:
        counted = await self._database.execute(
            _ATTEMPT, {"user": user_id, "window": WINDOW_SECONDS, "most": MAX_FAILURES}
        )
        if counted:
            return
        row = await self._database.fetch_one(
            "select extract(epoch from window_began_at - now())::double precision + %s as seconds "
            "from second_factor_failures where user_id = %s",
            (WINDOW_SECONDS, user_id),
        )
        wait = max(1.0, row["seconds"]) if row is not None else 1.0
        raise TooManyCodesError(f"too many wrong second factors; try again in {wait:.0f} s", retry_after_seconds=wait)
