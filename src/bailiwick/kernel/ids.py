"""Identifiers: time-ordered UUIDs (version 7, RFC 9562) as plain strings.

Strings, because they cross SQL, JSON, URLs and logs unchanged, and because
building ``uuid.UUID`` objects costs more than the rest of a hot-path row.
"""

import os
import random
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

# Stands where an organization's id stands, for what belongs to the installation itself.
INSTALLATION = "00000000-0000-0000-0000-000000000000"

_COUNTER_END = 1 << 12


class _Generator:
    """One per process; a forked child reseeds it, or it would repeat its parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = 0
        self._counter = 0
        self._random = random.Random(os.urandom(32))  # noqa: S311 - ids are unique, not secret

    def reseed(self) -> None:
        self._lock = threading.Lock()
        self._random.seed(os.urandom(32))

    def next(self) -> str:
        with self._lock:
            now_ms = time.time_ns() // 1_000_000
            if now_ms > self._ms:
                self._ms = now_ms
                # Start low, so that a burst within one millisecond keeps its order.
                self._counter = now_ms & 0xFF
            else:
                self._counter += 1
                if self._counter == _COUNTER_END:
                    # Borrow the next millisecond.
                    self._ms += 1
                    self._counter = 0
            head = f"{self._ms:012x}"
            counter = self._counter
            low = f"{(0b10 << 62) | self._random.getrandbits(62):016x}"
        return f"{head[:8]}-{head[8:]}-7{counter:03x}-{low[:4]}-{low[4:]}"


_generator = _Generator()
os.register_at_fork(after_in_child=_generator.reseed)


def new_id() -> str:
    """Return a new UUIDv7; later calls in one process sort after earlier ones."""
    return _generator.next()


def id_at(moment: datetime) -> str:
    """Return the smallest UUIDv7 of that moment: the bound for ranges by time."""
    ms = int(moment.timestamp() * 1000)
    return str(UUID(int=(ms << 80) | (0x7 << 76) | (0b10 << 62)))


def time_of(identifier: str) -> datetime:
    """Return the UTC time, to the millisecond, at which a UUIDv7 was made."""
    return datetime.fromtimestamp((UUID(identifier).int >> 80) / 1000, tz=UTC)


def parse_id(text: str) -> str | None:
    """Return ``text`` as a canonical UUID string, or None if it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
