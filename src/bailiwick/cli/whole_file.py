"""Writes files that people asked for: whole or not at all."""

import errno
import os
from pathlib import Path

from bailiwick.kernel.errors import DiskFullError, InvalidInputError

PUBLIC, PRIVATE = 0o666, 0o600


def write_whole(out: Path, content: bytes, *, mode: int = PUBLIC) -> None:
    """Put content into a file, replacing one that is there; a failure leaves what was there before.

    ``mode`` is narrowed by the process's umask. What is no ordinary file, a
    pipe or a device, is written to as it is.

    Raises:
        DiskFullError: the disk is full, or a file may not grow further.
        InvalidInputError: it cannot be written there.
    """
    target = out.expanduser().resolve()
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        _replace(target, content, mode)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"cannot write {out}: the disk is full, or a file may not grow further; free some space, or choose "
                "another place with --out"
            ) from error
        raise InvalidInputError(f"cannot write {out}: {error.strerror}; choose another file with --out") from error


def _replace(target: Path, content: bytes, mode: int) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        # With its mode from the start, so that nobody else can read it in between.
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
