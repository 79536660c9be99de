"""Logins: from the first factor to a user who has proved who they are. Sessions begin where this ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.audit.alarms import Alarms
from bailiwick.identity.factors.ceremonies import Ceremonies, Ceremony
from bailiwick.identity.factors.passkeys import PasskeyOptions
from bailiwick.identity.factors.second_factors import FactorKind, Proof, SecondFactors
from bailiwick.identity.factors.totp import Enrolment
from bailiwick.identity.login.login_rules import LoginRules
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.people.accounts import Accounts, User
from bailiwick.kernel.errors import ConflictError, ForbiddenError, UnauthorizedError
from bailiwick.kernel.ids import INSTALLATION

# RFC 8176, as sessions and tokens carry them.
Method = Literal["pwd", "otp", "hwk", "fed"]

_SECOND_FACTOR = "login.second_factor"
_LIFETIME_SECONDS = 300
# Typing errors; guesses are counted over all logins of a user.
_TRIES = 5
_METHODS: Mapping[FactorKind, Method] = {"totp": "otp", "recovery_code": "otp", "passkey": "hwk"}


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who has proved who they are, and how. ``recovery_codes`` are those of a second factor set up on the way."""

    user: User
    methods: tuple[Method, ...]
    recovery_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecondFactorNeeded:
    """The first factor was right; ``continuation`` goes on with one of ``kinds`` within five minutes.

    Without a kind one has to be set up first, because an organization asks for it.
    """

    continuation: str
    kinds: tuple[FactorKind, ...]


LoginStep = LoggedIn | SecondFactorNeeded


