"""How an installation is backed up."""

from collections.abc import Sequence
from pathlib import Path

from bailiwick.audit import AuditLog
from bailiwick.installation.master_key import master_key_source
from bailiwick.installation.settings import Settings
from bailiwick.recovery import Backups, KeepRule
from bailiwick.recovery.making import Origin
from bailiwick.storage import Database
from bailiwick.storage.embedded_folder import default_data_dir
from bailiwick.vault.key_file import KeyFile


def backups_of(
    settings: Settings, database: Database, audit: AuditLog, *, admin_url: str, migrations: Sequence[Path]
) -> Backups:
    """Return what makes backups as the settings say; ``admin_url`` is the address of who sees everything."""
    source = master_key_source(settings)
    origin = Origin(
        admin_url=admin_url,
        data_dir=None if settings.database_url is not None else settings.data_dir or default_data_dir(),
        key_file=source.path if isinstance(source, KeyFile) else None,
    )
    rule = KeepRule(settings.backup_keep_daily, settings.backup_keep_weekly, settings.backup_keep_monthly)
    return Backups(database, audit, origin, folder=settings.backup_dir, rule=rule, migrations=migrations)


def archive_of(settings: Settings) -> Path | None:
    """Return below which folder the embedded server keeps its write-ahead log, None for nowhere."""
    return None if settings.backup_dir is None else settings.backup_dir.expanduser().absolute() / "wal"
