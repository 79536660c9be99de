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


def prune(archive: Path, first_needed: str) -> int:
    """Remove the segments before one, on every timeline, as pg_archivecleanup would; return how many.

    Histories of timelines stay; they are small, and needed to find the way.
    """
    removed = 0
    for path in archive.glob(f"*{SUFFIX}") if archive.is_dir() else ():
        name = path.name.removesuffix(SUFFIX).split(".")[0]
        if _SEGMENT.fullmatch(name) and name[_TIMELINE_DIGITS:] < first_needed[_TIMELINE_DIGITS:]:
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
        if is_segment and name[_TIMELINE_DIGITS:] < first_needed[_TIMELINE_DIGITS:]:
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
