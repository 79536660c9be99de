"""What one organization can see of another in the database: nothing, whatever the statement."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from tests.support.engine import Engine


@pytest.fixture
async def engine(login_url: str) -> AsyncIterator[Engine]:
    """An engine in which two organizations have a task, a finished task with steps, events and limits each."""
    async with Engine(login_url) as running:
        yield running


async def furnish(engine: Engine) -> tuple[str, str]:
    async def handle(run: Any, payload: Any) -> str:
        return await run.step("look", lambda: payload.secret)

    engine.handles("work", handle)
    engine.knows("seen")
    organizations = (new_id(), new_id())
    await engine.work()
    for organization_id in organizations:
        engine.organization_id = organization_id
        await engine.ended(await engine.add("work", {"secret": organization_id}))
        await engine.add("work", {"secret": organization_id}, delay_seconds=3600)
        await engine.publish("seen", "key", {"secret": organization_id})
    return organizations


TABLES = ("events", "tasks", "finished_tasks", "steps", "task_totals")


async def test_an_organization_sees_its_own_rows_and_no_others(engine: Engine) -> None:
    mine, theirs = await furnish(engine)
    for table in TABLES:
        rows = await engine.database.fetch_all(f"select organization_id from {table}", organization_id=mine)
        assert rows, table
        assert {row["organization_id"] for row in rows} == {mine}
        asked = await engine.database.fetch_all(
            f"select 1 from {table} where organization_id = %s", (theirs,), organization_id=mine
        )
        assert asked == []


async def test_without_an_organization_nothing_is_seen(engine: Engine) -> None:
    await furnish(engine)
    for table in TABLES:
        assert await engine.database.fetch_all(f"select 1 from {table}") == []


async def test_nothing_of_another_is_changed_deleted_or_claimed_as_own(engine: Engine) -> None:
    mine, theirs = await furnish(engine)
    for table in TABLES:
        assert await engine.database.execute(f"delete from {table} where organization_id = %s", (theirs,),
                                             organization_id=mine) == 0  # fmt: skip
    assert await engine.database.execute("update tasks set priority = 0", organization_id=mine) == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await engine.database.execute("update tasks set organization_id = %s", (theirs,), organization_id=mine)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await engine.database.execute(
            "insert into limits (organization_id, subject) values (%s, 'organization')", (theirs,), organization_id=mine
        )
    [kept] = await engine.inspector.fetch_all("select count(*) as n from tasks where organization_id = %s", (theirs,))
    assert kept == {"n": 1}


async def test_a_connection_goes_back_to_the_pool_without_its_organization(engine: Engine) -> None:
    mine, _ = await furnish(engine)
    database = Database(engine.url, max_connections=1)
    await database.open()
    try:
        assert await database.fetch_all("select 1 from tasks", organization_id=mine)
        assert await database.fetch_all("select 1 from tasks") == []
        with pytest.raises(psycopg.errors.DivisionByZero):
            await database.fetch_all("select 1 / 0", organization_id=mine)
        assert await database.fetch_all("select 1 from tasks") == []
    finally:
        await database.close()


async def test_moves_by_hand_touch_only_the_own_tasks(engine: Engine) -> None:
    mine, theirs = await furnish(engine)
    rows = await engine.inspector.fetch_all("select id from tasks where organization_id = %s", (theirs,))
    ids = [row["id"] for row in rows]
    assert ids
    for move in (engine.control.cancel, engine.control.pause, engine.control.resume, engine.control.redrive):
        assert await move(mine, ids) == []
    # Even with the other's id in its own call: the rows are not its to lock.
    row = await engine.database.fetch_one("select count(*) as n from task_pause(%s, %s::uuid[])", (theirs, ids),
                                          organization_id=mine)  # fmt: skip
    assert row == {"n": 0}


@pytest.mark.parametrize(
    "attempt",
    [
        "set role bailiwick_engine",
        "set role bailiwick_owner",
        "set session authorization postgres",
        "alter table tasks disable row level security",
        "alter table tasks no force row level security",
        "create policy mine on tasks to bailiwick using (true)",
        "drop policy tenant on tasks",
        "truncate tasks",
        "create function sneak() returns int language sql security definer as 'select 1'",
        "alter role bailiwick bypassrls",
        "select tenant_table('tasks')",
        "select engine_function('current_organization()')",
        "copy (select 1) to program 'true'",
    ],
)
async def test_the_application_cannot_give_itself_more(database: Database, attempt: str) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidAuthorizationSpecification)):
        await database.execute(attempt)


async def test_switching_row_security_off_shows_an_error_and_no_row(engine: Engine) -> None:
    mine, _ = await furnish(engine)
    async with engine.database.transaction(mine) as connection:
        await connection.execute("set local row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("select * from tasks")


async def test_a_worker_reads_the_journals_of_what_it_holds_only(engine: Engine) -> None:
    mine, _ = await furnish(engine)
    rows = await engine.inspector.fetch_all("select id from finished_tasks where organization_id = %s", (mine,))
    ids = [row["id"] for row in rows]
    assert await engine.database.fetch_all("select * from task_journals(%s, %s::uuid[])", (new_id(), ids)) == []
