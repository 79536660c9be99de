"""Confirmations: whoever changes how a user logs in proves anew that they are that user, not only their session."""

from typing import Literal

from bailiwick.audit.alarms import Alarms
from bailiwick.identity.factors.second_factors import Proof, SecondFactors
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.people.accounts import User
from bailiwick.kernel.errors import ForbiddenError, UnauthorizedError

# "factor": only a second factor will do; "password": one will do where there is no second factor.
Wanted = Literal["factor", "password", "nothing"]


class ConfirmationNeededError(ForbiddenError):
    """The session is good, and for this its owner has to prove anew who they are; the message says how."""

    code = "confirmation.needed"


class Confirmations:
    """Asks for a fresh proof: of a second factor, or of the password where there is none."""

    def __init__(self, factors: SecondFactors, passwords: Passwords, alarms: Alarms) -> None:
        self._factors = factors
        self._passwords = passwords
        self._alarms = alarms

    async def wanted(self, user_id: str) -> Wanted:
        """Return what a user has to give; nothing where they have neither, as with an identity provider alone."""
        if await self._factors.kinds_of(user_id):
            return "factor"
        return "password" if await self._passwords.has(user_id) else "nothing"

    async def check(self, user: User, *, proof: Proof | None, password: str | None, address: str | None = None) -> None:
        """Make sure that the user is there; what is wrong counts for alarms as a failed login does.

        Raises:
            ConfirmationNeededError: what was given is not what is wanted.
            UnauthorizedError: it is wrong.
            TooManyCodesError, TooManyAttemptsError: too many were wrong lately.
        """
        wanted = await self.wanted(user.id)
        if wanted == "factor":
            if proof is None:
                raise ConfirmationNeededError("confirm this with a second factor: a code or a passkey")
            try:
                await self._factors.check(user.id, proof, address=address)
            except UnauthorizedError:
                await self._alarms.login_failed(user.email, address)
                raise
        elif wanted == "password":
            if password is None:
                raise ConfirmationNeededError("confirm this with your password")
            known = await self._passwords.authenticate(user.email, password, address=address)
            if known.id != user.id:
                raise UnauthorizedError("email address or password is wrong")
