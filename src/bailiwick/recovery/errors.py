"""What can go wrong with a backup, told apart by what to do next."""

from bailiwick.kernel.errors import BailiwickError, ConflictError


class BackupFailedError(BailiwickError):
    """A backup or a restore was not finished; nothing that looks finished was left behind."""

    code = "backup.failed"


class BackupDamagedError(ConflictError):
    """A backup is not what it was when it was made, or cannot be read; use another one."""

    code = "backup.damaged"