class Logins:
    """The ways in. Each ends in a user and the list of methods that proved it."""

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        factors: SecondFactors,
        rules: LoginRules,
        ceremonies: Ceremonies,
        *,
        audit: AuditLog,
        alarms: Alarms,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._factors = factors
        self._rules = rules
        self._ceremonies = ceremonies
        self._audit = audit
        self._alarms = alarms

    async def with_password(self, email: str, password: str, *, address: str | None) -> LoginStep:
        """Log in with email address and password.

        Raises:
            UnauthorizedError, TooManyAttemptsError, ForbiddenError: as `Passwords.authenticate`.
        """
        return await self._after(await self._passwords.authenticate(email, password, address=address), "pwd")

    async def with_identity(self, user: User, *, trusted_by: str | None) -> LoginStep:
        """Log in whom an identity provider vouched for.

        ``trusted_by`` is the organization whose provider has asked for a second
        factor itself, INSTALLATION for everybody's, None if it has not. What one
        organization trusts does not do for another that requires a second factor.
        """
        if trusted_by is None:
            return await self._after(user, "fed")
        if trusted_by != INSTALLATION and await self._rules.requires_second_factor(user.id, besides=trusted_by):
            return await self._after(user, "fed")
        _check_enabled(user)
        return LoggedIn(user, ("fed",))

    async def begin_passkey(self) -> PasskeyOptions:
        """Return what a browser needs for a login with nothing but a passkey."""
        return await self._factors.passkeys.begin_use("login")

    async def with_passkey(
        self, ceremony: str, credential: Mapping[str, Any], *, address: str | None = None
    ) -> LoggedIn:
        """Log in with a passkey alone: the device, and whoever holds it verified by it.

        Raises:
            UnauthorizedError: it proves nothing.
            ForbiddenError: the account is disabled.
        """
        try:
            user_id = await self._factors.passkeys.finish_use("login", ceremony, credential)
        except UnauthorizedError:
            await self.note_failure(None, address, reason="passkey not proved")
            raise
        return LoggedIn(await self._admitted(user_id), ("hwk",))

    async def begin_second_passkey(self, continuation: str) -> PasskeyOptions:
        """Return what a browser needs to give a passkey as the second factor.

        Raises:
            UnauthorizedError: the continuation is over.
        """
        begun = await self._ceremonies.try_once(continuation, _SECOND_FACTOR)
        return await self._factors.passkeys.begin_use("second_factor", user_id=_user_of(begun))

    async def with_second_factor(
        self, continuation: str, proof: Proof, *, address: str | None, at: datetime | None = None
    ) -> LoggedIn:
        """Finish a login with a second factor. A continuation works once, and takes a few wrong codes.

        Raises:
            UnauthorizedError: the factor is wrong, or the continuation over.
            TooManyCodesError: too many were wrong lately.
            ForbiddenError: the account was disabled meanwhile.
        """
        begun = await self._ceremonies.try_once(continuation, _SECOND_FACTOR)
        user_id = _user_of(begun)
        if begun.document["enrols"]:
            raise ConflictError("set up a second factor first, with the enrolment of this login")
        user = await self._admitted(user_id)
        try:
            await self._factors.check(user_id, proof, address=address, at=at)
        except UnauthorizedError:
            await self._alarms.login_failed(user.email, address)
            raise
        # Two right answers at once: one login.
        await self._ceremonies.finish(continuation, _SECOND_FACTOR)
        return LoggedIn(user, (*begun.document["methods"], _METHODS[proof.kind]))

    async def begin_enrolment(self, continuation: str) -> Enrolment:
        """Return the authenticator secret of a login that must not end without a second factor.

        Raises:
            UnauthorizedError: the continuation is over.
            ConflictError: there is a second factor already.
        """
        begun = await self._enrolling(continuation)
        user = await self._admitted(_user_of(begun))
        return await self._factors.totp.enrol(user.id, user.email)

    async def finish_enrolment(
        self, continuation: str, code: str, *, address: str | None, at: datetime | None = None
    ) -> LoggedIn:
        """Finish such a login with the authenticator's first code; recovery codes come with it.

        Raises:
            UnauthorizedError: the continuation is over.
            InvalidInputError: the code is wrong.
        """
        begun = await self._enrolling(continuation)
        user = await self._admitted(_user_of(begun))
        actor = Actor("user", user.id, user.email, address)
        codes = await self._factors.totp.confirm(user.id, code, actor=actor, at=at)
        await self._ceremonies.finish(continuation, _SECOND_FACTOR)
        return replace(LoggedIn(user, (*begun.document["methods"], "otp")), recovery_codes=tuple(codes))

    async def note_failure(self, account: str | None, address: str | None, *, reason: str) -> None:
        """Audit a failed login, and count it for the alarms; where nobody knows whose it was, for the address."""
        actor = Actor("anonymous", "", "somebody", address)
        await self._audit.record(Act(INSTALLATION, "login.failed", actor, "user:unknown", reason=reason))
        await self._alarms.login_failed(account, address)

    async def _after(self, user: User, first: Method) -> LoginStep:
        _check_enabled(user)
        kinds = await self._factors.kinds_of(user.id)
        if not kinds and not await self._rules.requires_second_factor(user.id):
            return LoggedIn(user, (first,))
        methods: Sequence[Method] = (first,)
        continuation = await self._ceremonies.begin(
            _SECOND_FACTOR,
            {"methods": methods, "enrols": not kinds},
            user_id=user.id,
            lifetime_seconds=_LIFETIME_SECONDS,
            tries=_TRIES,
        )
        return SecondFactorNeeded(continuation, tuple(kinds))

    async def _enrolling(self, continuation: str) -> Ceremony:
        begun = await self._ceremonies.try_once(continuation, _SECOND_FACTOR)
        # Looked at again: one may have been set up since the password was right.
        if not begun.document["enrols"] or await self._factors.kinds_of(_user_of(begun)):
            raise ConflictError("a second factor is set up already; log in again and give it")
        return begun

    async def _admitted(self, user_id: str) -> User:
        user = await self._accounts.find(user_id)
        if user is None:
            raise UnauthorizedError("the account is gone")
        _check_enabled(user)
        return user


def _user_of(ceremony: Ceremony) -> str:
    assert ceremony.user_id is not None
    return ceremony.user_id


def _check_enabled(user: User) -> None:
    if user.is_disabled:
        raise ForbiddenError("this account is disabled; ask an administrator of the installation")
