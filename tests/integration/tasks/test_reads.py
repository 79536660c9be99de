"""The hot path reads what it is about, whatever PostgreSQL believes about the tables."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from bailiwick.kernel.ids import new_id

Connection = psycopg.Connection[DictRow]
MANY, FEW = 400, 20
ORGANIZATION = new_id()
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def connection(login_url: str) -> Iterator[Connection]:
    """A connection whose plans are all made after a vacuum found every table empty."""
    with Connection.connect(login_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("vacuum analyze tasks, finished_tasks, task_keys, event_keys, events, steps")
        yield connection


def _rows(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"i": number, "id": new_id(), "org": ORGANIZATION, "kind": "copy", **fields} for number in range(count)]


def _worker(connection: Connection) -> str:
    worker = new_id()
    connection.execute(
        "insert into workers (id, name, host, pid, state, code_version, concurrency, lease_until) "
        "values (%s, 'w', 'h', 1, 'active', 'v', 10, now() + interval '1 hour')",
        (worker,),
    )
    return worker


def _executing(connection: Connection, rows: list[dict[str, Any]]) -> None:
    worker = _worker(connection)
    connection.execute("select * from task_hand_over(%s::jsonb, %s, 'v', false)", (json.dumps(rows), worker))


def _read_by(connection: Connection, table: str, sql: str, *params: object) -> int:
    """Return how many rows of a table a call had to look at; into the index of listings it may not look at all."""

    def read() -> dict[str, int]:
        found = connection.execute(
            "select seq_tup_read + idx_tup_fetch as rows, "
            "pg_stat_get_xact_numscans('tasks_listing'::regclass) as lists "
            "from pg_stat_xact_user_tables where relname = %s",
            (table,),
        ).fetchone()
        assert found is not None
        return found

    with connection.transaction():
        before = read()
        connection.execute(sql, params)  # pyright: ignore[reportArgumentType] - written in this file
        after = read()
    assert after["lists"] == before["lists"]
    return after["rows"] - before["rows"]


def test_a_step_is_journaled_without_a_look_at_the_tasks_of_others(connection: Connection) -> None:
    tasks = _rows(MANY)
    _executing(connection, tasks)
    steps = [{"t": task["id"], "f": 1, "s": 0, "k": "step", "n": "n", "r": 1, "ms": 1} for task in tasks[:FEW]]
    assert _read_by(connection, "tasks", "select task_journal(%s::jsonb)", json.dumps(steps)) <= 3 * FEW


def test_a_task_ends_without_a_look_at_those_of_others(connection: Connection) -> None:
    tasks = _rows(MANY)
    _executing(connection, tasks)
    ends = [{"t": task["id"], "f": 1, "st": "completed", "r": None} for task in tasks[:FEW]]
    assert _read_by(connection, "tasks", "select * from task_finish(%s::jsonb)", json.dumps(ends)) <= 3 * FEW


def test_a_parent_is_woken_without_a_look_at_the_tasks_of_others(connection: Connection) -> None:
    parents = _rows(MANY)
    _executing(connection, parents)
    children = [{**child, "parent": parents[0]["id"], "pf": 1} for child in _rows(FEW)]
    connection.execute("select * from task_enqueue(%s::jsonb)", (json.dumps(children),))
    ends = [{"t": child["id"], "st": "cancelled", "why": "w", "p": parents[0]["id"]} for child in children]
    assert _read_by(connection, "tasks", "select * from task_finish(%s::jsonb)", json.dumps(ends)) <= 6 * FEW


def test_a_key_is_found_without_a_look_at_the_others(connection: Connection) -> None:
    # The plans are made for an empty table, the keys come after.
    first = [{**row, "key": f"first:{row['i']}"} for row in _rows(FEW)]
    connection.execute("select * from task_enqueue(%s::jsonb)", (json.dumps(first),))
    for number in range(20):
        rows = [{**row, "key": f"{number}:{row['i']}"} for row in _rows(FEW)]
        connection.execute("select * from task_enqueue(%s::jsonb)", (json.dumps(rows),))
    again = [{**row, "key": f"again:{row['i']}"} for row in _rows(FEW)]
    assert _read_by(connection, "task_keys", "select * from task_enqueue(%s::jsonb)", json.dumps(again)) <= 6 * FEW


def test_handing_over_looks_for_what_waits_by_organization(connection: Connection) -> None:
    _executing(connection, _rows(MANY))
    few = json.dumps(_rows(FEW))
    sql = "select * from task_hand_over(%s::jsonb, %s, 'v', false)"
    assert _read_by(connection, "tasks", sql, few, _worker(connection)) <= 3 * FEW


def test_a_claim_looks_at_what_it_takes(connection: Connection) -> None:
    _executing(connection, _rows(MANY))
    connection.execute("select * from task_enqueue(%s::jsonb)", (json.dumps(_rows(MANY)),))
    sql = "select * from task_claim(%s, %s, '{copy}', %s, '', '{}', '{}', 'v')"
    assert _read_by(connection, "tasks", sql, _worker(connection), FEW, NOBODY) <= 6 * FEW


def test_the_journals_of_some_are_loaded_without_a_look_at_the_others(
    connection: Connection,
) -> None:
    tasks = _rows(MANY)
    _executing(connection, tasks)
    ids = [task["id"] for task in tasks[:FEW]]
    assert _read_by(connection, "tasks", "select * from task_journals(%s, %s::uuid[])", NOBODY, ids) <= 2 * FEW


def test_what_is_due_is_promoted_without_a_look_at_what_waits(connection: Connection) -> None:
    for delay, count in ((3600, MANY), (1, FEW)):
        connection.execute("select * from task_enqueue(%s::jsonb)", (json.dumps(_rows(count, delay=delay)),))
    connection.execute("update tasks set run_at = now() where run_at < now() + interval '1 minute'")
    assert _read_by(connection, "tasks", "select * from task_promote(100)") <= 6 * FEW


def test_an_event_wakes_whom_it_concerns_without_a_look_at_others(connection: Connection) -> None:
    tasks = _rows(MANY)
    _executing(connection, tasks)
    waits = [
        {"t": task["id"], "f": 1, "st": "waiting", "sk": "wait", "sn": "e", "ss": 0, "ev": "e", "key": str(task["i"])}
        for task in tasks
    ]
    after = [wait | {"after": NOBODY, "delay": 3600} for wait in waits]
    connection.execute("select * from task_release(%s::jsonb)", (json.dumps(after),))
    events = [
        {"i": n, "id": new_id(), "org": ORGANIZATION, "type": "e", "version": 1, "key": str(n), "payload": {},
         "occurred": "2026-01-01T00:00:00Z"}
        for n in range(FEW)
    ]  # fmt: skip
    connection.execute("select * from events_append(%s::jsonb, '[]')", (json.dumps(events),))
    ids = [event["id"] for event in events]
    sql = "select task_wake_by_events(%s::uuid[])"
    assert _read_by(connection, "tasks", sql, ids) <= 12 * FEW
    woken = connection.execute("select count(*) as n from tasks where state = 'available'").fetchone()
    assert woken == {"n": FEW}


def test_a_repeated_event_is_found_without_a_look_at_the_others(connection: Connection) -> None:
    event = {"org": ORGANIZATION, "type": "e", "version": 1, "payload": {}, "occurred": "2026-01-01T00:00:00Z"}
    for batch in range(20):
        events = [{**event, "i": n, "id": new_id(), "dedupe": f"{batch}:{n}"} for n in range(FEW)]
        connection.execute("select * from events_append(%s::jsonb, '[]')", (json.dumps(events),))
    again = [{**event, "i": n, "id": new_id(), "dedupe": f"0:{n}"} for n in range(FEW)]
    sql = "select * from events_append(%s::jsonb, '[]')"
    assert _read_by(connection, "event_keys", sql, json.dumps(again)) <= 6 * FEW
