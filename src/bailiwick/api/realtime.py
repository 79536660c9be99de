"""Following the event log as it grows: each event once, in order, and none is lost."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bailiwick.events import Event
from bailiwick.events.reader import EventReader
from bailiwick.kernel.errors import InvalidInputError, UnavailableError
from bailiwick.kernel.ids import id_at, parse_id, time_of
from bailiwick.storage.waking import EVENTS, Wakeups

MAX_STREAMS = 200
# Ids carry the time at which an event was made; it is committed a little later,
# so for this long an event may still appear before one that was read already.
OVERLAP = timedelta(seconds=2)
# Covers a lost wake-up; a revoked key's stream ends as soon.
POLL_SECONDS = 1.0
# Under steady traffic this many seconds pass between two looks.
_BREATH_SECONDS = 0.2
_PAGE = 500
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class EventBell:
    """Wakes every stream of this process when events were recorded, and ends them at shutdown."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._waiting: set[asyncio.Event] = set()
        self.is_closed = False
        wakeups.listen(EVENTS, lambda _: self.ring())

    def ring(self) -> None:
        """Let every stream look."""
        for waiting in self._waiting:
            waiting.set()

    def close(self) -> None:
        """Let every stream end."""
        self.is_closed = True
        self.ring()

    def check_room(self) -> None:
        """Refuse one stream too many, or any at shutdown."""
        if self.is_closed or len(self._waiting) >= MAX_STREAMS:
            raise UnavailableError(f"no more streams here now (at most {MAX_STREAMS}); try again, or poll GET /events")

    @contextmanager
    def heard(self) -> Generator[asyncio.Event]:
        """Give what rings, for as long as the block runs."""
        waiting = asyncio.Event()
        self._waiting.add(waiting)
        try:
            yield waiting
        finally:
            self._waiting.discard(waiting)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream got: the newest event it told, and how many it told of the time just before.

    Written ``<event id>.<count>``. If the log holds another number there by
    now, something was committed late, and a stream that goes on tells that time again.
    """

    event_id: str
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Return a position, or raise InvalidInputError."""
        name, _, count = text.strip().partition(".")
        event_id = parse_id(name)
        if event_id is None or not (count == "" or (count.isascii() and count.isdigit() and len(count) < 10)):
            raise InvalidInputError(f"{text[:100]!r} is no position in a stream; give the id of an event")
        try:
            moment = time_of(event_id)
        except (ValueError, OverflowError, OSError):
            moment = datetime.min.replace(tzinfo=UTC)
        if moment < _EPOCH:
            raise InvalidInputError(f"{text[:100]!r} is not the id of an event")
        return cls(event_id, int(count) if count else None)

    def __str__(self) -> str:
        return self.event_id if self.count is None else f"{self.event_id}.{self.count}"


class Follower:
    """One stream over the events of one organization."""

    def __init__(self, reader: EventReader, organization_id: str) -> None:
        self._reader = reader
        self._organization_id = organization_id
        self._newest: str | None = None
        # The ids told or skipped that are within the overlap, sorted.
        self._known: list[str] = []

    @property
    def position(self) -> Position | None:
        """How far it got; None while there was no event yet."""
        if self._newest is None:
            return None
        return Position(self._newest, len(self._known) - bisect_right(self._known, _overlap_before(self._newest)))

    async def start(self, position: Position | None) -> None:
        """Go on behind a position; without one, behind what is recorded now."""
        if position is None:
            page = await self._reader.list(self._organization_id, limit=1)
            if not page.items:
                return
            position = Position(page.items[0].id)
        self._newest = position.event_id
        before = [
            event.id async for event in self._read(_overlap_before(position.event_id)) if event.id <= position.event_id
        ]
        if position.count in (None, len(before)):
            self._known = before

    async def advance(self) -> AsyncIterator[tuple[Position, Event]]:
        """Give every event that was not told yet, with the position behind it."""
        lowest = None if self._newest is None else _overlap_before(self._newest)
        async for event in self._read(lowest):
            place = bisect_left(self._known, event.id)
            if place < len(self._known) and self._known[place] == event.id:
                continue
            insort(self._known, event.id)
            self._newest = event.id if self._newest is None else max(self._newest, event.id)
            position = self.position
            assert position is not None
            yield position, event
        if self._newest is not None:
            del self._known[: bisect_right(self._known, _overlap_before(self._newest))]

    async def _read(self, after: str | None) -> AsyncIterator[Event]:
        while True:
            events = await self._reader.after(self._organization_id, after, limit=_PAGE)
            for event in events:
                yield event
            if len(events) < _PAGE:
                return
            after = events[-1].id


async def wait_for_events(heard: asyncio.Event) -> None:
    """Return when events were recorded, or a poll is due; under steady traffic not more often than needed."""
    await asyncio.sleep(_BREATH_SECONDS if heard.is_set() else 0)
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_SECONDS):
            await heard.wait()
    heard.clear()


def _overlap_before(event_id: str) -> str:
    return id_at(time_of(event_id) - OVERLAP)
