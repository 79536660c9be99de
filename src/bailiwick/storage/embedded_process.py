"""A PostgreSQL program as our own child process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from bailiwick.storage.embedded_account import ServerAccount

_CHILD_SCRIPT = Path(__file__).with_name("embedded_child.py")
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


def child_command(account: ServerAccount, lock_file: Path | None, command: Sequence[str | Path]) -> list[str]:
    """Return the command line that starts ``command`` under ``account``, holding ``lock_file``."""
    uid, gid = (account.uid, account.gid) if account.drops_root else (-1, -1)
    return [
        *(sys.executable, "-I", "-S", str(_CHILD_SCRIPT)),
        *(str(os.getpid()), str(uid), str(gid), str(lock_file or "")),
        *(str(part) for part in command),
    ]


def child_environment() -> dict[str, str]:
    """Return the environment of a PostgreSQL program: none of the caller's ``PG*`` settings, English messages."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


class ServerProcess:
    """A running ``postgres`` that is our child, dies with us and survives Ctrl-C in our terminal.

    The kernel's "signal me when my parent dies" watches the *thread* that
    forked, so a thread of its own starts the child and stays until it ends.
    """

    def __init__(self, account: ServerAccount, lock_file: Path, log_file: Path, command: Sequence[str | Path]) -> None:
        self._command = child_command(account, lock_file, command)
        self._log_file = log_file
        self._started: Future[subprocess.Popen[bytes]] = Future()
        threading.Thread(target=self._keep, name="postgres-keeper", daemon=True).start()
        self._child = self._started.result()

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, or None while it runs; negative is the signal that killed it."""
        return self._child.poll()

    def stop(self, *, patience_seconds: float) -> None:
        """End the server: fast shutdown, after ``patience_seconds`` immediate, at last SIGKILL.

        Only ever signals our own unreaped child, so no other process can be
        hit. Committed work survives every one of the three.
        """
        for number, patience in ((signal.SIGINT, patience_seconds), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            self._child.send_signal(number)
            try:
                self._child.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return

    def _keep(self) -> None:
        try:
            with open_log(self._log_file) as log:
                child = subprocess.Popen(  # noqa: S603 -- our own script and the provider's programs
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=child_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            self._started.set_exception(error)
            return
        self._started.set_result(child)
        child.wait()


def open_log(path: Path) -> IO[bytes]:
    """Open a private log file for appending."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")
