"""The export: everything the organization holds about a person, with where it was found."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson

from bailiwick.privacy.consents import Consents
from bailiwick.privacy.finding import Finder, Search
from bailiwick.privacy.redaction import Redaction
from bailiwick.privacy.requests import DataRequests, RequestPayload
from bailiwick.privacy.subjects import DataSubject, Subjects
from bailiwick.tasks import Run

FORMAT = "bailiwick-subject-export/1"


class Export:
    """Collects what there is about a person; the task kind ``privacy.export``."""

    def __init__(self, finder: Finder, subjects: Subjects, consents: Consents, requests: DataRequests) -> None:
        self._finder = finder
        self._subjects = subjects
        self._consents = consents
        self._requests = requests

    async def handle(self, run: Run, payload: RequestPayload) -> dict[str, Any]:
        """Carry out a request: keep the archive, sealed, and return its manifest's counts."""
        # In one step, and only counts come out of it: a journal is no place for the archive.
        return await run.step("archive", self._archive, run.task.organization_id, payload.request_id)

    async def collect(self, subject: DataSubject) -> dict[str, Any]:
        """Return the archive as a JSON object: a section for each place, and a manifest with counts and hashes.

        A section lists, by row, every text that is about the person. What other
        people wrote is not in it, unless it names the person.
        """
        identifiers = await self._subjects.identifiers(subject.organization_id, subject.id)
        search = await search_of(self._finder, subject, Redaction(identifiers))
        sections: dict[str, list[dict[str, Any]]] = {
            "identifiers": [{"kind": one.kind, "value": one.value} for one in identifiers],
            "consents": await self._consents_of(subject),
        }
        for location in self._finder.data_map.locations:
            if location.erasure in ("clear", "shred"):
                continue
            rows = [
                {"row": [str(part) for part in found.key], "texts": found.texts}
                async for found in self._finder.rows(location, search)
            ]
            if rows:
                sections[location.table] = rows
        return {
            "format": FORMAT,
            "subject_id": subject.id,
            "organization_id": subject.organization_id,
            "made_at": datetime.now(UTC).isoformat(),
            "manifest": {
                "searched": [location.table for location in self._finder.data_map.locations],
                "sections": {
                    name: {"rows": len(rows), "sha256": section_hash(rows)} for name, rows in sections.items()
                },
            },
            "sections": sections,
        }

    async def _archive(self, organization_id: str, request_id: str) -> dict[str, Any]:
        request = await self._requests.get(organization_id, request_id)
        subject = await self._subjects.get(organization_id, request.subject_id)
        if subject.erased_at is not None:
            await self._requests.refuse(request, "the person was erased meanwhile; there is nothing to copy")
            return {}
        archive = await self.collect(subject)
        await self._requests.keep_archive(request, orjson.dumps(archive))
        return {name: section["rows"] for name, section in archive["manifest"]["sections"].items()}

    async def _consents_of(self, subject: DataSubject) -> list[dict[str, Any]]:
        page = await self._consents.list(subject.organization_id, subject_id=subject.id, limit=100)
        return [
            {
                "purpose": consent.purpose, "state": consent.state,
                "expires_at": None if consent.expires_at is None else consent.expires_at.isoformat(),
                "history": [
                    {
                        "from": change.from_state, "to": change.to_state, "method": change.method,
                        "text_version": change.text_version, "at": change.changed_at.isoformat(),
                    }
                    for change in await self._consents.history(subject.organization_id, subject.id, consent.purpose)
                ],
            }
            for consent in page.items
        ]  # fmt: skip


async def search_of(finder: Finder, subject: DataSubject, redaction: Redaction) -> Search:
    """Return the search for a person, with their accounts and the records they wrote."""
    first = Search(subject.organization_id, subject.id, redaction)
    users, records = await finder.accounts(first), await finder.records(first)
    return Search(subject.organization_id, subject.id, redaction, users, records)


def section_hash(rows: list[dict[str, Any]]) -> str:
    """Return the SHA-256 of a section's rows as canonical JSON: sorted names, no spaces."""
    return hashlib.sha256(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)).hexdigest()
