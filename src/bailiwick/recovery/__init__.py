"""Recovery: backups, what proves them, and the way back from them."""

from bailiwick.recovery.backups import Backups
from bailiwick.recovery.errors import BackupDamagedError, BackupFailedError
from bailiwick.recovery.keeping import KeepRule
from bailiwick.recovery.records import BackupRecord

__all__ = ["BackupDamagedError", "BackupFailedError", "BackupRecord", "Backups", "KeepRule"]
