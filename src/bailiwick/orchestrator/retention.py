"""Retention: coming months are prepared, months past their time are dropped, whole; classes of data by their periods.

Where a legal hold stands in any organization, no month is dropped: what is past
its time is then deleted row by row in the organizations, and what is held stays.
"""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.events.reader import Dropped
from bailiwick.extensions import Kernel
from bailiwick.tasks import Run

KIND = "system.retain"


class RetainPayload(BaseModel):
    """How much is kept; months count back from the beginning of the present one."""

    model_config = ConfigDict(extra="forbid")

    months: int = Field(ge=1, le=240)
    worker_days: int = Field(default=7, ge=1, le=3650)


class RetentionJob:
    """The task kind ``system.retain``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def handle(self, run: Run, payload: RetainPayload) -> dict[str, object]:
        """Prepare, drop, delete; say what went, and what an unfinished task or a legal hold still holds back."""
        # Journaled, so that a run resumed in another month drops what it set out to drop.
        before = await run.step("bound", self._bound, payload.months)
        prepared = await run.step("prepare", self._kernel.retention.prepare)
        held_by = await run.step("held back", self._held_back, before)
        on_hold = await run.step("holds", self._on_hold)
        dropped, redriven = Dropped((), 0, 0), 0
        if not on_hold:
            dropped = Dropped(**await run.step("drop", self._drop, before))
            redriven = await run.step("redriven", self._forget_redriven, before)
        workers = await run.step("workers", self._forget_workers, payload.worker_days)
        deleted = await run.step("classes", self._retain_classes, before if on_hold else None)
        carried_on = await run.step("requests", self._carry_on)
        return {
            "before": before,
            "partitions_prepared": prepared,
            "partitions_dropped": list(dropped.partitions),
            "event_keys_deleted": dropped.event_keys,
            "task_keys_deleted": dropped.task_keys,
            "workers_deleted": workers,
            "redriven_records_deleted": redriven,
            "held_back_by": held_by,
            "organizations_on_hold": on_hold,
            "rows_deleted": deleted,
            "requests_carried_on": carried_on,
        }

    def _bound(self, months: int) -> str:
        return first_kept(datetime.now(UTC), months).isoformat()

    async def _drop(self, before: str) -> dict[str, Any]:
        return asdict(await self._kernel.retention.drop(before=datetime.fromisoformat(before)))

    async def _forget_workers(self, days: int) -> int:
        row = await self._kernel.database.fetch_one("select workers_forget(%s) as n", (days,))
        return 0 if row is None else int(row["n"])

    async def _forget_redriven(self, before: str) -> int:
        return await self._kernel.retention.forget("redriven_records", datetime.fromisoformat(before))

    async def _on_hold(self) -> list[str]:
        return sorted(await self._kernel.privacy.holds.organizations())

    async def _retain_classes(self, before: str | None) -> dict[str, int]:
        """Apply the periods of every organization; returns by place how many rows went in all of them."""
        bound = None if before is None else datetime.fromisoformat(before)
        total: Counter[str] = Counter()
        cursor: str | None = None
        while True:
            page = await self._kernel.organizations.list(limit=100, cursor=cursor)
            for organization in page.items:
                total.update(await self._kernel.privacy.retain(organization.id, installation_bound=bound))
            if page.next_cursor is None:
                return dict(sorted(total.items()))
            cursor = page.next_cursor

    async def _carry_on(self) -> int:
        return await self._kernel.privacy.requests.carry_on_forgotten()

    async def _held_back(self, before: str) -> str | None:
        row = await self._kernel.database.fetch_one("select * from installation_oldest_task(%s)", (before,))
        if row is None:
            return None
        return (
            f"task {row['id']} ({row['kind']}, {row['state']}) of {row['inserted_at']:%Y-%m-%d} is not finished; "
            "its month and those after it are kept"
        )


def first_kept(now: datetime, months: int) -> datetime:
    """Return the beginning of the earliest month that is kept: ``months`` whole ones before the present."""
    index = now.year * 12 + now.month - 1 - months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)
