"""Alarms: raised at the threshold, once per window, per account, address and reader."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick.audit import SYSTEM, Actor, AuditLog
from bailiwick.audit.alarms import Alarm, AlarmRule, Alarms
from bailiwick.kernel.errors import DatabaseUnavailableError, InvalidInputError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.storage import Database

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
READER = Actor("key", "k1", "a key")


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


async def test_the_fifth_failed_login_in_a_quarter_of_an_hour_raises_one_alarm_for_account_and_address(
    database: Database,
) -> None:
    told: list[Alarm] = []

    async def tell(alarm: Alarm) -> None:
        told.append(alarm)

    alarms = Alarms(database, tell=tell)
    for number in range(4):
        assert await alarms.login_failed("Anna@Example.org", "10.0.0.1", at=minutes(number)) == []
    raised = await alarms.login_failed("anna@example.org", "10.0.0.1", at=minutes(4))
    assert [alarm.subject for alarm in raised] == ["account:anna@example.org", "address:10.0.0.1"]
    assert told == raised
    # It goes on: no second alarm within the window.
    assert await alarms.login_failed("anna@example.org", "10.0.0.1", at=minutes(5)) == []
    entries = (await AuditLog(database).list(INSTALLATION)).items
    assert [entry.action for entry in entries] == ["alarm.raised"] * 2
    assert {entry.target for entry in entries} == {alarm.subject for alarm in raised}
    assert [alarm.id for alarm in (await alarms.list(INSTALLATION)).items] == [alarm.id for alarm in raised[::-1]]


async def test_five_failures_spread_over_more_than_the_window_raise_nothing(database: Database) -> None:
    alarms = Alarms(database)
    for number in range(8):
        assert await alarms.login_failed("anna", None, at=minutes(5 * number)) == []


async def test_an_attack_that_goes_on_raises_one_alarm_per_window(database: Database) -> None:
    alarms = Alarms(database)
    raised = [
        alarm for number in range(60) for alarm in await alarms.login_failed(None, "10.0.0.9", at=minutes(number))
    ]
    assert [alarm.raised_at for alarm in raised] == [minutes(4), minutes(19), minutes(34), minutes(49)]


async def test_two_processes_at_the_same_moment_raise_one_alarm(database: Database) -> None:
    doors = [Alarms(database), Alarms(database)]
    raised = await asyncio.gather(*[doors[number % 2].login_failed("anna", None, at=NOON) for number in range(20)])
    assert sum(len(one) for one in raised) == 1


async def test_a_hundred_reads_in_an_hour_raise_an_alarm_in_the_organization_that_was_read(database: Database) -> None:
    alarms = Alarms(database)
    acme, rival = new_id(), new_id()
    alarms.read(READER, acme, 99)
    alarms.read(READER, rival, 99)
    alarms.read(Actor("user", "u1", "Otto"), acme, 99)
    assert await alarms.flush(at=NOON) == []
    alarms.read(READER, acme)
    assert [alarm.subject for alarm in await alarms.flush(at=minutes(30))] == ["key:k1"]
    assert len((await alarms.list(acme)).items) == 1
    assert (await alarms.list(rival)).items == []
    # An hour later the first reads count no more.
    alarms.read(READER, rival)
    assert await alarms.flush(at=minutes(62)) == []
    await alarms.close()


async def test_what_was_read_is_written_when_the_process_ends(database: Database) -> None:
    alarms = Alarms(database)
    acme = new_id()
    alarms.read(READER, acme, 100)
    await alarms.close()
    assert len((await alarms.list(acme)).items) == 1


async def test_an_organization_sets_its_own_rule_and_takes_it_back(database: Database) -> None:
    alarms = Alarms(database)
    acme = new_id()
    await alarms.set_rule(acme, "mass_reads", AlarmRule(3, 600), actor=SYSTEM, reason="a small shop")
    assert await alarms.rule(acme, "mass_reads") == AlarmRule(3, 600)
    alarms.read(READER, acme, 3)
    assert len(await alarms.flush(at=NOON)) == 1
    await alarms.set_rule(acme, "mass_reads", None, actor=SYSTEM)
    assert await alarms.rule(acme, "mass_reads") == AlarmRule(100, 3600)
    actions = [entry.action for entry in (await AuditLog(database).list(acme)).items]
    assert actions == ["alarm_rule.changed", "alarm.raised", "alarm_rule.changed"]
    with pytest.raises(InvalidInputError, match="login_failures, mass_reads"):
        await alarms.set_rule(acme, "reads", None, actor=SYSTEM)
    with pytest.raises(InvalidInputError):
        await alarms.set_rule(acme, "mass_reads", AlarmRule(0, 600), actor=SYSTEM)
    await alarms.close()


async def test_the_installations_rules_can_be_set(database: Database) -> None:
    alarms = Alarms(database, rules={"login_failures": AlarmRule(2, 60), "mass_reads": AlarmRule(5, 60)})
    await alarms.login_failed("anna", None, at=NOON)
    assert len(await alarms.login_failed("anna", None, at=NOON)) == 1


async def test_an_alarm_that_could_not_be_told_is_told_by_the_sweep_and_only_once(database: Database) -> None:
    told: list[str] = []
    is_down = True

    async def tell(alarm: Alarm) -> None:
        if is_down:
            raise DatabaseUnavailableError("away")
        told.append(alarm.id)

    alarms = Alarms(database, rules={"login_failures": AlarmRule(1, 60), "mass_reads": AlarmRule(5, 60)}, tell=tell)
    raised = await alarms.login_failed("anna", None)
    is_down = False
    assert await alarms.sweep() == 1
    assert await alarms.sweep() == 0
    assert told == [raised[0].id]


async def test_the_sweep_forgets_counts_that_no_window_reaches(database: Database) -> None:
    alarms = Alarms(database)
    await alarms.login_failed("anna", None, at=NOON)
    await alarms.sweep(now=NOON + timedelta(hours=23))
    count = "select count(*) as n from alarm_counters"
    assert (await database.fetch_one(count, organization_id=INSTALLATION)) == {"n": 1}
    await alarms.sweep(now=NOON + timedelta(hours=25))
    assert (await database.fetch_one(count, organization_id=INSTALLATION)) == {"n": 0}
