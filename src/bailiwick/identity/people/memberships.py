"""Memberships: which users belong to an organization, and in which role."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.people.permissions import ROLES, Role, covers, may
from bailiwick.kernel.errors import ConflictError, ForbiddenError, NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of

_MEMBER = "u.id as user_id, u.email, u.name, u.is_disabled, m.role, m.created_at, u.last_login_at"


@dataclass(frozen=True, slots=True)
class Member:
    """A user as the organization they belong to sees them."""

    user_id: str
    email: str
    name: str
    is_disabled: bool
    role: Role
    created_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class Membership:
    """An organization as one of its members sees it."""

    organization_id: str
    slug: str
    name: str
    role: Role
    created_at: datetime


class Memberships:
    """Who belongs to which organization.

    An organization that has members always has an owner: the first member is
    one, and the last one cannot leave, be demoted or be removed. The database
    sees to it, however many change it at once.

    ``rank`` is the role of whoever asks ("owner" for the installation's
    administrator): nobody gives, changes or takes a role above their own.
    """

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def add(
        self,
        organization_id: str,
        user_id: str,
        role: Role,
        *,
        actor: Actor,
        rank: Role = "owner",
        connection: Connection | None = None,
    ) -> None:
        """Make a user a member; with a ``connection``, in its transaction, which must be the organization's.

        Raises:
            ForbiddenError: the role is above the asker's.
            ConflictError: the user is a member already, or would be the first one and is no owner.
        """
        _check_rank(rank, role)
        async with self._change(organization_id, connection) as changing:
            cursor = await changing.execute(
                "insert into memberships (organization_id, user_id, role) values (%s, %s, %s) "
                "on conflict (organization_id, user_id) do nothing",
                (organization_id, user_id, role),
            )
            if not cursor.rowcount:
                raise ConflictError("this user is a member already; change the role instead")
            act = Act(organization_id, "member.added", actor, f"user:{user_id}", after={"role": role})
            await self._audit.record(act, connection=changing)

    async def find(self, organization_id: str, user_id: str) -> Role | None:
        """Return a user's role in an organization, or None; a disabled user has none."""
        row = await self._database.fetch_one(
            "select m.role from memberships m join users u on u.id = m.user_id "
            "where m.organization_id = %s and m.user_id = %s::uuid and not u.is_disabled",
            (organization_id, parse_id(user_id)),
            organization_id=organization_id,
        )
        return None if row is None else row["role"]

    async def get(self, organization_id: str, user: str) -> Member:
        """Return a member by user id or email address, or raise NotFoundError."""
        row = await self._database.fetch_one(
            f"select {_MEMBER} from memberships m join users u on u.id = m.user_id "
            "where m.organization_id = %s and (u.id = %s::uuid or u.email = %s)",
            (organization_id, parse_id(user), user.strip().lower()),
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no member {user!r} in this organization")
        return Member(**row)

    async def of_user(self, user_id: str) -> list[Membership]:
        """Return the organizations of a user with the role in each, by slug; for the user alone."""
        rows = await self._database.fetch_all("select * from memberships_of(%s::uuid)", (parse_id(user_id),))
        return [Membership(**row) for row in rows]

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Member]:
        """Return a page of an organization's members, the newest users first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_MEMBER} from memberships m join users u on u.id = m.user_id "
            "where m.organization_id = %(organization)s and (%(after)s::uuid is null or m.user_id < %(after)s) "
            "order by m.user_id desc limit %(limit)s",
            {"organization": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        found = [Member(**row) for row in rows[:limit]]
        return Page(found, cursor_of(found[-1].user_id) if len(rows) > limit else None)

    async def change_role(self, organization_id: str, user_id: str, role: Role, *, actor: Actor, rank: Role) -> Member:
        """Give a member another role.

        Raises:
            NotFoundError: the user is no member here.
            ForbiddenError: the role, or the one the member has, is above the asker's.
            ConflictError: this is the last owner.
        """
        _check_rank(rank, role)
        user_id = parse_id(user_id) or user_id
        async with self._change(organization_id) as changing:
            before = await self._role_for_update(changing, organization_id, user_id)
            _check_rank(rank, before)
            await changing.execute(
                "update memberships set role = %s where organization_id = %s and user_id = %s",
                (role, organization_id, user_id),
            )
            await _revoke_invitations(changing, organization_id, user_id, role)
            act = Act(
                organization_id, "member.role_changed", actor, f"user:{user_id}",
                before={"role": before}, after={"role": role},
            )  # fmt: skip
            await self._audit.record(act, connection=changing)
        return await self.get(organization_id, user_id)

    async def remove(self, organization_id: str, user_id: str, *, actor: Actor, rank: Role) -> None:
        """End a membership; a member may always leave, whatever the rank.

        Raises:
            NotFoundError: the user is no member here.
            ForbiddenError: the member's role is above the asker's.
            ConflictError: this is the last owner.
        """
        user_id = parse_id(user_id) or user_id
        async with self._change(organization_id) as changing:
            before = await self._role_for_update(changing, organization_id, user_id)
            is_leaving = actor.kind == "user" and actor.id == user_id
            if not is_leaving:
                _check_rank(rank, before)
            await changing.execute(
                "delete from memberships where organization_id = %s and user_id = %s", (organization_id, user_id)
            )
            await _revoke_invitations(changing, organization_id, user_id, None)
            action = "member.left" if is_leaving else "member.removed"
            act = Act(organization_id, action, actor, f"user:{user_id}", before={"role": before})
            await self._audit.record(act, connection=changing)

    async def _role_for_update(self, connection: Connection, organization_id: str, user_id: str) -> Role:
        cursor = await connection.execute(
            "select role from memberships where organization_id = %s and user_id = %s::uuid for update",
            (organization_id, parse_id(user_id)),
        )
        row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(f"no member {user_id!r} in this organization")
        return row["role"]

    @asynccontextmanager
    async def _change(self, organization_id: str, within: Connection | None = None) -> AsyncGenerator[Connection]:
        try:
            if within is not None:
                yield within
                return
            async with self._database.transaction(organization_id) as connection:
                yield connection
        except psycopg.errors.IntegrityConstraintViolation as error:
            raise ConflictError(
                "an organization with members needs an owner: make somebody else owner first"
            ) from error
        except psycopg.errors.ForeignKeyViolation as error:
            raise NotFoundError("there is no such user or organization any more") from error


async def _revoke_invitations(connection: Connection, organization_id: str, inviter_id: str, role: Role | None) -> None:
    """Take back what a member, now of that role or none, has invited and could not invite any more, keys or not."""
    still = [one for one in ROLES if role is not None and may(role, "members:write") and covers(role, one)]
    await connection.execute(
        "update invitations set revoked_at = now() where organization_id = %(org)s and (invited_by = %(user)s "
        "or invited_by in (select k.id::text from api_keys k where k.organization_id = %(org)s "
        "and k.user_id = %(user)s::uuid)) and accepted_at is null and revoked_at is null and role <> all(%(still)s)",
        {"org": organization_id, "user": inviter_id, "still": still},
    )


def _check_rank(rank: Role, role: Role) -> None:
    if not covers(rank, role):
        raise ForbiddenError(f"this needs the role {role}; yours is {rank}")
