"""The operating-system account that PostgreSQL runs under.

PostgreSQL refuses to run as root. An ordinary user runs it as themselves;
root hands it to an account that exists already and owns nothing of value.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from bailiwick.kernel.errors import DatabaseUnavailableError

_ACCOUNTS = ("bailiwick", "postgres", "nobody")


@dataclass(frozen=True)
class ServerAccount:
    """A user and group id; ``drops_root`` says that we are root and must switch to it."""

    uid: int
    gid: int
    name: str
    drops_root: bool

    def closed_folder(self, path: Path) -> Path | None:
        """Return the outermost folder on the way to ``path`` that the account may not enter, or None.

        ``path`` itself counts when it is a folder. Mode bits decide; access
        control lists are not read.
        """
        for folder in reversed([path, *path.parents]):
            status = folder.stat()
            if stat.S_ISDIR(status.st_mode) and not self._may(status, 0o1):
                return folder
        return None

    def can_execute(self, program: Path) -> bool:
        """Say whether the account can reach and run ``program``."""
        return self.closed_folder(program) is None and self._may(program.stat(), 0o5)

    def give(self, path: Path) -> None:
        """Make the account the owner of ``path``; nothing to do unless we are root."""
        if self.drops_root:
            os.chown(path, self.uid, self.gid)

    def _may(self, status: os.stat_result, bits: int) -> bool:
        if not self.drops_root and os.geteuid() == 0:
            return True
        if status.st_uid == self.uid:
            return (status.st_mode >> 6) & bits == bits
        if status.st_gid == self.gid:
            return (status.st_mode >> 3) & bits == bits
        return status.st_mode & bits == bits


def server_account(cluster: Path) -> ServerAccount:
    """Return the account that runs the server of ``cluster``.

    As root an existing cluster keeps the account it was made with; a new one
    takes the first of ``bailiwick``, ``postgres`` and ``nobody`` that exists.

    Raises:
        DatabaseUnavailableError: we are root and no such account exists.
    """
    if os.geteuid() != 0:
        uid = os.geteuid()
        return ServerAccount(uid, os.getegid(), _account_name(uid), drops_root=False)
    if cluster.is_dir() and (status := cluster.stat()).st_uid != 0:
        return ServerAccount(status.st_uid, status.st_gid, _account_name(status.st_uid), drops_root=True)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerAccount(entry.pw_uid, entry.pw_gid, name, drops_root=True)
    raise DatabaseUnavailableError(
        "PostgreSQL does not run as root and none of the accounts "
        f"{', '.join(_ACCOUNTS)} exists; create one of them or start Bailiwick as an ordinary user"
    )


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
