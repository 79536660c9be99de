"""Delegations: a person lets a named other one answer for them, for a time or for one approval, within limits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.authority.approvals.errors import NoApproverError
from bailiwick.identity.people.permissions import may
from bailiwick.kernel.clock import Clock
from bailiwick.kernel.errors import ForbiddenError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

MAX_DAYS = 92
"""How long a delegation lasts at most: a quarter."""

_COLUMNS = (
    "id, from_user, to_user, approval_id, tools, max_price, may_edit, reason, starts_at, ends_at, made_at, revoked_at"
)


@dataclass(frozen=True, slots=True)
class NewDelegation:
    """Who answers for whom: for one approval, or until ``ends_at``.

    ``tools`` empty means all, ``max_price`` is that of one effect.
    """

    from_user: str
    to_user: str
    approval_id: str | None = None
    tools: tuple[str, ...] = ()
    max_price: Decimal | None = None
    may_edit: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """A delegation as it is kept."""

    id: str
    from_user: str
    to_user: str
    approval_id: str | None
    tools: list[str]
    max_price: Decimal | None
    may_edit: bool
    reason: str | None
    starts_at: datetime
    ends_at: datetime | None
    made_at: datetime
    revoked_at: datetime | None


class Delegations:
    """The delegations of all organizations.

    A delegate's word is the delegator's and counts once; nobody delegates what
    was delegated to them, because only people with the role are spoken for.
    """

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def make(self, organization_id: str, wanted: NewDelegation, *, actor: Actor) -> Delegation:
        """Let somebody answer for a person; whoever calls has seen to it that the person may ask for that.

        Raises:
            InvalidInputError: to oneself, without an end, in the past, or for longer than a quarter.
            NotFoundError: the approval is not there, or a person is no member here.
            NoApproverError: who is to answer may not answer approvals at all.
        """
        now = self._clock.now()
        starts = wanted.starts_at or now
        _check(wanted, starts, now)
        async with self._database.transaction(organization_id) as connection:
            await _check_people(organization_id, wanted, connection)
            cursor = await connection.execute(
                "insert into approval_delegations (id, organization_id, from_user, to_user, approval_id, tools, "
                "max_price, may_edit, reason, starts_at, ends_at, made_by) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning " + _COLUMNS,
                (
                    new_id(), organization_id, wanted.from_user, wanted.to_user, wanted.approval_id,
                    list(wanted.tools), wanted.max_price, wanted.may_edit, wanted.reason, starts, wanted.ends_at,
                    f"{actor.kind}:{actor.id}",
                ),
            )  # fmt: skip
            row = await cursor.fetchone()
            assert row is not None
            made = Delegation(**row)
            after = {
                "from": made.from_user, "to": made.to_user, "approval": made.approval_id, "tools": made.tools,
                "max_price": made.max_price and str(made.max_price), "may_edit": made.may_edit,
                "ends_at": made.ends_at,
            }  # fmt: skip
            act = Act(
                organization_id, "approval.delegated", actor, f"delegation:{made.id}", after=after,
                reason=wanted.reason,
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        return made

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Delegation]:
        """Return a page of an organization's delegations, newest first, ended ones too."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from approval_delegations where organization_id = %(org)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([Delegation(**row) for row in rows], limit)

    async def revoke(
        self, organization_id: str, delegation_id: str, *, actor: Actor, only_from: str | None = None
    ) -> None:
        """End a delegation; answers that were given stay.

        Raises:
            NotFoundError: there is none that could be ended.
            ForbiddenError: it is not that of the person ``only_from``.
        """
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "update approval_delegations set revoked_at = now() where organization_id = %s and id = %s::uuid "
                "and revoked_at is null returning id, from_user",
                (organization_id, parse_id(delegation_id)),
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFoundError(f"no delegation {delegation_id[:50]!r} in force in this organization")
            if only_from is not None and row["from_user"] != only_from:
                raise ForbiddenError("a delegation is ended by the person who made it, or by the administrator")
            act = Act(organization_id, "approval.delegation_revoked", actor, f"delegation:{row['id']}")
            await self._audit.record(act, connection=connection)


def _check(wanted: NewDelegation, starts: datetime, now: datetime) -> None:
    if wanted.from_user == wanted.to_user:
        raise InvalidInputError("nobody delegates to themselves")
    if wanted.approval_id is None and wanted.ends_at is None:
        raise InvalidInputError("say until when, or for which approval; a delegation without an end is a role")
    if wanted.ends_at is not None and (
        wanted.ends_at <= max(starts, now) or wanted.ends_at - starts > timedelta(days=MAX_DAYS)
    ):
        raise InvalidInputError(f"a delegation ends after it begins, in the future, and lasts at most {MAX_DAYS} days")


async def _check_people(organization_id: str, wanted: NewDelegation, connection: Connection) -> None:
    if wanted.approval_id is not None:
        cursor = await connection.execute(
            "select 1 from approvals where id = %s::uuid", (parse_id(wanted.approval_id),)
        )
        if await cursor.fetchone() is None:
            raise NotFoundError(f"no approval {wanted.approval_id[:50]!r} in this organization")
    for user_id in (wanted.from_user, wanted.to_user):
        cursor = await connection.execute(
            "select m.role from memberships m where m.organization_id = %s and m.user_id = %s::uuid",
            (organization_id, parse_id(user_id)),
        )
        row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(f"no member {user_id[:50]!r} in this organization")
        if not may(row["role"], "approvals:answer"):
            raise NoApproverError(f"the role {row['role']} answers no approvals, so it neither gives nor takes answers")
