"""The data folder of an embedded server: its places, its files, its lock.

DATA/owner.lock        held by the one process that owns the server
DATA/server.lock       held by PostgreSQL and all its backends
DATA/server.json       where the socket is, for processes that attach
DATA/passwords.json    the passwords of both roles, mode 0600
DATA/master.key        wraps the keys of all that is sealed, mode 0600; made when something first is
DATA/server.log        what PostgreSQL says (server.log.1: before that)
DATA/postgres/         the database cluster, mode 0700
DATA/engine/KEY/       a copy of the programs, only where root needs one
"""

import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.storage.binaries import PostgresBinaries
from bailiwick.storage.embedded_account import ServerAccount, server_account

DATA_DIR_VARIABLE = "BAILIWICK_DATA_DIR"
PASSWORDS_FILE = "passwords.json"
SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 103  # macOS; Linux allows 107
_LOG_LIMIT_BYTES = 16 * 1024 * 1024


def default_data_dir() -> Path:
    """Return ``BAILIWICK_DATA_DIR``, else /var/lib/bailiwick for root and the XDG data folder for others."""
    if explicit := os.environ.get(DATA_DIR_VARIABLE):
        return Path(explicit)
    if os.geteuid() == 0:
        return Path("/var/lib/bailiwick")
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "bailiwick"


