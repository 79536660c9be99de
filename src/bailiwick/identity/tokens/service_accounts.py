"""Service accounts: programs of an organization that are nobody in particular, and outlive whoever set them up."""

from dataclasses import dataclass
from datetime import datetime

import psycopg

from bailiwick.audit import Act, AuditLog
from bailiwick.identity.model import MACHINE, Caller
from bailiwick.identity.people.permissions import Role, parse_role
from bailiwick.identity.tokens.key_bounds import check_covers
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

_COLUMNS = "id, name, role, is_disabled, created_at"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A program with a role in one organization; it calls with keys of its own."""

    id: str
    name: str
    role: Role
    is_disabled: bool
    created_at: datetime


class ServiceAccounts:
    """The service accounts of all organizations. Whoever makes or changes one may do at least what its role may."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def create(
        self, organization_id: str, name: str, role: str, *, maker: Caller = MACHINE, address: str | None = None
    ) -> ServiceAccount:
        """Make a service account; it opens nothing before it has a key. Audited as ``service_account.created``.

        Raises:
            InvalidInputError: no such role, or no usable name.
            ForbiddenError: the role could do what its maker may not.
            ConflictError: the organization has one of that name.
        """
        if not 1 <= len(name.strip()) <= 200 or not name.isprintable():
            raise InvalidInputError("a service account's name has 1 to 200 printable characters")
        given = parse_role(role)
        check_covers(maker, organization_id, given)
        try:
            async with self._database.transaction(organization_id) as connection:
                cursor = await connection.execute(
                    "insert into service_accounts (id, organization_id, name, role, made_by) "
                    f"values (%s, %s, %s, %s, %s) returning {_COLUMNS}",
                    (new_id(), organization_id, name.strip(), given, sorted(maker.people)),
                )
                row = await cursor.fetchone()
                assert row is not None
                account = _account(row)
                after = {"name": account.name, "role": account.role, "made_by": sorted(maker.people)}
                act = Act(
                    organization_id, "service_account.created", maker.actor(address), f"service_account:{account.id}",
                    after=after,
                )  # fmt: skip
                await self._audit.record(act, connection=connection)
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError(f"a service account {name!r} exists already; choose another name") from error
        return account

    async def get(self, organization_id: str, reference: str) -> ServiceAccount:
        """Return a service account by id or name, or raise NotFoundError."""
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from service_accounts where organization_id = %s and (id = %s::uuid or name = %s)",
            (organization_id, parse_id(reference), reference),
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no service account {reference!r} in this organization")
        return _account(row)

    async def set_role(
        self, organization_id: str, reference: str, role: str, *, maker: Caller = MACHINE, address: str | None = None
    ) -> ServiceAccount:
        """Give a service account another role; its keys follow within a second.

        Raises:
            ForbiddenError: the old or the new role could do what ``maker`` may not.
            NotFoundError: there is no such account.
        """
        given = parse_role(role)
        check_covers(maker, organization_id, given)
        change = _Change("role", given, "service_account.role_changed")
        return await self._change(organization_id, reference, change, maker, address)

    async def disable(
        self, organization_id: str, reference: str, *, maker: Caller = MACHINE, address: str | None = None
    ) -> ServiceAccount:
        """Cut a service account off: within a second none of its keys opens anything. Harmless if done before.

        Raises:
            NotFoundError: there is no such account.
        """
        change = _Change("is_disabled", True, "service_account.disabled")
        return await self._change(organization_id, reference, change, maker, address)

    async def enable(
        self, organization_id: str, reference: str, *, maker: Caller = MACHINE, address: str | None = None
    ) -> ServiceAccount:
        """Let a disabled service account and the keys it has in again, or raise NotFoundError."""
        change = _Change("is_disabled", False, "service_account.enabled")
        return await self._change(organization_id, reference, change, maker, address)

    async def remove(
        self, organization_id: str, reference: str, *, maker: Caller = MACHINE, address: str | None = None
    ) -> None:
        """Remove a service account with all its keys, or raise NotFoundError."""
        account = await self.get(organization_id, reference)
        check_covers(maker, organization_id, account.role)
        async with self._database.transaction(organization_id) as connection:
            await connection.execute(
                "delete from service_accounts where organization_id = %s and id = %s", (organization_id, account.id)
            )
            act = Act(
                organization_id, "service_account.removed", maker.actor(address), f"service_account:{account.id}",
                before={"name": account.name, "role": account.role},
            )  # fmt: skip
            await self._audit.record(act, connection=connection)

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[ServiceAccount]:
        """Return a page of an organization's service accounts, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from service_accounts where organization_id = %(organization)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"organization": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_account(row) for row in rows], limit)

    async def _change(
        self, organization_id: str, reference: str, change: "_Change", maker: Caller, address: str | None
    ) -> ServiceAccount:
        before = await self.get(organization_id, reference)
        # Otherwise who may little could cut off, or weaken, what may more.
        check_covers(maker, organization_id, before.role)
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                trusted(
                    f"update service_accounts set {change.column} = %s where organization_id = %s and id = %s "
                    f"returning {_COLUMNS}"
                ),
                (change.value, organization_id, before.id),
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFoundError(f"no service account {reference!r} in this organization")
            account = _account(row)
            if account != before:
                act = Act(
                    organization_id, change.action, maker.actor(address), f"service_account:{account.id}",
                    before={change.column: getattr(before, change.column)}, after={change.column: change.value},
                )  # fmt: skip
                await self._audit.record(act, connection=connection)
        return account


@dataclass(frozen=True, slots=True)
class _Change:
    column: str
    value: str | bool
    action: str


def _account(row: Row) -> ServiceAccount:
    return ServiceAccount(row["id"], row["name"], parse_role(row["role"]), row["is_disabled"], row["created_at"])
