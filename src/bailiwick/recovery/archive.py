"""Reads and thins the archive of the write-ahead log."""

import gzip
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

from bailiwick.recovery.errors import BackupDamagedError
from bailiwick.storage.embedded_archive import SUFFIX

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_TIMELINE_DIGITS = 8


def position(segment: str) -> str:
    """Return where in the log a segment lies, whatever its timeline; positions sort as text."""
    return segment[_TIMELINE_DIGITS:]


def prune(archive: Path, first_needed: str | None) -> int:
    """Remove the segments before one, on every timeline, as pg_archivecleanup would; return how many.

    None is needed where no copy of the server's files is left to begin with.
    Histories of timelines stay; they are small, and needed to find the way.
    """
    removed = 0
    for path in archive.glob(f"*{SUFFIX}") if archive.is_dir() else ():
        name = path.name.removesuffix(SUFFIX).split(".")[0]
        if _SEGMENT.fullmatch(name) and (first_needed is None or position(name) < position(first_needed)):
            path.unlink()
            removed += 1
    return removed


def unpack(archive: Path, target: Path, first_needed: str, give: Callable[[Path], object]) -> int:
    """Unpack what a recovery may ask for into a folder, each file handed to ``give``; return how many segments.

    Raises:
        BackupDamagedError: one of them is damaged; the message names it.
    """
    count = 0
    for path in sorted(archive.glob(f"*{SUFFIX}")) if archive.is_dir() else ():
        name = path.name.removesuffix(SUFFIX)
        is_segment = _SEGMENT.fullmatch(name) is not None
        if is_segment and position(name) < position(first_needed):
            continue
        if not is_segment and not name.endswith(".history"):
            continue
        try:
            with gzip.open(path, "rb") as packed, (target / name).open("xb") as file:
                shutil.copyfileobj(packed, file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BackupDamagedError(
                f"{path} is damaged ({error}); move it and those after it away, then go to a moment before them"
            ) from error
        give(target / name)
        count += is_segment
    return count
