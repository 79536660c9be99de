"""Removal: what agents proposed, decided and did goes with its run, or, if it changed something, years later.

The database decides what may go (``0025_removal.sql``); here it is said how far
back to look and which periods the organization has set. A part is a
transaction of its own, so that nobody waits for a long one.
"""

from datetime import UTC, datetime, timedelta

from bailiwick.audit import SYSTEM, Act, AuditLog
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.privacy.locations import AUDIT, OPERATIONS
from bailiwick.privacy.policies import RetentionPolicies
from bailiwick.storage import Database

_AT_ONCE = 500
# Each looks at so many rows behind the last one, removes those that are past, and returns where it came to.
_WALKS = (
    "select effects_remove(%(after)s, %(limit)s, %(before)s, %(changes)s) as after",
    "select decisions_remove(%(after)s, %(limit)s, %(before)s) as after",
    "select outcomes_remove(%(after)s, %(limit)s, %(before)s) as after",
)


class Removal:
    """Removes what is past its time: effects, decisions, approvals, outcomes, and what was reserved for them."""

    def __init__(self, database: Database, policies: RetentionPolicies, audit: AuditLog) -> None:
        self._database = database
        self._policies = policies
        self._audit = audit

    async def remove(self, organization_id: str, *, months_before: datetime, by: str) -> dict[str, int]:
        """Remove what is past its time in an organization; return by place how many rows went. Audited, once.

        ``months_before`` is how far back the installation keeps whole months,
        ``by`` the task that removes. Done again, or after a crash, it goes on
        with what is left, and tells what went before the crash, too.
        """
        days = {policy.name: policy.days for policy in await self._policies.list(organization_id)}
        now = datetime.now(UTC)
        operations = days[OPERATIONS]
        before = months_before if operations is None else max(months_before, now - timedelta(days=operations))
        # What changed something stays as long as the audit log has to.
        values = {"limit": _AT_ONCE, "before": before, "changes": now - timedelta(days=days[AUDIT] or 0)}
        for walk in _WALKS:
            after: str | None = INSTALLATION
            while after is not None:
                row = await self._database.fetch_one(walk, {**values, "after": after}, organization_id=organization_id)
                after = None if row is None else row["after"]
        accounts = "select budget_accounts_remove(%(limit)s, %(before)s) as more"
        while (row := await self._database.fetch_one(accounts, values, organization_id=organization_id)) and row[
            "more"
        ]:
            pass
        return await self._tell(organization_id, by)

    async def _tell(self, organization_id: str, by: str) -> dict[str, int]:
        async with self._database.transaction(organization_id) as connection:
            # With the entry or not at all: nothing is told twice, and nothing is left out.
            cursor = await connection.execute(
                "delete from removals where organization_id = %s returning place, removed", (organization_id,)
            )
            removed = {row["place"]: row["removed"] for row in await cursor.fetchall()}
            if removed:
                act = Act(
                    organization_id, "retention.removed", SYSTEM, f"task:{by}", after=dict(sorted(removed.items()))
                )
                await self._audit.record(act, connection=connection)
        return dict(sorted(removed.items()))
