"""Erasure: everything about a person goes, place by place, through whatever crashes, and a certificate says what went.

Steps, each journaled with counts only, so that the journal itself holds nothing of what is erased:

1. A legal hold is looked for; it refuses the erasure, or keeps its class.
2. The person's accounts and the keys of the records they wrote are noted, and every place is counted.
3. Every place is cleaned and counted again, until a count finds nothing.
4. The person's key is destroyed and what they are known by is deleted.
5. Other processes are told to drop what they remember; the touched tables are vacuumed.
6. The certificate is signed and stored, with an act in the audit log and an event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, LiteralString

from bailiwick.audit import SYSTEM, Act, AuditLog
from bailiwick.events import EventLog, NewEvent
from bailiwick.privacy.certificates import FORMAT, Certificates
from bailiwick.privacy.errors import LegalHoldError
from bailiwick.privacy.exporting import search_of
from bailiwick.privacy.facts import SUBJECT_ERASED, ErasureFact
from bailiwick.privacy.finding import Finder, Search
from bailiwick.privacy.holds import LegalHolds
from bailiwick.privacy.locations import Location
from bailiwick.privacy.redaction import Redaction
from bailiwick.privacy.requests import DataRequest, DataRequests, RequestPayload
from bailiwick.privacy.residue import RESIDUE, Vacuum
from bailiwick.privacy.subjects import Subjects
from bailiwick.storage import Database
from bailiwick.storage.waking import ERASED, Wakeups
from bailiwick.tasks import DiscardTask, Run

MAX_ROUNDS = 20
_LONGEST_SECONDS = 300.0
# What may stay because somebody needs it, and is then not counted as the person's to erase.
_STILL_THERE: Mapping[str, LiteralString] = {
    "users": "select count(*) as n from users where id = any(%(users)s::uuid[])",
    "memberships": "select count(*) as n from memberships "
    "where organization_id = %(org)s and user_id = any(%(users)s::uuid[])",
}


class ErasureJob:
    """The task kind ``privacy.erase``."""

    def __init__(
        self,
        *,
        database: Database,
        finder: Finder,
        subjects: Subjects,
        holds: LegalHolds,
        requests: DataRequests,
        certificates: Certificates,
        events: EventLog,
        audit: AuditLog,
        wakeups: Wakeups,
        vacuum: Vacuum,
    ) -> None:
        self._database = database
        self._finder = finder
        self._subjects = subjects
        self._holds = holds
        self._requests = requests
        self._certificates = certificates
        self._events = events
        self._audit = audit
        self._wakeups = wakeups
        self._vacuum = vacuum

    async def handle(self, run: Run, payload: RequestPayload) -> dict[str, Any]:
        """Carry out a request; returns the certificate's id and counts.

        Raises:
            LegalHoldError: a hold stands against it; the request is refused.
            DiscardTask: somebody goes on writing about the person, and the request is refused; or it was before.
        """
        request = await self._requests.get(run.task.organization_id, payload.request_id)
        if request.kind != "erasure" or request.state == "refused":
            # A task can be forked or redriven by whoever may not ask for an erasure.
            raise DiscardTask(f"request {request.id} asks for no erasure, or was refused; make a new one")
        try:
            scope = await run.step("scope", self._scope, request)
            before = await run.step("count", self._counts, request, scope)
            touched = await self._clean(run, request, scope, before)
        except LegalHoldError as error:
            await self._requests.refuse(request, str(error))
            raise
        kept = await run.step("kept", self._kept, request, scope)
        await run.step("forget", self._forget, request)
        self._wakeups.announce(ERASED, request.organization_id)
        vacuumed = await run.step("vacuum", self._vacuum.run, [*touched, "data_keys"])
        found = {"before": before, "touched": touched, "kept": kept, "vacuumed": vacuumed}
        certificate = await run.step("certificate", self._certify, request, scope, found)
        return {"certificate": certificate, "rows": sum(before.values()), "places": len(touched)}

    async def _clean(
        self, run: Run, request: DataRequest, scope: dict[str, Any], before: Mapping[str, int]
    ) -> list[str]:
        touched = sorted(table for table, rows in before.items() if rows)
        left: Mapping[str, int] = before
        for attempt in range(1, MAX_ROUNDS + 1):
            for location in self._cleanable(scope):
                await run.step(f"erase {location.table} {attempt}", self._erase, request, scope, location)
            left = await run.step(f"count {attempt}", self._counts, request, scope)
            open_places = [table for table, rows in left.items() if rows and table not in scope["spared"]]
            refused = await run.step(f"refused {attempt}", self._refused, request, scope, open_places)
            if set(open_places) <= set(refused):
                return touched
            # Something that was being worked on wrote once more; let it end.
            await run.sleep(min(2.0**attempt, _LONGEST_SECONDS))
        still = ", ".join(table for table, rows in left.items() if rows)
        reason = f"after {MAX_ROUNDS} rounds there is still new data about this person in {still}; ask for it again"
        await self._requests.refuse(request, reason)
        raise DiscardTask(reason)

    def _cleanable(self, scope: Mapping[str, Any]) -> list[Location]:
        return [one for one in self._finder.data_map.locations if one.table not in scope["spared"]]

    async def _scope(self, request: DataRequest) -> dict[str, Any]:
        standing = await self._holds.standing(request.organization_id)
        standing.refuse_erasure(request.subject_id)
        subject = await self._subjects.get(request.organization_id, request.subject_id)
        identifiers = await self._subjects.identifiers(request.organization_id, subject.id)
        search = await search_of(self._finder, subject, Redaction(identifiers))
        spared = {
            one.table: one.reason if one.erasure == "keep" else f"class {one.retention_class} is under a legal hold"
            for one in self._finder.data_map.locations
            if one.erasure == "keep" or one.retention_class in standing.classes
        }
        kinds = [one.kind for one in identifiers]
        return {
            "users": search.users, "records": search.records, "spared": spared,
            "identifiers": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
            # Rows sealed under the person's key count until the key is gone.
            "shredded": [one.table for one in self._finder.data_map.locations if one.erasure == "shred"],
        }  # fmt: skip

    async def _search(self, request: DataRequest, scope: Mapping[str, Any]) -> Search:
        # Read anew each time: what a person is known by stays out of the journal.
        identifiers = await self._subjects.identifiers(request.organization_id, request.subject_id)
        return Search(
            request.organization_id, request.subject_id, Redaction(identifiers), scope["users"], scope["records"]
        )

    async def _counts(self, request: DataRequest, scope: Mapping[str, Any]) -> dict[str, int]:
        search = await self._search(request, scope)
        return {one.table: await self._finder.count(one, search) for one in self._finder.data_map.locations}

    async def _erase(self, request: DataRequest, scope: Mapping[str, Any], location: Location) -> dict[str, int]:
        # A hold that was placed meanwhile counts from its first moment.
        standing = await self._holds.standing(request.organization_id)
        standing.refuse_erasure(request.subject_id)
        if location.retention_class in standing.classes:
            raise LegalHoldError(f"class {location.retention_class} came under a legal hold while it was erased")
        return asdict(await self._finder.erase(location, await self._search(request, scope)))

    async def _refused(self, request: DataRequest, scope: Mapping[str, Any], tables: Sequence[str]) -> list[str]:
        """Return those of the places whose rest the database needs, or that go with the person's key."""
        search = await self._search(request, scope)
        found = [table for table in tables if table in scope["shredded"]]
        for location in self._finder.data_map.locations:
            if location.table in tables and location.table not in found:
                erased = await self._finder.erase(location, search)
                if not erased.changed and erased.refused:
                    found.append(location.table)
        return found

    async def _kept(self, request: DataRequest, scope: Mapping[str, Any]) -> list[dict[str, Any]]:
        search = await self._search(request, scope)
        kept: list[dict[str, Any]] = []
        for location in self._finder.data_map.locations:
            rows = 0 if location.erasure == "shred" else await self._finder.count(location, search)
            if location.table in _STILL_THERE:
                row = await self._database.fetch_one(
                    _STILL_THERE[location.table], search.values, organization_id=request.organization_id
                )
                rows = 0 if row is None else row["n"]
            if rows:
                reason = scope["spared"].get(location.table) or location.reason or "a rule of the database needs it"
                kept.append({"place": location.table, "rows": rows, "reason": reason})
        return kept

    async def _forget(self, request: DataRequest) -> int:
        async with self._database.transaction(request.organization_id) as connection:
            forgotten = await self._subjects.forget(connection, request.organization_id, request.subject_id)
            act = Act(request.organization_id, "subject.key_destroyed", SYSTEM, f"subject:{request.subject_id}")
            await self._audit.record(act, connection=connection)
        return forgotten

    async def _certify(
        self,
        request: DataRequest,
        scope: Mapping[str, Any],
        found: Mapping[str, Any],
    ) -> str:
        rest = {one["place"]: one["rows"] for one in found["kept"]}
        statement = {
            "format": FORMAT,
            "request_id": request.id,
            "organization_id": request.organization_id,
            "subject_id": request.subject_id,
            "requested_at": request.requested_at.isoformat(),
            "erased_at": datetime.now(UTC).isoformat(),
            "identifiers_searched": scope["identifiers"],
            "places": [
                {
                    "place": one.table, "columns": list(one.columns), "erasure": one.erasure,
                    "rows_before": found["before"].get(one.table, 0), "rows_after": rest.get(one.table, 0),
                }
                for one in self._finder.data_map.locations
            ],
            "places_without_personal_data": sorted(self._finder.data_map.without),
            "kept": found["kept"],
            "key": "the person's data key was destroyed; what was sealed under it opens no more",
            "vectors": self._vectors(),
            "caches": "every process was told to drop what it remembers of the organization",
            "residue": {"vacuumed": found["vacuumed"], **RESIDUE},
        }  # fmt: skip
        certificate = await self._certificates.sign(statement)
        async with self._database.transaction(request.organization_id) as connection:
            await self._requests.finish(connection, request, certificate)
            fact = ErasureFact(subject_id=request.subject_id, request_id=request.id)
            event = NewEvent(SUBJECT_ERASED, fact, dedupe_key=f"erasure:{request.id}")
            await self._events.append(connection, request.organization_id, [event])
            act = Act(
                request.organization_id, "subject.erased", SYSTEM, f"subject:{request.subject_id}",
                after={"request": request.id, "certificate_sha256": certificate["sha256"]},
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        return str(certificate["sha256"])

    def _vectors(self) -> str:
        places = [one.table for one in self._finder.data_map.locations if "vector" in one.columns.values()]
        return f"removed with their texts in {', '.join(places)}" if places else "no vector store in this installation"
