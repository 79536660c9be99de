"""The embedded PostgreSQL server: one owner per data folder, any number of others attached.

    stopped --start()--> owner      the folder was free: we run PostgreSQL as our child
    stopped --start()--> attached   another process owns it: we only connect
    attached --take_over_if_orphaned()--> owner
    owner | attached --stop()--> stopped

Ownership is a file lock that the kernel ends with its holder, so a killed
owner blocks nobody. PostgreSQL dies with its owner and keeps what it
acknowledged; the next owner waits until the last old backend is gone, then
starts it on the same socket. No process number is ever believed.
"""

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg

from bailiwick.kernel.errors import BailiwickError, DatabaseUnavailableError, DiskFullError, InternalError
from bailiwick.storage.binaries import find_postgres_binaries
from bailiwick.storage.embedded_archive import archive_of_cluster, prepare_archive
from bailiwick.storage.embedded_cluster import (
    ADMIN_ROLE,
    APPLICATION_DATABASE,
    check_cluster,
    connection_url,
    make_cluster,
    new_passwords,
    provide_application,
    server_command,
    start_error,
    write_settings,
)
from bailiwick.storage.embedded_folder import DATA_DIR_VARIABLE, DataFolder, default_data_dir
from bailiwick.storage.embedded_process import ServerProcess
from bailiwick.storage.roles import APPLICATION_ROLE

Standing = Literal["stopped", "owner", "attached"]
Change = Literal["restarted", "taken over"]
Progress = Callable[[str], object]

_POLL_SECONDS = 0.02
_PROGRESS_EVERY_SECONDS = 2.0
_STOP_PATIENCE_SECONDS = 30.0


