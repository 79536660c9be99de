"""Privacy as one object: everything about people's data, wired together."""

from datetime import datetime
from typing import Any

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.events import EventLog
from bailiwick.privacy.certificates import Certificates
from bailiwick.privacy.consents import Consents
from bailiwick.privacy.erasure import ErasureJob
from bailiwick.privacy.exporting import Export
from bailiwick.privacy.finding import Finder
from bailiwick.privacy.holds import LegalHolds
from bailiwick.privacy.locations import DataMap
from bailiwick.privacy.policies import RetentionPolicies
from bailiwick.privacy.purposes import PERIODS
from bailiwick.privacy.removal import Removal
from bailiwick.privacy.requests import DataRequests
from bailiwick.privacy.residue import Vacuum
from bailiwick.privacy.subjects import Subjects
from bailiwick.storage import Database
from bailiwick.storage.waking import Wakeups
from bailiwick.tasks import TaskQueue
from bailiwick.vault import Vault


class Privacy:
    """Subjects, consents, holds, retention, requests and certificates of all organizations."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        audit: AuditLog,
        events: EventLog,
        queue: TaskQueue,
        wakeups: Wakeups,
        data_map: DataMap,
        admin_url: str,
    ) -> None:
        """Wire everything; ``admin_url`` logs in as somebody who may become the schema's owner."""
        self.data_map = data_map
        self.subjects = Subjects(database, vault, audit)
        self.consents = Consents(database, self.subjects, vault, events, audit)
        self.holds = LegalHolds(database, self.subjects, audit)
        self.policies = RetentionPolicies(database, data_map, self.subjects, self.holds, audit)
        self.removal = Removal(database, self.policies, audit)
        self.requests = DataRequests(
            database=database, subjects=self.subjects, holds=self.holds, queue=queue, vault=vault, audit=audit
        )
        self.certificates = Certificates(database, vault)
        self.finder = Finder(database, data_map)
        self.export = Export(self.finder, self.subjects, self.consents, self.requests)
        self.erasure = ErasureJob(
            database=database, finder=self.finder, subjects=self.subjects, holds=self.holds, requests=self.requests,
            certificates=self.certificates, events=events, audit=audit, wakeups=wakeups, vacuum=Vacuum(admin_url),
        )  # fmt: skip
        self._audit = audit

    async def export_now(self, organization_id: str, subject: str, *, actor: Actor) -> dict[str, Any]:
        """Return everything about a person as one JSON object; that it was taken is audited.

        Raises:
            NotFoundError: nobody is registered under ``subject``.
        """
        found = await self.subjects.get(organization_id, subject)
        archive = await self.export.collect(found)
        rows = sum(section["rows"] for section in archive["manifest"]["sections"].values())
        target = f"subject:{found.id}"
        await self._audit.record(Act(organization_id, "export.fetched", actor, target, after={"rows": rows}))
        return archive

    async def retain(self, organization_id: str, *, installation_bound: datetime | None = None) -> dict[str, int]:
        """Let consents lapse and delete what is past its time in an organization; counts by place."""
        lapsed = await self.consents.expire(organization_id)
        archives = await self.policies.drop_archives(organization_id)
        periods = {purpose.value: period.retention_days for purpose, period in PERIODS.items()}
        deleted = await self.policies.enforce(organization_id, periods, installation_bound=installation_bound)
        counts = {"consents_lapsed": lapsed, "archives_dropped": archives, **deleted}
        return {name: count for name, count in counts.items() if count}