class FolderLock:
    """An exclusive lock on a file, ended by the kernel when its holders die."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free; says whether it is ours now."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_free(self) -> bool:
        """Say whether nobody holds the lock at this moment."""
        probe = FolderLock(self._path)
        if not probe.acquire():
            return False
        probe.release()
        return True


class DataFolder:
    """The files of one embedded server. Creates and changes only what lies inside the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.cluster = self.root / "postgres"
        self.log_file = self.root / "server.log"
        self.server_lock_file = self.root / "server.lock"
        self.owner_lock = FolderLock(self.root / "owner.lock")
        self.server_lock = FolderLock(self.server_lock_file)
        self._passwords_file = self.root / PASSWORDS_FILE
        self._address_file = self.root / "server.json"

    def prepare(self) -> ServerAccount:
        """Make the folder if it is missing and return the account its server runs under.

        Raises:
            DatabaseUnavailableError: the account cannot reach the folder, or it belongs to another user.
        """
        account = server_account(self.cluster)
        fresh = self._make_folders(account)
        if fresh or (account.drops_root and self._is_empty()):
            self._open_to(account)
        owner = self.root.stat().st_uid
        if owner != os.geteuid() and os.geteuid() != 0:
            raise DatabaseUnavailableError(
                f"the data folder {self.root} belongs to another user (uid {owner}); "
                f"run Bailiwick as that user or set {DATA_DIR_VARIABLE} to a folder of your own"
            )
        if account.drops_root:
            self._check_reachable(account)
        return account

    def reachable_binaries(self, binaries: PostgresBinaries, account: ServerAccount) -> PostgresBinaries:
        """Return the programs where ``account`` can run them, copied into the folder once if need be.

        Raises:
            DatabaseUnavailableError: they are out of reach and are no copyable set.
        """
        if account.can_execute(binaries.program("postgres")):
            return binaries
        if not binaries.parts:
            closed = account.closed_folder(binaries.program("postgres"))
            raise DatabaseUnavailableError(
                f"the account {account.name} cannot run {binaries.program('postgres')}: "
                f"{closed or 'the program'} is closed to it; install PostgreSQL where every account can read it"
            )
        target = self.root / "engine" / binaries.key
        if not target.is_dir():
            self._copy_programs(binaries, target)
        return binaries.moved_to(target)

    def read_passwords(self) -> Mapping[str, str] | None:
        """Return the passwords by role, or None if none were made yet."""
        return _read_document(self._passwords_file)

    def write_passwords(self, passwords: Mapping[str, str]) -> None:
        """Keep the passwords, readable by us only, on disk before this returns."""
        self._write_document(self._passwords_file, passwords)

    def read_socket_dir(self) -> Path | None:
        """Return the folder of the server's socket as last written by an owner, or None."""
        document = _read_document(self._address_file)
        return Path(document["socket_dir"]) if document else None

    def claim_socket_dir(self, account: ServerAccount) -> Path:
        """Return a private folder with a short path for the socket, the same as last time if possible.

        The name is written down for processes that attach. A folder under the
        old name is used only if it is private to the account and was made for
        this data folder, not for one that this is a copy of.
        """
        known = self.read_socket_dir()
        if known and not known.name.startswith(self._socket_dir_prefix()):
            known = None
        if known and _is_private(known, account):
            return known
        made = (known and _make_private(known)) or self._new_socket_dir(account)
        account.give(made)
        self._write_document(self._address_file, {"socket_dir": str(made)})
        return made

    def rotate_log(self) -> None:
        """Move the log aside once it is over 16 MiB; two files are kept.

        Copied and emptied, not renamed: PostgreSQL keeps the file open and appends.
        """
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_LIMIT_BYTES:
            shutil.copy2(self.log_file, self.log_file.with_name("server.log.1"))
            os.truncate(self.log_file, 0)

    def log_end(self) -> int:
        """Return the present size of the log in bytes."""
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def log_since(self, offset: int, *, limit: int = 4000) -> str:
        """Return what the log gained since ``offset``, at most the last ``limit`` bytes."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as log:
            log.seek(max(offset, self.log_end() - limit))
            return log.read().decode(errors="replace")

    def remove_stale_files(self, socket_dir: Path) -> None:
        """Remove what a killed server left; only for the owner, while the server lock is free.

        PostgreSQL would otherwise take any process that has inherited the
        number in them, even a zombie, for a running server and refuse to start.
        """
        for stale in (self.cluster / "postmaster.pid", socket_dir / f"{SOCKET_NAME}.lock", socket_dir / SOCKET_NAME):
            stale.unlink(missing_ok=True)

    def _make_folders(self, account: ServerAccount) -> bool:
        missing = [folder for folder in [self.root, *self.root.parents] if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o711 if account.drops_root else 0o700, exist_ok=True)
            if account.drops_root:
                folder.chmod(0o711)  # made by us a line above; a strict umask would lock the account out
        return bool(missing)

    def _open_to(self, account: ServerAccount) -> None:
        if account.drops_root:
            os.chown(self.root, 0, account.gid)
            self.root.chmod(0o710)
        else:
            self.root.chmod(0o700)

    def _is_empty(self) -> bool:
        return next(self.root.iterdir(), None) is None

    def _check_reachable(self, account: ServerAccount) -> None:
        if closed := account.closed_folder(self.root):
            raise DatabaseUnavailableError(
                f"PostgreSQL runs as {account.name}, which may not enter {closed} (mode "
                f"{stat.S_IMODE(closed.stat().st_mode):04o}) on the way to the data folder {self.root}; "
                f"set {DATA_DIR_VARIABLE} to a folder such as /var/lib/bailiwick, "
                f"or allow it yourself: chmod o+x {closed}"
            )

    def _copy_programs(self, binaries: PostgresBinaries, target: Path) -> None:
        target.parent.mkdir(mode=0o711, exist_ok=True)
        target.parent.chmod(0o711)
        staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
        try:
            for part in binaries.parts:
                shutil.copytree(binaries.root / part, staging / part, ignore=shutil.ignore_patterns("include", "*.a"))
            for folder in [staging, *(path for path in staging.rglob("*") if path.is_dir())]:
                folder.chmod(0o755)
            staging.rename(target)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        for old in target.parent.iterdir():
            if old != target:
                shutil.rmtree(old, ignore_errors=True)

    def _socket_dir_prefix(self) -> str:
        return f"bailiwick-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]}-"

    def _new_socket_dir(self, account: ServerAccount) -> Path:
        prefix = self._socket_dir_prefix()
        longest_base = _LONGEST_SOCKET_PATH - len(f"/{prefix}12345678/{SOCKET_NAME}")
        for base in _socket_bases():
            open_to_both = base.is_dir() and os.access(base, os.W_OK) and account.closed_folder(base) is None
            if open_to_both and len(os.fsencode(base)) <= longest_base:
                return Path(tempfile.mkdtemp(prefix=prefix, dir=base))
        raise DatabaseUnavailableError(
            "no folder is short and open enough for the database socket; set TMPDIR to a folder like /tmp"
        )

    def _write_document(self, path: Path, document: Mapping[str, str]) -> None:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=self.root)
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(dict(document), file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _read_document(path: Path) -> Mapping[str, str] | None:
    try:
        return cast("dict[str, str]", json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DatabaseUnavailableError(f"{path} is damaged ({error}); restore it from a backup") from error


def _socket_bases() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR") if os.geteuid() != 0 else "/run"
    return [Path(base) for base in (runtime, tempfile.gettempdir(), "/tmp") if base]  # noqa: S108 -- mkdtemp makes a private folder there


def _is_private(folder: Path, account: ServerAccount) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and stat.S_IMODE(status.st_mode) == 0o700


def _make_private(folder: Path) -> Path | None:
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    return folder
