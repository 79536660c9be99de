"""What one flush to the disk costs now: the control that explains differences between runs.

Usage: python -m bailiwick.bench.rivals.fsync_control --directory DIR [--json]
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import orjson

BLOCK_BYTES: Final = 8192
"""PostgreSQL's page, the least a commit writes to its log."""

_FLUSHES: Final = 60


def flush_median_us(directory: Path, *, flushes: int = _FLUSHES) -> float:
    """Return the median microseconds that ``fdatasync`` takes after one page was rewritten in place.

    Measured in a temporary file in ``directory``, which should be on the disk
    of the database. On systems without ``fdatasync``, ``fsync`` is measured.

    Raises:
        OSError: the directory cannot be written to.
    """
    flush = getattr(os, "fdatasync", os.fsync)
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        # The first flush also makes the file longer, which is another, dearer thing.
        for number in range(flushes + 1):
            os.pwrite(file.fileno(), os.urandom(BLOCK_BYTES), 0)
            began = time.perf_counter()
            flush(file.fileno())
            if number:
                taken.append(time.perf_counter() - began)
    return round(median(taken) * 1e6, 1)


def main() -> int:
    """Print the figure for the directory named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m bailiwick.bench.rivals.fsync_control")
    parser.add_argument("--directory", type=Path, required=True, help="a folder on the disk of the database")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    arguments = parser.parse_args()
    figure = flush_median_us(arguments.directory)
    text = orjson.dumps({"fdatasync_median_us": figure, "flushes": _FLUSHES}).decode()
    sys.stdout.write(f"{text}\n" if arguments.json else f"fdatasync: {figure} us (median of {_FLUSHES})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
