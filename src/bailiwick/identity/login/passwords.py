"""Passwords of this installation's own: set, changed, and checked when somebody logs in."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.audit.alarms import Alarms
from bailiwick.identity.login.login_throttle import LoginThrottle
from bailiwick.identity.login.password_hashing import DEFAULT_MEMORY_MIB, PasswordHashing
from bailiwick.identity.login.password_rules import PasswordRefusedError, PasswordRules, normal_password
from bailiwick.identity.people.accounts import Accounts, User
from bailiwick.kernel.errors import ForbiddenError, UnauthorizedError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password that passed the rules for one person, as its hash."""

    hash: str


class Passwords:
    """The passwords of all users who have one."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        accounts: Accounts,
        alarms: Alarms,
        *,
        memory_mib: int = DEFAULT_MEMORY_MIB,
        breached_file: Path | None = None,
    ) -> None:
        self._database = database
        self._audit = audit
        self._accounts = accounts
        self._alarms = alarms
        self._rules = PasswordRules(breached_file)
        self._hashing = PasswordHashing(memory_mib)
        self._throttle = LoginThrottle(database)

    async def prepare(self, password: str, *, email: str, name: str) -> NewPassword:
        """Check a password by the rules and hash it, to be stored in a transaction later.

        Raises:
            PasswordRefusedError: with the reason.
        """
        await asyncio.to_thread(self._rules.check, password, email=email, name=name)
        return NewPassword(await self._hashing.hash(normal_password(password)))

    async def store(self, user_id: str, password: NewPassword, *, actor: Actor, connection: Connection) -> None:
        """Give a user a prepared password, in a transaction of INSTALLATION; audited."""
        await connection.execute(
            "insert into passwords (user_id, hash) values (%s, %s) "
            "on conflict (user_id) do update set hash = excluded.hash, changed_at = now()",
            (user_id, password.hash),
        )
        await self._audit.record(Act(INSTALLATION, "password.set", actor, f"user:{user_id}"), connection=connection)

    async def create_user(self, email: str, name: str, password: str, *, actor: Actor, is_admin: bool = False) -> User:
        """Make a user with a password.

        Raises:
            InvalidInputError: email, name or password cannot be accepted.
            ConflictError: the address is another user's.
        """
        prepared = await self.prepare(password, email=email, name=name)
        async with self._database.transaction(INSTALLATION) as connection:
            user = await self._accounts.create(email, name, actor=actor, is_admin=is_admin, connection=connection)
            await self.store(user.id, prepared, actor=actor, connection=connection)
        return user

    async def set(self, user: User, password: str, *, actor: Actor) -> None:
        """Give a user a password, and let them try it at once however often others failed.

        Sessions go on; end them beside it.

        Raises:
            PasswordRefusedError: with the reason.
        """
        prepared = await self.prepare(password, email=user.email, name=user.name)
        async with self._database.transaction(INSTALLATION) as connection:
            await self.store(user.id, prepared, actor=actor, connection=connection)
        await self.forgive(user)

    async def forgive(self, user: User) -> None:
        """Let a user try at once, however often their password was given wrongly."""
        await self._throttle.clear(user.email)

    async def change(self, user: User, old: str, new: str, *, actor: Actor) -> None:
        """Replace a user's password by one who knows it.

        Raises:
            TooManyAttemptsError: too many wrong ones before.
            ForbiddenError: the old one is wrong.
            PasswordRefusedError: the new one is, with the reason.
        """
        try:
            await self.authenticate(user.email, old, address=actor.address)
        except UnauthorizedError as error:
            raise ForbiddenError("the old password is wrong") from error
        if normal_password(old) == normal_password(new):
            raise PasswordRefusedError("the new password is the old one")
        await self.set(user, new, actor=actor)

    async def has(self, user_id: str) -> bool:
        """Tell whether a user can log in with a password."""
        return await self._hash_of(user_id) is not None

    async def check(self, user: User | None, password: str) -> bool:
        """Tell whether a password is a user's; no user takes as long as a wrong password.

        Neither throttled nor audited: `authenticate` is.
        """
        try:
            given = normal_password(password)
        except PasswordRefusedError:
            # What was never accepted is nobody's, and is long enough to be told at once.
            return False
        stored = None if user is None else await self._hash_of(user.id)
        is_right = await self._hashing.verify(stored, given)
        if is_right and user is not None and stored is not None and self._hashing.is_outdated(stored):
            await self._database.execute(
                "update passwords set hash = %s where user_id = %s and hash = %s",
                (await self._hashing.hash(given), user.id, stored),
            )
        return is_right

    async def authenticate(self, email: str, password: str, *, address: str | None) -> User:
        """Return the user who has that address and password.

        A failure is audited as ``login.failed``, and counted for the alarms.
        The first step of a login: a second factor may have to follow, and the
        session begins after it. Who has no account cannot be told from who gave
        a wrong password, not by the time it takes either.

        Raises:
            TooManyAttemptsError: too many failures for this address, whosever it is.
            UnauthorizedError: address or password is wrong.
            ForbiddenError: both are right, and the account is disabled.
        """
        await self._throttle.attempt(email)
        user = await self._accounts.find_by_email(email)
        if not await self.check(user, password) or user is None:
            # An address that is nobody's may be a password typed into the wrong field: it is kept nowhere.
            actor = Actor("anonymous", "" if user is None else user.id, "somebody", address)
            target = "user:unknown" if user is None else f"user:{user.id}"
            await self._audit.record(Act(INSTALLATION, "login.failed", actor, target, reason="wrong password"))
            await self._alarms.login_failed(email, address)
            raise UnauthorizedError("email address or password is wrong")
        await self._throttle.clear(user.email)
        if user.is_disabled:
            raise ForbiddenError("this account is disabled; ask an administrator of the installation")
        return user

    async def _hash_of(self, user_id: str) -> str | None:
        row = await self._database.fetch_one("select hash from passwords where user_id = %s", (user_id,))
        return None if row is None else row["hash"]
