"""Connections that break, or that nobody waits for any more."""

import asyncio

import psycopg
import pytest

from bailiwick.kernel.errors import BailiwickError, DatabaseUnavailableError
from bailiwick.storage import Database
from bailiwick.storage.channel import Channel
from bailiwick.storage.connections import connect
from tests.support.engine import until


async def test_a_cancelled_connect_leaves_no_half_open_connection_behind(database_url: str) -> None:
    kept: list[asyncio.Task[psycopg.AsyncConnection[dict[str, object]]]] = []
    for turns in range(1, 12):
        attempt = asyncio.create_task(connect(database_url))
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        [outcome] = await asyncio.gather(attempt, return_exceptions=True)
        if not isinstance(outcome, BaseException):
            await outcome.close()
        # Somebody may keep the cancelled task, and with it all that led to its end.
        kept.append(attempt)

    async with await connect(database_url) as watcher:

        async def alone() -> bool:
            cursor = await watcher.execute(
                "select count(*) as n from pg_stat_activity where backend_type = 'client backend' "
                "and (datname = current_database() or state = 'starting')"
            )
            return await cursor.fetchone() == {"n": 1}

        await until(alone, "only the watcher is connected", seconds=5)
    assert all(attempt.done() for attempt in kept)


async def test_a_cancelled_call_does_not_give_its_answer_to_the_next(database_url: str) -> None:
    channel = Channel(database_url, application="test")
    slow = asyncio.create_task(channel.call("select pg_sleep(30)::text as answer", ()))
    async with await connect(database_url) as watcher:

        async def sleeps() -> bool:
            cursor = await watcher.execute("select 1 from pg_stat_activity where wait_event = 'PgSleep'")
            return await cursor.fetchone() is not None

        await until(sleeps, "the slow call is under way")
        waiting = asyncio.create_task(channel.call("select 'mine' as answer", ()))
        slow.cancel()
        assert await asyncio.wait_for(waiting, 10) == [{"answer": "mine"}]
        await watcher.execute("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
    await channel.close()


async def test_a_channel_opens_anew_after_its_connection_broke(database_url: str) -> None:
    channel = Channel(database_url, application="test")
    first = channel.backend_pid
    await channel.call("select 1 as one", ())
    async with await connect(database_url) as killer:
        await killer.execute("select pg_terminate_backend(%s)", (channel.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        await channel.call("select 1 as one", ())
    assert await channel.call("select 2 as two", ()) == [{"two": 2}]
    assert channel.backend_pid != first
    await channel.close()


async def test_nobody_at_home_is_told_as_such() -> None:
    with pytest.raises(DatabaseUnavailableError, match="BAILIWICK_DATABASE_URL"):
        await connect("postgresql://nobody@/nothing?host=/nonexistent")


async def test_whoever_is_stopped_hears_that_and_no_error_of_the_driver(database: Database) -> None:
    """A loop that tries again after errors would else go on for ever."""
    inside = asyncio.Event()

    async def service() -> None:
        while True:
            try:
                async with database.transaction():
                    inside.set()
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError as error:
                        # As when the driver's own cancellation strikes the statement after the one meant.
                        raise psycopg.errors.QueryCanceled("canceling statement due to user request") from error
            except (psycopg.Error, BailiwickError):
                continue

    running = asyncio.create_task(service())
    await asyncio.wait_for(inside.wait(), 10)
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()
