"""The chain in the database: gapless, linked, and closed to every change."""

import asyncio
from datetime import UTC, datetime, timedelta

import orjson
import psycopg
import pytest

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog, EntryFilter
from bailiwick.audit.canonical import ZERO, digest, entry_content
from bailiwick.kernel.errors import InvalidInputError, InvalidPayloadError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.storage import Database
from bailiwick.telemetry.redacting import hide

ANNA = Actor("user", "anna", "Anna Ünal 🐘", "127.0.0.1")


def act(organization_id: str, action: str = "limit.changed", **given: object) -> Act:
    return Act(organization_id, action, ANNA, "limit:organization", **given)  # type: ignore[arg-type]


async def test_entries_are_gapless_and_each_holds_the_hash_before_it(database: Database) -> None:
    log = AuditLog(database)
    acme, rival = new_id(), new_id()
    values = {"ratio": 1.0, "tiny": 1e-7, "big": 10**18, "text": 'ü "quoted" \\ \u2028', "at": datetime.now(UTC)}
    for number in range(3):
        await log.record(act(acme, before={"b": number, "a": None}, after=values))
        await log.record(act(rival))
    for organization_id in (acme, rival):
        previous = ZERO
        rows = [row async for row in log.rows(organization_id)]
        assert [row["seq"] for row in rows] == [1, 2, 3]
        for row in rows:
            content = entry_content(organization_id, row["seq"], row["act"].encode(), previous, row["recorded_at"])
            assert row["previous"] == previous
            assert row["hash"] == digest(content)
            previous = row["hash"]
            # What is hashed is canonical: reading and writing it gives the same bytes.
            assert orjson.dumps(orjson.loads(content), option=orjson.OPT_SORT_KEYS) == content


async def test_many_callers_at_once_leave_one_unbroken_chain_each(database: Database) -> None:
    log = AuditLog(database)
    other = AuditLog(database)
    organizations = [new_id() for _ in range(4)]
    await log.open()
    await asyncio.gather(
        *[door.record(act(organization)) for _ in range(50) for organization in organizations for door in (log, other)]
    )
    await log.close()
    for organization in organizations:
        rows = [row async for row in log.rows(organization)]
        assert [row["seq"] for row in rows] == list(range(1, 101))
        assert [row["previous"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]


async def test_an_act_is_recorded_with_its_transaction_or_not_at_all(database: Database) -> None:
    log = AuditLog(database)
    acme = new_id()

    async def fail() -> None:
        async with database.transaction(acme) as connection:
            await log.record(act(acme), connection=connection)
            raise RuntimeError("the act failed")

    with pytest.raises(RuntimeError):
        await fail()
    async with database.transaction(acme) as connection:
        await log.record(act(acme, "limit.paused"), connection=connection)
    page = await log.list(acme)
    assert [(entry.seq, entry.action) for entry in page.items] == [(1, "limit.paused")]


@pytest.mark.parametrize(
    "statement", ["update {} set {} = {}", "delete from {}", "truncate {}", "insert into {} default values"]
)
@pytest.mark.parametrize(("table", "column"), [("audit_entries", "act"), ("audit_roots", "content")])
async def test_the_application_can_neither_change_nor_remove_nor_insert(
    database: Database, statement: str, table: str, column: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await database.execute(statement.format(table, column, column), organization_id=new_id())


@pytest.mark.parametrize("statement", ["update {0} set {1} = {1}", "delete from {0}", "truncate {0} cascade"])
@pytest.mark.parametrize(
    ("table", "column"), [("audit_entries", "act"), ("audit_roots", "content"), ("audit_keys", "statement")]
)
def test_the_owner_and_even_a_superuser_meet_the_trigger(
    login_url: str, statement: str, table: str, column: str
) -> None:
    for role in ("bailiwick_owner", "bailiwick_engine", "postgres"):
        with psycopg.connect(login_url, autocommit=True) as connection:
            connection.execute(f"set role {role}")  # type: ignore[arg-type]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.format(table, column))  # type: ignore[arg-type]


async def test_the_head_of_a_chain_cannot_be_set_by_the_application(database: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await database.execute("update audit_chains set seq = 0", organization_id=new_id())


async def test_an_organization_sees_its_own_entries_only(database: Database) -> None:
    log = AuditLog(database)
    acme, rival = new_id(), new_id()
    await log.record(act(acme))
    await log.record(act(INSTALLATION))
    seen = await database.fetch_all("select organization_id from audit_entries", organization_id=rival)
    assert seen == []
    seen = await database.fetch_all("select organization_id from audit_entries", organization_id=acme)
    assert [row["organization_id"] for row in seen] == [acme]
    assert (await database.fetch_all("select * from audit_entries")) == []


async def test_a_listing_is_newest_first_filtered_and_paged(database: Database) -> None:
    log = AuditLog(database)
    acme = new_id()
    for number in range(5):
        await log.record(act(acme, "limit.changed" if number % 2 else "limit.paused", reason=str(number)))
    await log.record(Act(acme, "agent.enabled", SYSTEM, "agent:7"))
    page = await log.list(acme, limit=4)
    rest = await log.list(acme, limit=4, cursor=page.next_cursor)
    assert [entry.seq for entry in page.items + rest.items] == [6, 5, 4, 3, 2, 1]
    assert rest.next_cursor is None

    async def found(wanted: EntryFilter) -> list[int]:
        return [entry.seq for entry in (await log.list(acme, wanted)).items]

    assert await found(EntryFilter(action="limit.paused")) == [5, 3, 1]
    assert await found(EntryFilter(action="limit.*")) == [5, 4, 3, 2, 1]
    assert await found(EntryFilter(actor_id="system")) == [6]
    assert await found(EntryFilter(target="agent:7")) == [6]
    assert await found(EntryFilter(since=datetime.now(UTC) + timedelta(hours=1))) == []
    with pytest.raises(InvalidInputError):
        await found(EntryFilter(action="limit*"))


async def test_what_json_cannot_hold_is_refused_with_the_reason(database: Database) -> None:
    with pytest.raises(InvalidPayloadError, match="U\\+0000"):
        await AuditLog(database).record(act(new_id(), reason="a\0b"))


async def test_a_secret_that_slips_into_an_act_is_not_recorded(database: Database) -> None:
    log = AuditLog(database)
    acme = new_id()
    secret = "kept-nowhere-at-all-7f3a"
    hide(secret)
    await log.record(act(acme, reason=f"it was {secret}", after={"url": f"https://x/{secret}"}))
    (row,) = [row async for row in log.rows(acme)]
    assert secret not in row["act"]
    assert "***" in row["act"]
