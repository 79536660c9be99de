"""Runs PostgreSQL's programs: dying with us, their words turned into errors, passwords never on the command line."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bailiwick.kernel.errors import DatabaseUnavailableError, DiskFullError
from bailiwick.recovery.errors import BackupFailedError
from bailiwick.storage.binaries import BINARIES_VARIABLE, PostgresBinaries
from bailiwick.storage.embedded_account import ServerAccount
from bailiwick.storage.embedded_process import child_command

_KEPT_LINES = 30
_END_SECONDS = 10.0


class Halt:
    """Stops what runs in a thread from outside: its program is ended, and nothing new is begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._is_halted = False

    def halt(self) -> None:
        """End the program that runs, if any; its caller gets a BackupFailedError."""
        with self._lock:
            self._is_halted = True
            if self._child is not None and self._child.poll() is None:
                self._child.send_signal(signal.SIGTERM)

    def check(self) -> None:
        """Raise BackupFailedError once halted."""
        if self._is_halted:
            raise BackupFailedError("it was stopped before its end; nothing of it is left")

    def begin(self, command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
        """Start a program unless halted."""
        with self._lock:
            self.check()
            self._child = subprocess.Popen(  # noqa: S603 -- PostgreSQL's programs with arguments of ours
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace",
            )  # fmt: skip
            return self._child


def run_program(
    binaries: PostgresBinaries,
    name: str,
    arguments: Sequence[str | Path],
    *,
    url: str | None,
    halt: Halt,
    on_line: Callable[[str], object] = str,
) -> None:
    """Run a program to its end in the calling thread; it ends with this process, however that ends.

    Raises:
        BackupFailedError: it failed; its last words are in the message.
        DiskFullError: the disk it writes to is full.
        DatabaseUnavailableError: the program is missing, or the server does not answer.
    """
    program = binaries.program(name)
    if not program.is_file():
        raise DatabaseUnavailableError(
            f"{name} is missing in {binaries.bin_dir}; set {BINARIES_VARIABLE} to a folder that holds it"
        )
    address, environment = _address(url)
    myself = ServerAccount(os.geteuid(), os.getegid(), "", drops_root=False)
    child = halt.begin(child_command(myself, None, [program, *address, *arguments]), environment)
    last: list[str] = []
    try:
        assert child.stderr is not None
        for line in child.stderr:
            last = [*last[1 - _KEPT_LINES :], line.strip()]
            on_line(line)
        status = child.wait()
    except BaseException:
        child.terminate()
        child.wait(_END_SECONDS)
        raise
    finally:
        if child.stderr is not None:
            child.stderr.close()
    halt.check()
    if status != 0:
        raise _failure(name, last)


def _address(url: str | None) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    if url is None:
        return [], environment
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    # Everybody on the machine sees a command line, nobody else this environment.
    password = parts.pop("password", None)
    if password is not None:
        environment["PGPASSWORD"] = password
    return [f"--dbname={make_conninfo(**parts)}", "--no-password"], environment


def _failure(name: str, last: Sequence[str]) -> BackupFailedError | DiskFullError | DatabaseUnavailableError:
    errors = [line for line in last if "error:" in line or "fatal:" in line.lower() or "detail:" in line.lower()]
    said = "; ".join((errors or list(last))[-3:]) or "it said nothing"
    if "No space left on device" in said or "File too large" in said or "Disk quota exceeded" in said:
        return DiskFullError(f"the disk is full, or a file may not grow further; nothing was kept of this ({said})")
    if "connection to server" in said:
        return DatabaseUnavailableError(f"{name} cannot reach the database: {said}")
    return BackupFailedError(f"{name} failed: {said}")
