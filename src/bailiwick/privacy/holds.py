"""Legal holds: what must not be erased or age out, whoever asks, until somebody releases it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.privacy.classes import RETENTION_CLASSES
from bailiwick.privacy.errors import LegalHoldError
from bailiwick.privacy.subjects import Subjects
from bailiwick.storage import Database, Row
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

_COLUMNS = (
    "id, organization_id, scope, target, reason, placed_by, placed_at, until, released_at, released_by, release_reason"
)
_STANDS = "released_at is null and (until is null or until > now())"


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold on everything of an organization, on a class of data, or on one person (``target``)."""

    id: str
    organization_id: str
    scope: str
    target: str | None
    reason: str
    placed_by: str
    placed_at: datetime
    until: datetime | None
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The holds of one organization that stand now."""

    holds: tuple[LegalHold, ...]

    @property
    def is_everything(self) -> bool:
        """Tell whether everything of the organization is held."""
        return any(hold.scope == "organization" for hold in self.holds)

    @property
    def classes(self) -> frozenset[str]:
        """The classes of data that are held."""
        return frozenset(hold.target or "" for hold in self.holds if hold.scope == "class")

    @property
    def subjects(self) -> frozenset[str]:
        """The people whose data is held."""
        return frozenset(hold.target or "" for hold in self.holds if hold.scope == "subject")

    def refuse_erasure(self, subject_id: str) -> None:
        """Raise LegalHoldError if this person may not be erased at all."""
        for hold in self.holds:
            if hold.scope == "organization" or hold.target == subject_id:
                raise LegalHoldError(f"legal hold {hold.id} stands against erasing this person; release it first")


class LegalHolds:
    """The legal holds of all organizations."""

    def __init__(self, database: Database, subjects: Subjects, audit: AuditLog) -> None:
        self._database = database
        self._subjects = subjects
        self._audit = audit

    async def place(
        self,
        organization_id: str,
        *,
        reason: str,
        actor: Actor,
        subject: str | None = None,
        data_class: str | None = None,
        until: datetime | None = None,
    ) -> LegalHold:
        """Hold a person's data, a class, or with neither everything of the organization; from now on.

        Raises:
            InvalidInputError: no reason, both a person and a class, an unknown class, or an end in the past.
            NotFoundError: nobody is registered under ``subject``.
        """
        if not 1 <= len(reason.strip()) <= 2000:
            raise InvalidInputError("a legal hold needs a reason of 1 to 2000 characters")
        if subject is not None and data_class is not None:
            raise InvalidInputError("hold a person or a class, not both in one")
        if data_class is not None and data_class not in RETENTION_CLASSES:
            raise InvalidInputError(f"no class {data_class[:50]!r}; there are: {', '.join(RETENTION_CLASSES)}")
        if until is not None and until <= datetime.now(UTC):
            raise InvalidInputError("a hold ends in the future")
        target = data_class
        if subject is not None:
            target = (await self._subjects.get(organization_id, subject)).id
        scope = "subject" if subject is not None else "class" if data_class is not None else "organization"
        hold_id = new_id()
        async with self._database.transaction(organization_id) as connection:
            await connection.execute(
                "insert into legal_holds (id, organization_id, scope, target, reason, placed_by, until) "
                "values (%s, %s, %s, %s, %s, %s, %s)",
                (hold_id, organization_id, scope, target, reason.strip(), f"{actor.kind}:{actor.id}", until),
            )
            after = {"scope": scope, "target": target, "until": None if until is None else until.isoformat()}
            act = Act(organization_id, "legal_hold.placed", actor, f"legal_hold:{hold_id}", after=after, reason=reason)
            await self._audit.record(act, connection=connection)
        return await self.get(organization_id, hold_id)

    async def release(self, organization_id: str, hold_id: str, *, reason: str, actor: Actor) -> LegalHold:
        """End a hold; what waited for it may be asked for again.

        Raises:
            NotFoundError, ConflictError: there is no such hold, or it was released before.
            InvalidInputError: no reason.
        """
        if not 1 <= len(reason.strip()) <= 2000:
            raise InvalidInputError("releasing a legal hold needs a reason of 1 to 2000 characters")
        hold = await self.get(organization_id, hold_id)
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "update legal_holds set released_at = now(), released_by = %s, release_reason = %s "
                "where id = %s and organization_id = %s and released_at is null",
                (f"{actor.kind}:{actor.id}", reason.strip(), hold.id, organization_id),
            )
            if cursor.rowcount == 0:
                raise ConflictError(f"legal hold {hold.id} was released already")
            before = {"scope": hold.scope, "target": hold.target}
            act = Act(
                organization_id, "legal_hold.released", actor, f"legal_hold:{hold.id}", before=before, reason=reason
            )
            await self._audit.record(act, connection=connection)
        return await self.get(organization_id, hold.id)

    async def get(self, organization_id: str, hold_id: str) -> LegalHold:
        """Return a hold, or raise NotFoundError."""
        identifier = parse_id(hold_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {_COLUMNS} from legal_holds where id = %s and organization_id = %s",
            (identifier, organization_id),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(f"no legal hold {hold_id[:50]} in this organization")
        return _hold(row)

    async def standing(self, organization_id: str) -> Standing:
        """Return what is held now, by the database's clock."""
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from legal_holds where organization_id = %s and {_STANDS} order by id",
            (organization_id,),
            organization_id=organization_id,
        )
        return Standing(tuple(_hold(row) for row in rows))

    async def organizations(self) -> frozenset[str]:
        """Return the organizations in which any hold stands."""
        rows = await self._database.fetch_all("select organizations_on_hold() as id")
        return frozenset(row["id"] for row in rows)

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[LegalHold]:
        """Return a page of holds, newest first, released ones too."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from legal_holds where organization_id = %(org)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_hold(row) for row in rows], limit)


def _hold(row: Row) -> LegalHold:
    return LegalHold(**row)
