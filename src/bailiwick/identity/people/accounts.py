"""Users: the people of this installation. What they may do in an organization is in their memberships."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION, new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

USER_COLUMNS = "id, email, name, is_admin, is_disabled, email_verified_at, last_login_at, created_at"
# RFC 5321, 4.5.3.1: 254 is what a path of 256 leaves without its brackets.
MAX_EMAIL_CHARACTERS = 254
MAX_NAME_CHARACTERS = 200
# The part before the @ is a dot-atom of RFC 5322, the domain a name of RFC 1035 with at least one letter.
_EMAIL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account; ``is_admin`` administers the whole installation."""

    id: str
    email: str
    name: str
    is_admin: bool
    is_disabled: bool
    email_verified_at: datetime | None
    last_login_at: datetime | None
    created_at: datetime


class Accounts:
    """The users of this installation. Who changes one is told by ``actor`` and audited."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def create(
        self,
        email: str,
        name: str,
        *,
        actor: Actor,
        is_admin: bool = False,
        is_verified: bool = False,
        connection: Connection | None = None,
    ) -> User:
        """Make a user without a password or a membership; with a ``connection``, in its transaction.

        ``is_verified`` says that somebody who can know it vouches for the mailbox.

        Raises:
            InvalidInputError: no usable email address or name.
            ConflictError: the address is another user's.
        """
        if connection is None:
            async with self._database.transaction(INSTALLATION) as own:
                return await self.create(
                    email, name, actor=actor, is_admin=is_admin, is_verified=is_verified, connection=own
                )
        address = normal_email(email)
        cursor = await connection.execute(
            "insert into users (id, email, name, is_admin, email_verified_at) "
            "values (%s, %s, %s, %s, case when %s then now() end) "
            f"on conflict (email) do nothing returning {USER_COLUMNS}",
            (new_id(), address, checked_name(name), is_admin, is_verified),
        )
        row = await cursor.fetchone()
        if row is None:
            raise ConflictError(f"{address} has an account already")
        user = User(**row)
        await self._record("user.created", actor, None, user, connection)
        return user

    async def find(self, user_id: str) -> User | None:
        """Return a user by id, or None."""
        row = await self._database.fetch_one(
            f"select {USER_COLUMNS} from users where id = %s::uuid", (parse_id(user_id),)
        )
        return None if row is None else User(**row)

    async def get(self, user_id: str) -> User:
        """Return a user by id, or raise NotFoundError."""
        found = await self.find(user_id)
        if found is None:
            raise NotFoundError(f"no user {user_id!r}")
        return found

    async def find_by_email(self, email: str) -> User | None:
        """Return the user of an address, however its letters are cased, or None."""
        try:
            address = normal_email(email)
        except InvalidInputError:
            return None
        row = await self._database.fetch_one(f"select {USER_COLUMNS} from users where email = %s", (address,))
        return None if row is None else User(**row)

    async def get_by_email(self, email: str) -> User:
        """Return the user of an address, or raise NotFoundError."""
        found = await self.find_by_email(email)
        if found is None:
            raise NotFoundError(f"no user {email!r}; see: bailiwick users list")
        return found

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[User]:
        """Return a page of all users, newest first; for the installation's administrator."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {USER_COLUMNS} from users where %(after)s::uuid is null or id < %(after)s "
            "order by id desc limit %(limit)s",
            {"after": after_cursor(cursor), "limit": limit + 1},
        )
        return page_of([User(**row) for row in rows], limit)

    async def rename(self, user_id: str, name: str, *, actor: Actor) -> User:
        """Change a user's name, or raise NotFoundError."""
        return await self._change(user_id, "name = %(value)s", checked_name(name), "user.renamed", actor)

    async def disable(self, user_id: str, *, actor: Actor) -> User:
        """Shut a user out; sessions and keys must be revoked beside it.

        Raises:
            NotFoundError: there is no such user.
            ConflictError: this is the last administrator of the installation who could log in.
        """
        return await self._change(user_id, "is_disabled = %(value)s", True, "user.disabled", actor)

    async def enable(self, user_id: str, *, actor: Actor) -> User:
        """Let a user in again, or raise NotFoundError."""
        return await self._change(user_id, "is_disabled = %(value)s", False, "user.enabled", actor)

    async def set_admin(self, user_id: str, is_admin: bool, *, actor: Actor) -> User:
        """Make a user an administrator of the installation, or end that.

        Raises:
            NotFoundError: there is no such user.
            ConflictError: this is the last administrator who could log in.
        """
        action = "user.admin_granted" if is_admin else "user.admin_withdrawn"
        return await self._change(user_id, "is_admin = %(value)s", is_admin, action, actor)

    async def verify_email(self, user_id: str, *, actor: Actor) -> User:
        """Note that the mailbox is this user's: an identity provider or an administrator said so."""
        change = "email_verified_at = case when %(value)s then coalesce(email_verified_at, now()) end"
        return await self._change(user_id, change, True, "user.email_verified", actor)

    async def note_login(self, user_id: str) -> None:
        """Note that a user logged in just now."""
        await self._database.execute("update users set last_login_at = now() where id = %s", (user_id,))

    async def has_admin(self) -> bool:
        """Tell whether anybody administers the installation and can log in."""
        row = await self._database.fetch_one("select 1 as one from users where is_admin and not is_disabled limit 1")
        return row is not None

    async def _change(self, user_id: str, change: LiteralString, value: object, action: str, actor: Actor) -> User:
        try:
            async with self._database.transaction(INSTALLATION) as connection:
                # Locked, so that what is audited as before is what was there.
                before = await (
                    await connection.execute(
                        f"select {USER_COLUMNS} from users where id = %s::uuid for update", (parse_id(user_id),)
                    )
                ).fetchone()
                if before is None:
                    raise NotFoundError(f"no user {user_id!r}")
                row = await (
                    await connection.execute(
                        f"update users set {change} where id = %(id)s returning {USER_COLUMNS}",
                        {"id": before["id"], "value": value},
                    )
                ).fetchone()
                assert row is not None
                user = User(**row)
                await self._record(action, actor, User(**before), user, connection)
                return user
        except psycopg.errors.IntegrityConstraintViolation as error:
            raise ConflictError(
                "this is the last administrator of the installation who can log in; make another one first"
            ) from error

    async def _record(self, action: str, actor: Actor, before: User | None, user: User, connection: Connection) -> None:
        after = _audited(user)
        earlier = None if before is None else _audited(before)
        if earlier is not None:
            after = {key: value for key, value in after.items() if earlier[key] != value}
            earlier = {key: earlier[key] for key in after}
        act = Act(INSTALLATION, action, actor, f"user:{user.id}", before=earlier, after=after)
        await self._audit.record(act, connection=connection)


def normal_email(text: str) -> str:
    """Return an email address the way it is stored: in lower case.

    ASCII only. Addresses that differ in letters which look or fold alike would
    otherwise let one person take another's account; a domain with other letters
    has its ``xn--`` form.

    Raises:
        InvalidInputError: it is no address.
    """
    # Before lower(), which turns some letters from elsewhere (the Kelvin sign) into ASCII ones.
    if not text.isascii():
        raise InvalidInputError("an email address is written in ASCII here; write its domain in the xn-- form")
    address = text.strip().lower()
    if len(address) > MAX_EMAIL_CHARACTERS or not _EMAIL.fullmatch(address):
        raise InvalidInputError(f"{text[:100]!r} is no email address; it looks like maria@example.org")
    return address


def checked_name(text: str) -> str:
    """Return a person's name without outer spaces, or raise InvalidInputError."""
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidInputError(f"a name has 1 to {MAX_NAME_CHARACTERS} printable characters")
    return name


def _audited(user: User) -> dict[str, object]:
    # Neither name nor address: the audit log is kept when a person is erased.
    return {
        "is_admin": user.is_admin,
        "is_disabled": user.is_disabled,
        "is_email_verified": user.email_verified_at is not None,
    }
