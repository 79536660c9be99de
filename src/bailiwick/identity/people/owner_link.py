"""The owner link: how the first person gets in, who then administers the installation."""

from typing import LiteralString

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.people.accounts import Accounts, User
from bailiwick.identity.people.memberships import Memberships
from bailiwick.identity.people.one_time_links import OneTimeLinks
from bailiwick.kernel.errors import ConflictError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection


class OwnerLink:
    """Makes the link and the administrator, as long as there is none."""

    def __init__(
        self, database: Database, audit: AuditLog, accounts: Accounts, memberships: Memberships, passwords: Passwords
    ) -> None:
        self._database = database
        self._audit = audit
        self._accounts = accounts
        self._memberships = memberships
        self._passwords = passwords
        self._links = OneTimeLinks(database)

    async def issue(self) -> str:
        """Return a new link's token, good for a day and once; an earlier one ends.

        Raises:
            ConflictError: there is an administrator already.
        """
        await self._check_vacant()
        async with self._database.transaction(INSTALLATION) as connection:
            token = await self._links.issue("owner", None, connection=connection)
            await self._audit.record(
                Act(INSTALLATION, "owner_link.issued", SYSTEM, "installation"), connection=connection
            )
        return token

    async def claim(
        self, token: str, *, email: str, name: str, password: str, home_id: str, address: str | None
    ) -> User:
        """Make the first administrator, who owns the home organization too unless somebody does.

        Raises:
            ConflictError: there is an administrator already.
            LinkRefusedError: the token is no good any more.
            InvalidInputError: email, name or password cannot be accepted.
        """
        await self._links.find("owner", token)
        await self._check_vacant()
        prepared = await self._passwords.prepare(password, email=email, name=name)
        nobody = Actor("anonymous", "", "holder of the owner link", address)
        async with self._database.transaction(home_id) as connection:
            # One at a time, as every change of administrators.
            await connection.execute("select pg_advisory_xact_lock(hashtextextended('administrators', 0))")
            await self._links.use("owner", token, connection=connection)
            if await _has_rows(connection, "select 1 from users where is_admin and not is_disabled"):
                raise _taken()
            user = await self._accounts.create(email, name, actor=nobody, is_admin=True, connection=connection)
            await self._passwords.store(user.id, prepared, actor=nobody, connection=connection)
            cursor = await connection.execute(
                "select 1 from memberships where organization_id = %s limit 1", (home_id,)
            )
            if await cursor.fetchone() is None:
                await self._memberships.add(home_id, user.id, "owner", actor=nobody, connection=connection)
        return user

    async def _check_vacant(self) -> None:
        if await self._accounts.has_admin():
            raise _taken()


async def _has_rows(connection: Connection, query: LiteralString, *values: object) -> bool:
    cursor = await connection.execute(query, values)
    return await cursor.fetchone() is not None


def _taken() -> ConflictError:
    return ConflictError(
        "the installation has an administrator already; a lost password is reset by: bailiwick users reset-link EMAIL"
    )
