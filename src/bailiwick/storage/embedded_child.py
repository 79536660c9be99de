"""Becomes a PostgreSQL program: drops root, ties its life to the parent, takes the server lock.

Run by :mod:`bailiwick.storage.embedded_process` as a script of its own, with
the standard library only. A fresh interpreter is the place for this because
code between fork and exec of a process with threads is unsafe.

Arguments: parent pid, uid, gid (-1 keeps the present one), lock file ("" for
none), then the program and its arguments. Exit status 75: another server of
the same folder still runs; 76: the parent is gone; 77: no right to switch.
"""

import ctypes
import fcntl
import os
import signal
import sys

STATUS_LOCKED = 75
STATUS_ORPHANED = 76
STATUS_NO_RIGHT = 77
_PR_SET_PDEATHSIG = 1


def become(parent: int, uid: int, gid: int, lock_file: str, command: list[str]) -> None:
    """Replace this process by ``command``; returns never, exits on failure."""
    if lock_file:
        _hold_lock(lock_file)
    if uid >= 0:
        _drop_root(uid, gid)
    # After the change of user, because the kernel forgets the wish when credentials change.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    # The parent may have died before the wish was made.
    if os.getppid() != parent:
        sys.exit(STATUS_ORPHANED)
    os.umask(0o077)
    os.chdir("/")
    os.execv(command[0], command)  # noqa: S606 -- becoming the program is the purpose


def _hold_lock(lock_file: str) -> None:
    """Lock the file for this process and all it will become or start.

    The lock belongs to the open file, which PostgreSQL and every backend
    inherit: it is free exactly when the last of them is gone, whatever
    process numbers say.
    """
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(STATUS_LOCKED)
    os.set_inheritable(descriptor, True)


def _drop_root(uid: int, gid: int) -> None:
    try:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    except PermissionError:
        sys.stderr.write(f"no right to switch to user {uid}, group {gid}\n")
        sys.exit(STATUS_NO_RIGHT)


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
