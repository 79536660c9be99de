"""The practical limit: bare batches through one table with ``for update skip locked``, nothing else.

No tenants, no journal, no fencing, no retries. Also the bare serial latency:
one task at a time through three commits (enqueue, claim, complete).

Usage: python -m bailiwick.bench.rivals.bare_loop --url URL --seconds N [--json]
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from bailiwick.bench.rivals.entry import Findings, Measure, run_entry
from bailiwick.bench.rivals.measuring import Budget, Round, latencies_ms, measure, percentile

_Connection = psycopg.AsyncConnection[TupleRow]

BATCHES: Final = (100, 250, 500)
CONNECTIONS: Final = (1, 2, 4)

_SERIAL_SHARE: Final = 0.2
_TRIAL_TASKS: Final = 4000
_PAYLOAD: Final = '{"agent": "support", "issue": "' + "x" * 100 + '"}'
_RESULT: Final = '{"ok": true}'

_SCHEMA: Final = """
drop table if exists bare_task;
create table bare_task (
    id bigint generated always as identity primary key,
    state smallint not null default 0,
    priority smallint not null default 2,
    run_at timestamptz not null default now(),
    leased_until timestamptz,
    attempt smallint not null default 0,
    payload jsonb not null,
    result jsonb
) with (fillfactor = 70);
create index bare_task_ready on bare_task (priority, id) where state = 0;
"""
_ENQUEUE: Final = "insert into bare_task (payload) select item::jsonb from unnest(%s::text[]) as item"
_CLAIM: Final = """
with next as (
    select id from bare_task where state = 0 and run_at <= now()
    order by priority, id limit %s for update skip locked
)
update bare_task as task
set state = 1, leased_until = now() + interval '30 seconds', attempt = attempt + 1
from next where task.id = next.id
returning task.id, task.payload
"""
_COMPLETE: Final = """
update bare_task as task set state = 2, result = done.result::jsonb, leased_until = null
from unnest(%s::bigint[], %s::text[]) as done (id, result)
where task.id = done.id and task.state = 1
"""


async def run(url: str, seconds: float) -> Findings:
    """Measure batches in every combination of size and connections, and the serial latency."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(await _connect(url)) for _ in range(max(CONNECTIONS))]
        await opened[0].execute(_SCHEMA, prepare=False)
        serial = await _serial(opened[0], seconds * _SERIAL_SHARE)
        modes = {
            f"{count} connections, batches of {batch}": _batched(opened[:count], batch)
            for count in CONNECTIONS
            for batch in BATCHES
        }
        budget = Budget(seconds * (1 - _SERIAL_SHARE))
        loop = await measure(
            "enqueue, claim, complete", modes, in_flight=max(BATCHES), trial_tasks=_TRIAL_TASKS, budget=budget
        )
    return Findings(
        figures={
            "tasks_per_second": loop.median_per_second,
            "serial_p50_ms": percentile(serial, 0.5),
            "serial_p95_ms": percentile(serial, 0.95),
        },
        measurements=(loop,),
        settings={"driver": f"psycopg {psycopg.__version__}", "commits_per_task": "enqueue, claim and complete each"},
    )


async def _connect(url: str) -> _Connection:
    return await _Connection.connect(url, autocommit=True, prepare_threshold=0)


async def _serial(connection: _Connection, seconds: float) -> list[float]:
    async def one(number: int) -> None:
        del number
        await _pass_through(connection, 1)

    return await latencies_ms(one, seconds=seconds)


def _batched(connections: list[_Connection], batch: int) -> Round:
    async def round_of(tasks: int) -> float:
        await connections[0].execute("truncate bare_task")
        left = iter(range(-(-tasks // batch)))

        async def lane(connection: _Connection) -> None:
            for _ in left:
                await _pass_through(connection, batch)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(lane(connection))
        # Claims that meet on the same rows get fewer than they asked for; the rest is done here.
        while await _claim_and_complete(connections[0], batch):
            pass
        elapsed = time.perf_counter() - began
        # The last batch may hold more than was asked for; only what was asked for counts.
        whole = -(-tasks // batch) * batch
        await _check(connections[0], whole)
        return elapsed * tasks / whole

    return round_of


async def _pass_through(connection: _Connection, batch: int) -> None:
    await connection.execute(_ENQUEUE, [[_PAYLOAD] * batch])
    await _claim_and_complete(connection, batch)


async def _claim_and_complete(connection: _Connection, batch: int) -> int:
    claimed = await (await connection.execute(_CLAIM, [batch])).fetchall()
    if claimed:
        await connection.execute(_COMPLETE, [[row[0] for row in claimed], [_RESULT] * len(claimed)])
    return len(claimed)


async def _check(connection: _Connection, expected: int) -> None:
    row = await (await connection.execute("select count(*) from bare_task where state = 2")).fetchone()
    if row is None or row[0] != expected:
        raise RuntimeError(f"{expected} tasks went in, {row} came out; the figures of this round mean nothing")


def _load() -> Measure:
    return run


if __name__ == "__main__":
    sys.exit(run_entry("bare_loop", _load))
