"""Data subjects: the people an organization holds data about, and by what each is known."""

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.privacy.identifiers import Identifier
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.vault import Vault

MAX_IDENTIFIERS = 50
_HASH_KEY = "privacy.lookup"
_IDENTIFIER = "privacy.identifier"
_COLUMNS = "id, organization_id, created_at, erased_at"


@dataclass(frozen=True, slots=True)
class DataSubject:
    """A person an organization holds data about. ``erased_at`` is when everything but this row was erased."""

    id: str
    organization_id: str
    created_at: datetime
    erased_at: datetime | None


class Subjects:
    """The data subjects of all organizations.

    Identifiers are stored sealed under the person's own key, so forgetting that
    key makes them unreadable, and found by a keyed hash of the organization.
    """

    def __init__(self, database: Database, vault: Vault, audit: AuditLog) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit
        self._hash_keys: dict[str, bytes] = {}

    async def register(self, organization_id: str, identifiers: Sequence[Identifier], *, actor: Actor) -> DataSubject:
        """Return the person known by these; made if nobody is, and known by all of them afterwards.

        Raises:
            InvalidInputError: none or too many are given, or only names, which tell nobody apart.
            ConflictError: they belong to different people.
        """
        wanted = list(dict.fromkeys(identifiers))
        if not 1 <= len(wanted) <= MAX_IDENTIFIERS or all(one.kind == "name" for one in wanted):
            raise InvalidInputError(f"give 1 to {MAX_IDENTIFIERS} identifiers, one of them an email, a login or a user")
        hashed = {one: await self._hash(organization_id, one) for one in wanted}
        owners = await self._owners(organization_id, [hashed[one] for one in wanted if one.kind != "name"])
        if len(owners) > 1:
            raise ConflictError("these identifiers belong to different people; register each person apart")
        subject_id = next(iter(owners), None) or new_id()
        rows = [
            (
                new_id(), organization_id, subject_id, one.kind, hashed[one],
                await self._vault.seal(
                    organization_id, one.value.encode(), purpose=f"{_IDENTIFIER}:{one.kind}", subject_id=subject_id
                ),
            )
            for one in wanted
        ]  # fmt: skip
        try:
            async with self._database.transaction(organization_id) as connection:
                await self._write(connection, organization_id, subject_id, rows)
                kinds = sorted(one.kind for one in wanted)
                act = "subject.identified" if owners else "subject.registered"
                await self._audit.record(
                    Act(organization_id, act, actor, f"subject:{subject_id}", after={"identifiers": kinds}),
                    connection=connection,
                )
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError("somebody else was just registered under one of these; try again") from error
        return await self.get(organization_id, subject_id)

    async def find(self, organization_id: str, reference: str) -> DataSubject | None:
        """Return the person of an id, or known as ``email:...``, ``login:...`` or ``user:...``; None if there is none.

        Raises:
            InvalidInputError: the reference is neither.
            ConflictError: a name that several people share.
        """
        subject_id = parse_id(reference)
        if subject_id is None:
            digest = await self._hash(organization_id, Identifier.parse(reference))
            owners = await self._owners(organization_id, [digest])
            if len(owners) > 1:
                raise ConflictError("several people are known by this name; use an email, a login or the id")
            subject_id = next(iter(owners), None)
        row = None if subject_id is None else await self._database.fetch_one(
            f"select {_COLUMNS} from data_subjects where id = %s and organization_id = %s",
            (subject_id, organization_id),
            organization_id=organization_id,
        )  # fmt: skip
        return None if row is None else DataSubject(**row)

    async def get(self, organization_id: str, reference: str) -> DataSubject:
        """Return the person, or raise NotFoundError."""
        found = await self.find(organization_id, reference)
        if found is None:
            raise NotFoundError("nobody is registered under that here; register the person first")
        return found

    async def identifiers(self, organization_id: str, subject_id: str) -> list[Identifier]:
        """Return everything a person is known by, opened; none after an erasure."""
        rows = await self._database.fetch_all(
            "select kind, sealed from subject_identifiers where organization_id = %s and subject_id = %s order by id",
            (organization_id, subject_id),
            organization_id=organization_id,
        )
        found: list[Identifier] = []
        for row in rows:
            value = await self._vault.open(
                organization_id, bytes(row["sealed"]), purpose=f"{_IDENTIFIER}:{row['kind']}"
            )
            found.append(Identifier(row["kind"], value.decode()))
        return found

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[DataSubject]:
        """Return a page of people, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from data_subjects where organization_id = %(org)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([DataSubject(**row) for row in rows], limit)

    async def forget(self, connection: Connection, organization_id: str, subject_id: str) -> int:
        """Destroy a person's key and everything they are known by; returns how many identifiers there were.

        In the transaction of the caller, who records the act.
        """
        await self._vault.forget(organization_id, subject_id, connection=connection)
        cursor = await connection.execute(
            "delete from subject_identifiers where organization_id = %s and subject_id = %s",
            (organization_id, subject_id),
        )
        await connection.execute(
            "update data_subjects set erased_at = coalesce(erased_at, now()) where id = %s and organization_id = %s",
            (subject_id, organization_id),
        )
        return cursor.rowcount

    async def _write(
        self, connection: Connection, organization_id: str, subject_id: str, rows: Sequence[tuple[object, ...]]
    ) -> None:
        await connection.execute(
            "insert into data_subjects (id, organization_id) values (%s, %s) on conflict (id) do nothing",
            (subject_id, organization_id),
        )
        async with connection.cursor() as cursor:
            await cursor.executemany(
                "insert into subject_identifiers (id, organization_id, subject_id, kind, lookup, sealed) "
                "values (%s, %s, %s, %s, %s, %s) "
                "on conflict (organization_id, subject_id, kind, lookup) do nothing",
                rows,
            )

    async def _owners(self, organization_id: str, digests: Sequence[bytes]) -> Sequence[str]:
        rows = await self._database.fetch_all(
            "select distinct subject_id from subject_identifiers where organization_id = %s and lookup = any(%s)",
            (organization_id, list(digests)),
            organization_id=organization_id,
        )
        return [row["subject_id"] for row in rows]

    async def _hash(self, organization_id: str, identifier: Identifier) -> bytes:
        key = self._hash_keys.get(organization_id)
        if key is None:
            key = self._hash_keys[organization_id] = await self._hash_key(organization_id)
        return hmac.digest(key, identifier.lookup_text.encode(), hashlib.sha256)

    async def _hash_key(self, organization_id: str) -> bytes:
        query = "select sealed from subject_hash_keys where organization_id = %s"
        row = await self._database.fetch_one(query, (organization_id,), organization_id=organization_id)
        if row is None:
            sealed = await self._vault.seal(organization_id, os.urandom(32), purpose=_HASH_KEY)
            await self._database.execute(
                "insert into subject_hash_keys (organization_id, sealed) values (%s, %s) on conflict do nothing",
                (organization_id, sealed),
                organization_id=organization_id,
            )
            # Another process may have been quicker; its key counts.
            row = await self._database.fetch_one(query, (organization_id,), organization_id=organization_id)
        if row is None:
            raise NotFoundError("the key that hashes identifiers vanished while it was made")
        return await self._vault.open(organization_id, bytes(row["sealed"]), purpose=_HASH_KEY)
