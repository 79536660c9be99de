"""Data sync: what happened outside comes in, from every connection that is due."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.connectors.github.connection import KIND as GITHUB
from bailiwick.connectors.github.sync import GitHubSync
from bailiwick.extensions import Kernel
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.labels import untrusted
from bailiwick.tasks import Run

KIND = "system.sync"

_COUNTED = ("events", "duplicates", "rejected")


class SyncPayload(BaseModel):
    """A sync needs to be told nothing."""

    model_config = ConfigDict(extra="forbid")


class SyncJob:
    """The task kind ``system.sync``, of one organization."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._github = GitHubSync(
            kernel.connections, kernel.events, kernel.rejections, kernel.limits, allow=kernel.outbound
        )

    async def handle(self, run: Run, payload: SyncPayload) -> dict[str, object]:
        """Poll each due connection in a step of its own; one that fails does not stop the next."""
        found = await run.step("connections", self._connections, run.task.organization_id)
        reports = [
            await run.step(f"sync {target}"[:200], self._sync, run.task.organization_id, connection_id)
            for connection_id, target in found["due"]
        ]
        if reports:
            # What went wrong is told in GitHub's words.
            run.label(untrusted(GITHUB))
        return {
            "status": _status(found["active"], reports),
            "active_connections": found["active"],
            **{name: sum(report[name] for report in reports) for name in _COUNTED},
            "connections": reports,
        }

    async def _connections(self, organization_id: str) -> dict[str, Any]:
        row = await self._kernel.database.fetch_one(
            "select count(*) as n from connections where organization_id = %s and state = 'active'",
            (organization_id,),
            organization_id=organization_id,
        )
        due = await self._kernel.connections.due(organization_id)
        return {"active": row["n"] if row else 0, "due": [[one.id, one.target] for one in due]}

    async def _sync(self, organization_id: str, connection_id: str) -> dict[str, Any]:
        try:
            connection = await self._kernel.connections.get(organization_id, connection_id)
        except NotFoundError:
            return _unsynced(connection_id, "removed", "it was removed while the sync ran")
        if connection.kind != GITHUB:
            return _unsynced(connection.target, "unusable", f"no connector of kind {connection.kind!r} can be polled")
        return asdict(await self._github.sync(connection))


def _unsynced(target: str, status: str, problem: str) -> dict[str, Any]:
    return {"target": target, "status": status, "problem": problem} | dict.fromkeys(_COUNTED, 0)


def _status(active: int, reports: list[dict[str, Any]]) -> str:
    if not active:
        return "no connections"
    if not reports:
        return "nothing due"
    failed = sum(1 for report in reports if report["status"] != "polled")
    return "synced" if not failed else f"{failed} of {len(reports)} connections not synced"
