"""A stream tells every event, each once, whatever the order in which they are committed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.api.realtime import EventBell, Follower, Position
from bailiwick.events import Event
from bailiwick.events.reader import EventReader
from bailiwick.kernel.errors import InvalidInputError, UnavailableError
from bailiwick.kernel.ids import id_at
from bailiwick.storage.pages import Page
from bailiwick.storage.waking import Wakeups

START = datetime(2026, 3, 1, tzinfo=UTC)
KNOWN = id_at(START)


class Log:
    """An event log in memory; what is in it is committed."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.events]

    def commit(self, *milliseconds: int) -> None:
        for moment in milliseconds:
            identifier = id_at(START + timedelta(milliseconds=moment))[:-12] + f"{len(self.events):012x}"
            self.events.append(Event(identifier, "org", "note.written", 1, None, {}, None, START, START))
        self.events.sort(key=lambda event: event.id)

    async def after(self, organization_id: str, event_id: str | None, *, limit: int = 200) -> Sequence[Event]:
        return [event for event in self.events if event_id is None or event.id > event_id][:limit]

    async def list(self, organization_id: str, *, limit: int) -> Page[Event]:
        return Page(self.events[::-1][:limit], None)


async def started(log: Log, position: str | None = None) -> Follower:
    follower = Follower(cast("EventReader", log), "org")
    await follower.start(Position.parse(position) if position else None)
    return follower


async def told(follower: Follower) -> list[tuple[str, str]]:
    return [(str(position), event.id) async for position, event in follower.advance()]


async def test_a_new_stream_begins_now() -> None:
    log = Log()
    log.commit(0, 500, 900)
    follower = await started(log)
    assert await told(follower) == []
    log.commit(1000)
    assert [event for _, event in await told(follower)] == log.ids[-1:]


async def test_a_stream_of_an_empty_log_tells_the_first_event() -> None:
    log = Log()
    follower = await started(log)
    log.commit(0)
    assert len(await told(follower)) == 1
    assert await told(follower) == []


async def test_an_event_committed_late_is_told() -> None:
    log = Log()
    log.commit(0)
    follower = await started(log)
    log.commit(1000)
    assert len(await told(follower)) == 1
    log.commit(400)
    assert len(await told(follower)) == 1
    assert await told(follower) == []


async def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_twice() -> None:
    log = Log()
    follower = await started(log)
    log.commit(0, 500, 900, 901)
    messages = await told(follower)
    for place, (position, _) in enumerate(messages):
        # Only the last position knows the whole time before it; earlier ones were sent in order.
        again = await started(log, position)
        assert [event for _, event in await told(again)] == log.ids[place + 1 :]


async def test_a_client_that_comes_back_gets_what_was_committed_late_meanwhile() -> None:
    log = Log()
    follower = await started(log)
    log.commit(0, 900)
    position = (await told(follower))[-1][0]
    log.commit(500)
    again = await started(log, position)
    assert log.ids[1] in [event for _, event in await told(again)]


async def test_a_bare_event_id_is_a_position() -> None:
    log = Log()
    log.commit(0, 500, 900)
    assert [event for _, event in await told(await started(log, log.ids[0]))] == log.ids[1:]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "",
        "1",
        f"{KNOWN}.x",
        f"{KNOWN}.-1",
        f"{KNOWN}.{'9' * 30}",
        "00000000-0000-7000-8000-000000000000",
        "ffffffff-ffff-4fff-bfff-ffffffffffff",
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        Position.parse(text)


rounds = st.lists(st.lists(st.integers(0, 1500), max_size=6), max_size=6)


@given(rounds, st.integers(0, 5))
async def test_nothing_is_lost_and_nothing_is_told_twice(batches: list[list[int]], interruption: int) -> None:
    log = Log()
    log.commit(0)
    follower = await started(log)
    seen: list[str] = [log.ids[0]]
    position: str | None = None
    for number, batch in enumerate(batches):
        if number == interruption and position is not None:
            follower = await started(log, position)
        # Nothing is committed later than the overlap after it was made.
        log.commit(*(number * 300 + moment for moment in batch))
        messages = await told(follower)
        seen += [event_id for _, event_id in messages]
        position = messages[-1][0] if messages else position
    assert sorted(seen) == log.ids


def test_streams_are_bounded_and_end_at_shutdown() -> None:
    class Silent:
        def listen(self, topic: str, listener: object) -> None: ...

    bell = EventBell(cast("Wakeups", Silent()))
    bell.check_room()
    with bell.heard() as heard:
        bell.close()
        assert heard.is_set()
    with pytest.raises(UnavailableError):
        bell.check_room()
