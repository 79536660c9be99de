"""Retention: how long each class of data is kept in an organization, and the deletion of what is older."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import id_at
from bailiwick.privacy.classes import RETENTION_CLASSES
from bailiwick.privacy.finding import Search, matching
from bailiwick.privacy.holds import LegalHolds, Standing
from bailiwick.privacy.locations import AUDIT, DataMap, Location
from bailiwick.privacy.redaction import Redaction
from bailiwick.privacy.subjects import Subjects
from bailiwick.storage import Database

_BLOCK = 5_000
_LONGEST_DAYS = 36_525
_PERIODS_OF_CONSENTS = """
delete from consents c using unnest(%s::text[], %s::int[]) as period (purpose, days)
where c.organization_id = %s and c.purpose = period.purpose and c.subject_id::text <> all(%s)
  and (c.state in ('denied', 'withdrawn', 'expired') and c.changed_at < now() - make_interval(days => period.days)
       or c.expires_at < now() - make_interval(days => period.days))"""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long an organization keeps a class; ``days`` None: as long as the installation keeps its months."""

    name: str
    about: str
    days: int | None
    is_default: bool


class RetentionPolicies:
    """The retention of all organizations."""

    def __init__(
        self, database: Database, data_map: DataMap, subjects: Subjects, holds: LegalHolds, audit: AuditLog
    ) -> None:
        self._database = database
        self._data_map = data_map
        self._subjects = subjects
        self._holds = holds
        self._audit = audit

    async def list(self, organization_id: str) -> tuple[RetentionPolicy, ...]:
        """Return what holds for every class, set or by default."""
        rows = await self._database.fetch_all(
            "select class, days from retention_policies where organization_id = %s",
            (organization_id,),
            organization_id=organization_id,
        )
        days = {row["class"]: row["days"] for row in rows}
        return tuple(
            RetentionPolicy(one.name, one.about, days.get(one.name, one.default_days), one.name not in days)
            for one in RETENTION_CLASSES.values()
        )

    async def set(self, organization_id: str, name: str, days: int | None, *, actor: Actor) -> RetentionPolicy:
        """Keep a class that long from the next run of ``system.retain`` on; None goes back to the default.

        Raises:
            InvalidInputError: no such class, or a period that is out of bounds.
        """
        known = RETENTION_CLASSES.get(name)
        if known is None:
            raise InvalidInputError(f"no class {name[:50]!r}; there are: {', '.join(RETENTION_CLASSES)}")
        if days is not None and not known.shortest_days <= days <= _LONGEST_DAYS:
            raise InvalidInputError(f"class {name} is kept from {known.shortest_days} to {_LONGEST_DAYS} days")
        before = {one.name: one.days for one in await self.list(organization_id)}
        async with self._database.transaction(organization_id) as connection:
            if days is None:
                await connection.execute(
                    "delete from retention_policies where organization_id = %s and class = %s", (organization_id, name)
                )
            else:
                await connection.execute(
                    "insert into retention_policies (organization_id, class, days) values (%s, %s, %s) "
                    "on conflict (organization_id, class) do update set days = excluded.days, set_at = now()",
                    (organization_id, name, days),
                )
            act = Act(
                organization_id, "retention.set", actor, f"retention_class:{name}",
                before={"days": before[name]}, after={"days": days},
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        return next(one for one in await self.list(organization_id) if one.name == name)

    async def enforce(
        self,
        organization_id: str,
        periods_of_consents: Mapping[str, int],
        *,
        installation_bound: datetime | None = None,
    ) -> dict[str, int]:
        """Delete what is past its time in an organization; return by place how many rows went.

        A class under a legal hold, and rows that may name a person under one,
        stay. ``installation_bound`` is how far back the installation keeps
        whole months, for organizations whose months cannot be dropped.
        The audit log is append-only; nothing of it is deleted.
        """
        standing = await self._holds.standing(organization_id)
        if standing.is_everything:
            return {}
        held = await self._held(organization_id, standing)
        deleted: dict[str, int] = {}
        for policy in await self.list(organization_id):
            bound = None if policy.days is None else datetime.now(UTC) - timedelta(days=policy.days)
            if policy.days is None and installation_bound is not None:
                bound = installation_bound
            if bound is None or policy.name == AUDIT or policy.name in standing.classes:
                continue
            for location in self._data_map.by_class(policy.name):
                if location.age is not None:
                    deleted[location.table] = await self._delete(location, organization_id, bound, held)
        deleted["consents"] = await self._database.execute(
            _PERIODS_OF_CONSENTS,
            (list(periods_of_consents), list(periods_of_consents.values()), organization_id, list(standing.subjects)),
            organization_id=organization_id,
        )
        return {table: rows for table, rows in deleted.items() if rows}

    async def drop_archives(self, organization_id: str) -> int:
        """Remove exports that nobody fetched in time; returns how many."""
        return await self._database.execute(
            "update data_requests set archive = null where organization_id = %s and archive_until < now() "
            "and archive is not null",
            (organization_id,),
            organization_id=organization_id,
        )

    async def _held(self, organization_id: str, standing: Standing) -> Sequence[Search]:
        found: list[Search] = []
        for subject_id in sorted(standing.subjects):
            identifiers = await self._subjects.identifiers(organization_id, subject_id)
            found.append(Search(organization_id, subject_id, Redaction(identifiers)))
        return found

    async def _delete(self, location: Location, organization_id: str, bound: datetime, held: Sequence[Search]) -> int:
        patterns = [pattern for search in held for pattern in search.redaction.patterns]
        spared = [f"not ({location.spared})"] if location.spared is not None else []
        if patterns:
            spared += [
                f"coalesce(not {matching(name, reading)}, true)"
                for name, reading in location.columns.items()
                if reading != "vector"
            ]
        values: dict[str, object] = {
            "org": organization_id, "patterns": patterns, "escaped": r"%\\u%", "users": [], "records": [], "names": [],
            "bound": id_at(bound) if location.is_aged_by_id else bound,
        }  # fmt: skip
        key = ", ".join(location.key)
        doomed = (
            f"select {key} from {location.table} where {location.scope} and {location.age} < %(bound)s"
            + "".join(f" and {condition}" for condition in spared)
            + f" order by {key} limit {_BLOCK}"
        )
        total = 0
        while True:
            # In blocks, so that nobody waits for a long statement.
            count = await self._database.execute(
                f"delete from {location.table} where {location.scope} and ({key}) in ({doomed})",
                values,
                organization_id=organization_id,
            )
            total += count
            if count < _BLOCK:
                return total
