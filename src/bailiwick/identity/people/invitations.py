"""Invitations: how people become members of an organization."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.people.accounts import Accounts, User, normal_email
from bailiwick.identity.people.memberships import Memberships
from bailiwick.identity.people.one_time_links import LinkRefusedError, hash_of_token, new_token
from bailiwick.identity.people.permissions import Role, covers
from bailiwick.kernel.errors import ConflictError, ForbiddenError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

InvitationState = Literal["pending", "accepted", "revoked", "expired"]

INVITATION_DAYS = 7
_COLUMNS = (
    "id, organization_id, email, role, invited_by_name, created_at, expires_at, accepted_at, accepted_by, revoked_at"
)
_OPEN = "accepted_at is null and revoked_at is null and expires_at > now()"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What is known of an invitation; never its token."""

    id: str
    organization_id: str
    email: str
    role: Role
    state: InvitationState
    invited_by: str
    created_at: datetime
    expires_at: datetime


class Invitations:
    """The invitations of all organizations. No mail is sent from here: who invites hands the link over."""

    def __init__(
        self, database: Database, audit: AuditLog, accounts: Accounts, memberships: Memberships, passwords: Passwords
    ) -> None:
        self._database = database
        self._audit = audit
        self._accounts = accounts
        self._memberships = memberships
        self._passwords = passwords

    async def create(
        self, organization_id: str, email: str, role: Role, *, actor: Actor, rank: Role
    ) -> tuple[Invitation, str]:
        """Invite an address and return the invitation with its token, which cannot be shown again.

        It is good once and for seven days; an earlier one of the same address ends.

        Raises:
            InvalidInputError: that is no email address.
            ForbiddenError: the role is above the asker's.
            ConflictError: the address is a member's, or the organization has no owner and this would be none.
        """
        address = normal_email(email)
        if not covers(rank, role):
            raise ForbiddenError(f"inviting a member as {role} needs that role; yours is {rank}")
        token = new_token()
        async with self._database.transaction(organization_id) as connection:
            await _check_invitable(connection, organization_id, address, role)
            await connection.execute(
                "update invitations set revoked_at = now() where organization_id = %s and email = %s "
                "and accepted_at is null and revoked_at is null",
                (organization_id, address),
            )
            cursor = await connection.execute(
                "insert into invitations (id, organization_id, email, role, token_hash, invited_by, invited_by_name, "
                "expires_at) values (%s, %s, %s, %s, %s, %s, %s, now() + %s * interval '1 day') "
                "on conflict (organization_id, email) where accepted_at is null and revoked_at is null do nothing "
                f"returning {_COLUMNS}",
                (
                    new_id(), organization_id, address, role, hash_of_token(token), actor.id, actor.name,
                    INVITATION_DAYS,
                ),
            )  # fmt: skip
            row = await cursor.fetchone()
            if row is None:
                raise ConflictError("somebody else invited this address at the same moment; list the invitations")
            act = Act(organization_id, "member.invited", actor, f"invitation:{row['id']}", after={"role": role})
            await self._audit.record(act, connection=connection)
        return _invitation(row), token

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Invitation]:
        """Return a page of an organization's invitations, newest first, whatever became of them."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from invitations where organization_id = %(organization)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"organization": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_invitation(row) for row in rows], limit)

    async def revoke(self, organization_id: str, invitation_id: str, *, actor: Actor) -> None:
        """Take an invitation back.

        Raises:
            NotFoundError: there is none of that id here that could still be accepted.
        """
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "update invitations set revoked_at = now() where organization_id = %s and id = %s::uuid "
                "and accepted_at is null and revoked_at is null",
                (organization_id, parse_id(invitation_id)),
            )
            if not cursor.rowcount:
                raise NotFoundError(f"no open invitation {invitation_id!r} in this organization")
            act = Act(organization_id, "member.invitation_revoked", actor, f"invitation:{parse_id(invitation_id)}")
            await self._audit.record(act, connection=connection)

    async def accept_as_new(self, token: str, *, name: str, password: str, address: str | None) -> User:
        """Make the account of the invited address, with a password, and the membership.

        Raises:
            LinkRefusedError: the invitation was accepted, revoked, replaced, or its time is over.
            ConflictError: the address has an account: its owner logs in and accepts.
            InvalidInputError: name or password cannot be accepted; the invitation stays good.
        """
        invitation = await self._find_open(token)
        prepared = await self._passwords.prepare(password, email=invitation.email, name=name)
        invited = Actor("anonymous", "", "holder of an invitation", address)
        async with self._database.transaction(invitation.organization_id) as connection:
            await self._use(token, connection)
            try:
                user = await self._accounts.create(invitation.email, name, actor=invited, connection=connection)
            except ConflictError as error:
                raise ConflictError(
                    "the invited address has an account already; log in with it and accept the invitation there"
                ) from error
            await self._passwords.store(user.id, prepared, actor=invited, connection=connection)
            await self._join(invitation, user, address, connection)
        return user

    async def accept_as(self, user: User, token: str, *, address: str | None) -> str:
        """Make a logged-in user a member and return the organization's id.

        Raises:
            LinkRefusedError: the invitation was accepted, revoked, replaced, or its time is over.
            ForbiddenError: it is for another address.
            ConflictError: the user is a member already.
        """
        invitation = await self._find_open(token)
        if invitation.email != user.email:
            raise ForbiddenError("this invitation is for another email address than that of your account")
        async with self._database.transaction(invitation.organization_id) as connection:
            await self._use(token, connection)
            await self._join(invitation, user, address, connection)
        return invitation.organization_id

    async def _join(self, invitation: Invitation, user: User, address: str | None, connection: Connection) -> None:
        await connection.execute("update invitations set accepted_by = %s where id = %s", (user.id, invitation.id))
        await self._memberships.add(
            invitation.organization_id, user.id, invitation.role,
            actor=Actor("user", user.id, user.name, address), connection=connection,
        )  # fmt: skip

    async def _find_open(self, token: str) -> Invitation:
        found = await self._database.fetch_one(
            "select invitation_organization(%s) as organization_id", (hash_of_token(token),)
        )
        organization_id = None if found is None else found["organization_id"]
        row = organization_id and await self._database.fetch_one(
            f"select {_COLUMNS} from invitations where token_hash = %s and {_OPEN}",
            (hash_of_token(token),),
            organization_id=organization_id,
        )
        if not row:
            raise _refused()
        return _invitation(row)

    async def _use(self, token: str, connection: Connection) -> None:
        # Of two who accept at once the second waits here and then finds it accepted.
        cursor = await connection.execute(
            f"update invitations set accepted_at = now() where token_hash = %s and {_OPEN}", (hash_of_token(token),)
        )
        if not cursor.rowcount:
            raise _refused()


async def _check_invitable(connection: Connection, organization_id: str, email: str, role: Role) -> None:
    cursor = await connection.execute(
        "select exists (select from memberships m join users u on u.id = m.user_id "
        "where m.organization_id = %(organization)s and u.email = %(email)s) as is_member, "
        "exists (select from memberships where organization_id = %(organization)s) as has_members",
        {"organization": organization_id, "email": email},
    )
    row = await cursor.fetchone()
    assert row is not None
    if row["is_member"]:
        raise ConflictError("this address is a member's already; change the role instead")
    if not row["has_members"] and role != "owner":
        raise ConflictError("the first member of an organization is its owner: invite an owner first")


def _refused() -> LinkRefusedError:
    return LinkRefusedError(
        f"this invitation was accepted, revoked or replaced, or its {INVITATION_DAYS} days are over; ask for a new one"
    )


def _invitation(row: Row) -> Invitation:
    state: InvitationState = "pending"
    if row["accepted_at"] is not None:
        state = "accepted"
    elif row["revoked_at"] is not None:
        state = "revoked"
    elif row["expires_at"] <= datetime.now(UTC):
        state = "expired"
    return Invitation(
        row["id"], row["organization_id"], row["email"], row["role"], state, row["invited_by_name"],
        row["created_at"], row["expires_at"],
    )  # fmt: skip