class EmbeddedServer:
    """PostgreSQL in a data folder of ours, reached through a private Unix socket.

    Methods block and may be called from any thread. ``progress`` receives
    short sentences while something takes longer than two seconds.
    ``recovery_seconds`` bounds the wait for an old server to end plus the
    crash recovery of a new one. Below ``archive``, in a folder of its cluster's,
    the server keeps its write-ahead log; one that cannot be used is told to
    ``progress`` and stops nothing.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        progress: Progress | None = None,
        recovery_seconds: float = 120.0,
        archive: Path | None = None,
    ) -> None:
        self._folder = DataFolder(data_dir or default_data_dir())
        self._progress = progress or _say_nothing
        self._recovery_seconds = recovery_seconds
        self._archive = archive
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._standing: Standing = "stopped"
        self._process: ServerProcess | None = None
        self._socket_dir: Path | None = None
        self._passwords: Mapping[str, str] = {}

    @property
    def data_dir(self) -> Path:
        """The data folder, absolute."""
        return self._folder.root

    @property
    def standing(self) -> Standing:
        """Whether this process runs the server, uses another's, or neither."""
        return self._standing

    @property
    def server_pid(self) -> int | None:
        """The process id of PostgreSQL while this process owns it."""
        return self._process.pid if self._process else None

    @property
    def url(self) -> str:
        """The URL of the application's role, which is no superuser; holds its password."""
        return self.url_of(APPLICATION_ROLE, APPLICATION_DATABASE)

    @property
    def admin_url(self) -> str:
        """The URL of the superuser, for migrations, backups and tests; holds its password."""
        return self.url_of(ADMIN_ROLE, APPLICATION_DATABASE)

    def url_of(self, role: str, database: str) -> str:
        """Return the URL by which one of the two roles reaches ``database``."""
        if self._socket_dir is None:
            raise InternalError("the embedded database was asked for its URL before it was started")
        return connection_url(role, self._passwords[role], database, self._socket_dir)

    def start(self) -> None:
        """Run the server, or attach to the process that does; returns when it answers queries.

        Makes the cluster, the role and the database at the first start.

        Raises:
            DatabaseUnavailableError: it does not start; the message says why and what to do.
            DiskFullError: the disk is full.
        """
        with self._lock:
            if self._standing != "stopped":
                return
            self._translated(self._own_or_attach)

    def ensure_running(self) -> bool:
        """As the owner, start PostgreSQL again if it died; says whether that was needed.

        Also keeps the log file bounded. Does nothing for other standings.
        """
        with self._lock:
            if self._standing != "owner":
                return False
            self._folder.rotate_log()
            if self._process and self._process.exit_status is None:
                return False
            self._progress("PostgreSQL ended unexpectedly; starting it again")
            self._translated(self._launch)
            return True

    def take_over_if_orphaned(self) -> bool:
        """As an attached process, become the owner if there is none; says whether that happened."""
        with self._lock:
            if self._standing != "attached" or not self._folder.owner_lock.acquire():
                return False
            self._progress("the process that ran PostgreSQL is gone; taking over")
            self._translated(self._start_owned)
            return True

    def keep_up(self) -> Change | None:
        """Do what the present standing asks for: restart a dead server, or take over an orphaned one."""
        if self.ensure_running():
            return "restarted"
        return "taken over" if self.take_over_if_orphaned() else None

    async def watch(self, *, interval_seconds: float = 1.0) -> None:
        """Call :meth:`keep_up` in a thread every ``interval_seconds`` until cancelled.

        A failure is told to ``progress`` and tried again, at most once a minute
        when it goes on.
        """
        pause = interval_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                await asyncio.to_thread(self.keep_up)
                pause = interval_seconds
            except BailiwickError as error:
                self._progress(str(error))
                pause = min(pause * 2, 60.0)

    def stop(self) -> None:
        """Shut the server down if we own it, else just let go; idempotent.

        Open transactions are rolled back, everything committed is kept.
        """
        with self._lock:
            # A forked copy of this object shares the lock and the socket but owns nothing.
            if self._standing == "owner" and os.getpid() == self._pid:
                if self._process:
                    self._process.stop(patience_seconds=_STOP_PATIENCE_SECONDS)
                self._remove_socket_dir()
            self._process = None
            self._folder.owner_lock.release()
            self._standing = "stopped"

    def __enter__(self) -> Self:
        """Start; the block runs with the server up."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, whatever happened."""
        self.stop()

    def _own_or_attach(self) -> None:
        self._folder.prepare()
        wait = _Wait(self._recovery_seconds, self._progress, "for the process that owns the database")
        while not self._folder.owner_lock.acquire():
            if self._attach():
                return
            wait.once(self._held_elsewhere)
        self._start_owned()

    def _attach(self) -> bool:
        passwords, socket_dir = self._folder.read_passwords(), self._folder.read_socket_dir()
        if not passwords or not socket_dir:
            return False
        url = connection_url(APPLICATION_ROLE, passwords[APPLICATION_ROLE], APPLICATION_DATABASE, socket_dir)
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        self._passwords, self._socket_dir, self._standing = passwords, socket_dir, "attached"
        return True

    def _start_owned(self) -> None:
        """Start with the owner lock held; on failure the lock and the standing are given back."""
        before = self._standing
        try:
            account = self._folder.prepare()
            self._passwords = self._folder.read_passwords() or self._first_passwords()
            self._socket_dir = self._folder.claim_socket_dir(account)
            self._launch()
        except BaseException:
            self._remove_socket_dir()
            self._folder.owner_lock.release()
            self._standing = before
            raise
        self._standing = "owner"

    def _first_passwords(self) -> Mapping[str, str]:
        if self._folder.cluster.exists():
            raise DatabaseUnavailableError(
                f"the passwords file is missing in {self.data_dir}, so nobody can log in to the database there; "
                "restore it from a backup"
            )
        passwords = new_passwords()
        self._folder.write_passwords(passwords)
        return passwords

    def _launch(self) -> None:
        """Start PostgreSQL as our child and wait until it answers."""
        wait = _Wait(self._recovery_seconds, self._progress, "for PostgreSQL")
        while not self._folder.server_lock.is_free():
            wait.once(self._still_running)
        account = self._folder.prepare()
        binaries = self._folder.reachable_binaries(find_postgres_binaries(), account)
        if not self._folder.cluster.exists():
            self._progress(f"making a database in {self.data_dir} (first start only)")
            make_cluster(self._folder, account, binaries, self._passwords[ADMIN_ROLE])
        check_cluster(self._folder.cluster, binaries)
        if self._socket_dir is None:
            raise InternalError("the embedded database has no socket folder")
        self._folder.remove_stale_files(self._socket_dir)
        archive = self._archive and archive_of_cluster(self._archive, self._folder.cluster)
        if archive is not None and (problem := prepare_archive(archive, account)):
            self._progress(f"the write-ahead log is not archived: {problem}")
        write_settings(self._folder.cluster, account, archive)
        log_start = self._folder.log_end()
        command = server_command(binaries, self._folder.cluster, self._socket_dir)
        self._process = ServerProcess(account, self._folder.server_lock_file, self._folder.log_file, command)
        try:
            self._wait_until_ready(self._process, log_start, wait)
        except BaseException:
            self._process.stop(patience_seconds=_STOP_PATIENCE_SECONDS)
            raise

    def _wait_until_ready(self, process: ServerProcess, log_start: int, wait: "_Wait") -> None:
        url = self.url_of(ADMIN_ROLE, "postgres")
        while True:
            try:
                with psycopg.connect(url, autocommit=True, connect_timeout=5) as admin:
                    provide_application(admin, self._passwords[APPLICATION_ROLE])
                return
            except psycopg.errors.DiskFull as error:
                raise start_error(str(error), self.data_dir) from error
            except psycopg.OperationalError as error:
                refusal = str(error).strip()
            if process.exit_status is not None:
                raise start_error(self._folder.log_since(log_start), self.data_dir)
            wait.once(partial(_not_ready, refusal, self._folder))

    def _held_elsewhere(self) -> BailiwickError:
        return DatabaseUnavailableError(
            f"another process holds the data folder {self.data_dir} but its PostgreSQL does not answer; "
            f"see {self._folder.log_file}, stop that process, or set {DATA_DIR_VARIABLE} to another folder"
        )

    def _still_running(self) -> BailiwickError:
        return DatabaseUnavailableError(
            f"an earlier PostgreSQL of {self.data_dir} has not ended yet; wait for it or end it, then start again"
        )

    def _remove_socket_dir(self) -> None:
        if self._socket_dir is None:
            return
        try:
            self._socket_dir.rmdir()
        except OSError:
            return  # not empty or gone: the next owner looks at it again

    def _translated(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(f"the disk of {self.data_dir} is full; free some space and start again") from error
            raise DatabaseUnavailableError(
                f"the data folder {self.data_dir} cannot be used: {error}; correct its owner and mode, "
                f"or set {DATA_DIR_VARIABLE} to another folder"
            ) from error


class _Wait:
    """A bounded wait that reports itself every two seconds."""

    def __init__(self, limit_seconds: float, progress: Progress, subject: str) -> None:
        self._began = time.monotonic()
        self._limit_seconds = limit_seconds
        self._progress = progress
        self._subject = subject
        self._next_report = _PROGRESS_EVERY_SECONDS

    def once(self, failure: Callable[[], BailiwickError]) -> None:
        """Pause shortly; raise what ``failure`` returns once the limit has passed."""
        waited = time.monotonic() - self._began
        if waited >= self._limit_seconds:
            raise failure()
        if waited >= self._next_report:
            self._progress(f"waiting {self._subject} ({waited:.0f} s)")
            self._next_report = waited + _PROGRESS_EVERY_SECONDS
        time.sleep(_POLL_SECONDS)


def _not_ready(refusal: str, folder: DataFolder) -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        f"PostgreSQL runs but lets nobody in: {refusal}; see {folder.log_file}, "
        "and start again with more time if it is still recovering"
    )


def _say_nothing(sentence: str) -> None:
    del sentence
