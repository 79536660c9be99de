"""The removal job: what agents proposed, decided and did, and what belongs to it, goes when its time is over."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.extensions import Kernel
from bailiwick.orchestrator.retention import first_kept
from bailiwick.tasks import Run

KIND = "system.remove"


class RemovePayload(BaseModel):
    """How many months of runs are kept, as for ``system.retain``; what changed something stays longer."""

    model_config = ConfigDict(extra="forbid")

    months: int = Field(ge=1, le=240)


class RemovalJob:
    """The task kind ``system.remove``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def handle(self, run: Run, payload: RemovePayload) -> dict[str, Any]:
        """Remove what is past its time, one organization after the other; say what went."""
        before = await run.step("bound", self._bound, payload.months)
        total: Counter[str] = Counter()
        cursor: str | None = None
        while True:
            page = await run.step("organizations", self._organizations, cursor)
            for organization_id in page["ids"]:
                total.update(await run.step(f"remove {organization_id}", self._remove, run, organization_id, before))
            cursor = page["next"]
            if cursor is None:
                break
        months = await run.step("months", self._drop_empty, before)
        return {"before": before, "rows_removed": dict(sorted(total.items())), "partitions_dropped": months}

    def _bound(self, months: int) -> str:
        return first_kept(datetime.now(UTC), months).isoformat()

    async def _organizations(self, cursor: str | None) -> dict[str, Any]:
        page = await self._kernel.organizations.list(limit=100, cursor=cursor)
        return {"ids": [one.id for one in page.items], "next": page.next_cursor}

    async def _remove(self, run: Run, organization_id: str, before: str) -> dict[str, int]:
        months_before = datetime.fromisoformat(before)
        return await self._kernel.privacy.removal.remove(organization_id, months_before=months_before, by=run.task.id)

    async def _drop_empty(self, before: str) -> list[str]:
        return list(await self._kernel.retention.drop_empty(before=datetime.fromisoformat(before)))
