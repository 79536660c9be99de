"""Organizations: made, found and listed."""

import re

import psycopg

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.identity.model import Organization
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION, new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of


class Organizations:
    """The organizations of this installation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit = AuditLog(database)

    async def create(self, name: str, *, slug: str | None = None, actor: Actor = SYSTEM) -> Organization:
        """Make an organization.

        Raises:
            InvalidInputError: no usable name.
            ConflictError: the slug is taken.
        """
        if not 1 <= len(name.strip()) <= 200 or not name.isprintable():
            raise InvalidInputError("an organization's name has 1 to 200 printable characters")
        slug = slug or slug_of(name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", slug):
            raise InvalidInputError(f"slug {slug!r}: use lower-case letters, digits and hyphens, at most 63")
        try:
            async with self._database.transaction() as connection:
                cursor = await connection.execute(
                    "select * from organization_create(%s, %s, %s)", (new_id(), slug, name.strip())
                )
                row = await cursor.fetchone()
                if row is not None:
                    for chain in (INSTALLATION, row["id"]):
                        act = Act(chain, "organization.created", actor, f"organization:{row['id']}",
                                  after={"slug": slug, "name": name.strip()})  # fmt: skip
                        await self._audit.record(act, connection=connection)
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError(f"an organization {slug!r} exists already; choose another name or slug") from error
        if row is None:
            raise NotFoundError("the organization vanished while it was made")
        return Organization(**row)

    async def ensure(self, name: str) -> Organization:
        """Return the organization of that name or slug, made if it is missing."""
        found = await self.find(name) or await self.find(slug_of(name))
        if found is not None:
            return found
        try:
            return await self.create(name)
        except ConflictError:
            # Somebody else made it in this moment.
            return await self.get(slug_of(name))

    async def find(self, reference: str) -> Organization | None:
        """Return an organization by id or slug, or None."""
        row = await self._database.fetch_one(
            "select * from organization_find(%s::uuid, %s)", (parse_id(reference), reference)
        )
        return None if row is None else Organization(**row)

    async def get(self, reference: str) -> Organization:
        """Return an organization by id or slug, or raise NotFoundError naming some that exist."""
        found = await self.find(reference)
        if found is None:
            known = [organization.slug for organization in (await self.list(limit=10)).items]
            raise NotFoundError(f"no organization {reference!r}; there are: {', '.join(known) or 'none yet'}")
        return found

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Organization]:
        """Return a page of organizations, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            "select * from organization_list(%s::uuid, %s)", (after_cursor(cursor), limit + 1)
        )
        return page_of([Organization(**row) for row in rows], limit)


def slug_of(name: str) -> str:
    """Return the slug a name gets when none is given."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "organization"
