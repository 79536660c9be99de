"""Backups that make themselves, and the drill that proves them."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.audit import SYSTEM
from bailiwick.extensions import Kernel
from bailiwick.recovery.manifest import Kind
from bailiwick.tasks import DiscardTask, Run

KIND = "system.backup"
DRILL_KIND = "system.backup_drill"
_UNSET = "no folder for backups is set (BAILIWICK_BACKUP_DIR)"


class BackupPayload(BaseModel):
    """A backup needs to be told nothing; the folder and the rule are the installation's settings."""

    model_config = ConfigDict(extra="forbid")


class BackupJob:
    """The task kind ``system.backup``: a dump, a copy of our own server's files, and what the rule removes."""

    def __init__(self, kernel: Kernel) -> None:
        self._backups = kernel.backups

    async def handle(self, run: Run, payload: BackupPayload) -> dict[str, object]:
        """Make them and thin the older ones; a failure is recorded among the backups, and tried again."""
        if self._backups.folder is None:
            raise DiscardTask(_UNSET)
        made = [await run.step("dump", self._make, "dump")]
        if self._backups.can_rewind:
            made.append(await run.step("base", self._make, "base"))
        removed = await run.step("prune", self._prune)
        return {"made": made, "removed": removed}

    async def _make(self, kind: Kind) -> dict[str, Any]:
        record = await self._backups.make(kind, actor=SYSTEM, is_scheduled=True)
        fields = asdict(record)
        return {name: fields[name] for name in ("id", "kind", "path", "bytes")} | {"seconds": record.seconds}

    async def _prune(self) -> list[str]:
        return await self._backups.prune(actor=SYSTEM)


class DrillJob:
    """The task kind ``system.backup_drill``: the newest dump is restored, started, compared and removed."""

    def __init__(self, kernel: Kernel) -> None:
        self._backups = kernel.backups

    async def handle(self, run: Run, payload: BackupPayload) -> dict[str, object]:
        """Return the drill's report; a backup that fails it makes the task fail for good, with the reasons."""
        if self._backups.folder is None:
            raise DiscardTask(_UNSET)
        report = await run.step("drill", self._drill)
        if report["problems"]:
            raise DiscardTask(f"the backup {report['backup']} failed its drill: {'; '.join(report['problems'][:5])}")
        return report

    async def _drill(self) -> dict[str, Any]:
        return (await self._backups.drill(actor=SYSTEM)).model_dump(mode="json")
