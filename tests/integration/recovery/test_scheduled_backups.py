"""Backups that make themselves, and what the platform tells about those that fail."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from bailiwick.audit import SYSTEM
from bailiwick.installation import Installation, Settings
from bailiwick.orchestrator.health import Thresholds, judge
from bailiwick.orchestrator.measures import measure
from bailiwick.recovery import BackupFailedError
from bailiwick.recovery.manifest import read_manifest
from tests.integration.recovery.conftest import Kept, names
from tests.support.engine import until


async def _ran(installation: Installation, schedule: str) -> str:
    """Fire a schedule now and return how its task ended."""
    home = (await installation.home()).id
    before = (await installation.schedules.get(home, schedule)).last_task_id
    await installation.schedules.fire_now(home, schedule)

    async def ended() -> str | None:
        found = await installation.schedules.get(home, schedule)
        return found.last_state if found.last_finished_at is not None and found.last_task_id != before else None

    return await until(ended, f"{schedule} ends", seconds=30)


async def test_the_schedule_makes_a_backup_and_the_drill_proves_it(login_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with Installation.open(Settings(database_url=SecretStr(login_url), backup_dir=folder)) as installation:
        await installation.first_start()
        async with installation.run_worker():
            assert await _ran(installation, "system.backup") == "completed"
            (record,) = (await installation.backups.records.list()).items
            assert (record.kind, record.state, record.is_scheduled) == ("dump", "made", True)
            assert await _ran(installation, "system.backup_drill") == "completed"
            (dump,) = names(folder)
            assert read_manifest(folder / dump).is_scheduled
            (folder / dump / "database.dump").write_bytes(b"")
            assert await _ran(installation, "system.backup_drill") == "discarded"
        measured = await measure(installation.database, None, [])
        assert any("backup failed: drill of" in finding.what for finding in judge(measured, Thresholds()))


async def test_without_a_folder_there_is_no_schedule(login_url: str) -> None:
    async with Installation.open(Settings(database_url=SecretStr(login_url))) as installation:
        await installation.first_start()
        schedules = (await installation.schedules.list((await installation.home()).id)).items
        assert not [one.name for one in schedules if one.kind.startswith("system.backup")]


async def test_a_scheduled_backup_that_failed_is_a_finding_until_one_succeeds(kept: Kept) -> None:
    kept.folder.write_text("a file where the folder should be")
    with pytest.raises(BackupFailedError, match="cannot be used"):
        await kept.backups.make(actor=SYSTEM, is_scheduled=True)
    assert (await measure(kept.database, None, [])).backup_problems
    await asyncio.to_thread(kept.folder.unlink)
    await kept.backups.make(actor=SYSTEM, is_scheduled=True)
    assert (await measure(kept.database, None, [])).backup_problems == []
