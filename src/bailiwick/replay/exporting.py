"""Makes an archive of a run: collected, reduced, signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bailiwick import __version__
from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.audit.canonical import moment
from bailiwick.audit.exporting import export_lines
from bailiwick.audit.roots import AuditRoots
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.privacy import Identifier
from bailiwick.replay.archive import write_archive
from bailiwick.replay.collecting import Collected, RunCollector
from bailiwick.replay.reducing import Reducer
from bailiwick.storage import Database


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export should hold beside the run.

    ``keeps_people`` leaves people's names and addresses in it. ``with_audit``
    adds the organization's whole audit log, as it is: a hash holds for nothing less.
    """

    keeps_people: bool = False
    with_audit: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """An archive's bytes, and how much of what was replaced in it."""

    data: bytes
    hidden: Mapping[str, int]
    documents: int


class RunExporter:
    """Exports runs of organizations; every export is in the audit log."""

    def __init__(self, database: Database, audit: AuditLog, roots: AuditRoots) -> None:
        self.collector = RunCollector(database)
        self._audit = audit
        self._roots = roots

    async def export(
        self,
        organization_id: str,
        slug: str,
        task_id: str,
        *,
        wanted: Wanted,
        actor: Actor,
        extensions: Sequence[Mapping[str, str]] = (),
    ) -> Exported:
        """Return the archive of a run; the export is recorded in the audit log first.

        Raises:
            NotFoundError: the organization has no such run.
            MasterKeyError: the key that signs cannot be opened.
        """
        collected = await self.collector.collect(organization_id, task_id)
        after = {"keeps_people": wanted.keeps_people, "with_audit": wanted.with_audit}
        act = Act(organization_id, "run.exported", actor, f"task:{collected.task_id}", after=after)
        await self._audit.record(act)
        reducer = Reducer(keeps_people=wanted.keeps_people)
        for person in await self.collector.people(organization_id):
            _know(reducer, person)
        parts = reduced(collected, reducer)
        proof = await self._proof(organization_id, slug) if wanted.with_audit else None
        key, keys = await self._roots.keys.current(), await self._roots.keys.list()
        manifest = {
            **manifest_of(collected, extensions), "organization": slug, "hidden": dict(reducer.hidden),
            "keeps_people": wanted.keeps_people,
        }  # fmt: skip
        data = write_archive(manifest, parts, proof=proof, key=key, keys=keys)
        return Exported(data, dict(reducer.hidden), sum(len(documents) for documents in parts.values()))

    async def _proof(self, organization_id: str, slug: str) -> bytes:
        return b"".join([line async for line in export_lines(self._audit, self._roots, organization_id, slug)])


def reduced(collected: Collected, reducer: Reducer) -> dict[str, list[dict[str, Any]]]:
    """Return a run's parts without secrets and, unless the reducer keeps them, without people."""
    for documents in collected.parts.values():
        reducer.learn(documents)
    return {name: reducer.document(documents) for name, documents in collected.parts.items() if documents}


def manifest_of(collected: Collected, extensions: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Return what a manifest says about a run, and about what exported it."""
    task = collected.task
    return {
        "exported_at": moment(datetime.now(UTC)),
        "exported_by": __version__,
        "code_version": task["code_version"],
        "extensions": list(extensions),
        "organization_id": collected.organization_id,
        "run": {name: task[name] for name in ("id", "kind", "state")},
    }


def _know(reducer: Reducer, person: Mapping[str, Any]) -> None:
    known: list[Identifier] = []
    for kind, value in (("email", person["email"]), ("name", person["name"])):
        try:
            known.append(Identifier.of(kind, value or ""))
        except InvalidInputError:
            # An account without a name, or one too short to be looked for.
            continue
    reducer.know(*known)
