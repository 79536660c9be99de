"""Forgotten passwords: an administrator hands out a link by which its owner sets a new one."""

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.people.accounts import Accounts, User
from bailiwick.identity.people.one_time_links import LinkRefusedError, OneTimeLinks
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database


class PasswordResets:
    """Issues and redeems the links; they also give a first password to a user who has none."""

    def __init__(self, database: Database, audit: AuditLog, accounts: Accounts, passwords: Passwords) -> None:
        self._database = database
        self._audit = audit
        self._accounts = accounts
        self._passwords = passwords
        self._links = OneTimeLinks(database)

    async def issue(self, user: User, *, actor: Actor) -> str:
        """Return the token of a link, good for a day and once; an earlier one of this user ends."""
        async with self._database.transaction(INSTALLATION) as connection:
            token = await self._links.issue("password", user.id, connection=connection)
            act = Act(INSTALLATION, "password.reset_link_issued", actor, f"user:{user.id}")
            await self._audit.record(act, connection=connection)
        return token

    async def redeem(self, token: str, password: str, *, address: str | None) -> User:
        """Set the password of the link's user and return them; their sessions must be ended beside it.

        Raises:
            LinkRefusedError: the link is no good any more.
            PasswordRefusedError: the password is refused, with the reason; the link stays good.
        """
        user_id = await self._links.find("password", token)
        user = None if user_id is None else await self._accounts.find(user_id)
        if user is None or user.is_disabled:
            raise LinkRefusedError("the account of this link is disabled or gone; ask an administrator")
        prepared = await self._passwords.prepare(password, email=user.email, name=user.name)
        holder = Actor("user", user.id, user.name, address)
        async with self._database.transaction(INSTALLATION) as connection:
            await self._links.use("password", token, connection=connection)
            await self._passwords.store(user.id, prepared, actor=holder, connection=connection)
        await self._passwords.forgive(user)
        return user
