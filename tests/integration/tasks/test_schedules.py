"""Schedules on the database: one task per firing, overlap, catch-up, pause, and what is refused."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick.kernel.errors import InvalidInputError, NotFoundError, UnknownKindError
from bailiwick.tasks import Run
from bailiwick.tasks.scheduler import Scheduler
from bailiwick.tasks.schedules import NewSchedule, ScheduleRecord, Schedules
from tests.support.engine import AnyPayload, Engine, Row, until

HOUR = 3600.0


class Timed:
    """An engine with schedules, whose time is moved by moving what is stored."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.organization_id = engine.organization_id
        self.schedules = Schedules(engine.database, engine.kinds, engine.wakeups)
        self.scheduler = Scheduler(engine.database, engine.wakeups)

    async def put(self, name: str = "tick", **fields: object) -> str:
        """Make a schedule of an hour, unless told otherwise."""
        wanted = {"interval_seconds": HOUR} | fields if "cron" not in fields else fields
        return await self.schedules.put(self.organization_id, NewSchedule(name, "tick", **wanted))  # type: ignore[arg-type]

    async def get(self, name: str = "tick") -> ScheduleRecord:
        """Read a schedule."""
        return await self.schedules.get(self.organization_id, name)

    async def let_pass(self, seconds: float) -> None:
        """Move every schedule into the past by that much."""
        await self.engine.inspector.execute(
            "update schedules set next_fire_at = next_fire_at - make_interval(secs => %(s)s), "
            "anchor_at = anchor_at - make_interval(secs => %(s)s)",
            {"s": seconds},
        )

    async def tasks(self) -> list[Row]:
        """Return the live tasks, oldest first."""
        return await self.engine.inspector.fetch_all("select *, state::text as state from tasks order by id")


async def tick(run: Run, payload: AnyPayload) -> int:
    return 1


@pytest.fixture
async def timed(engine: Engine) -> Timed:
    engine.handles("tick", tick)
    return Timed(engine)


async def in_one_hour(timed: Timed) -> bool:
    wait = (await timed.get()).next_fire_at - datetime.now(UTC)  # type: ignore[operator]
    return timedelta(minutes=59) < wait <= timedelta(hours=1)


async def test_nothing_fires_before_its_time(timed: Timed) -> None:
    await timed.put()
    assert await timed.scheduler.fire_due() == 0
    assert await in_one_hour(timed)


async def test_a_firing_makes_a_task_and_is_recorded(timed: Timed) -> None:
    await timed.put(payload={"n": 3}, priority=1)
    await timed.let_pass(HOUR + 5)
    assert await timed.scheduler.fire_due() == 1
    task, schedule = (await timed.tasks())[0], await timed.get()
    assert (task["kind"], task["payload"], task["priority"]) == ("tick", {"n": 3}, 1)
    assert (schedule.last_task_id, schedule.last_state) == (task["id"], "available")
    await timed.engine.work()
    await timed.engine.ended(task["id"])
    schedule = await timed.get()
    assert schedule.last_state == "completed"
    assert schedule.last_finished_at is not None


async def test_many_schedulers_at_once_make_one_task_for_each_firing(timed: Timed) -> None:
    for number in range(40):
        await timed.put(f"tick {number}")
    await timed.let_pass(HOUR + 1)
    rivals = [Scheduler(timed.engine.database, timed.engine.wakeups) for _ in range(6)]
    made = await asyncio.gather(*(rival.fire_due() for rival in rivals))
    assert sum(made) == 40
    assert len(await timed.tasks()) == 40


async def test_the_same_firing_twice_is_one_task(timed: Timed) -> None:
    await timed.put()
    await timed.let_pass(HOUR + 1)
    due = (await timed.get()).next_fire_at
    await timed.scheduler.fire_due()
    # As if a scheduler had died after its commit and another saw the row as it was before.
    await timed.engine.inspector.execute("update schedules set next_fire_at = %s, last_task_id = null", (due,))
    await timed.scheduler.fire_due()
    assert len(await timed.tasks()) == 1


async def test_late_firings_keep_to_the_grid(timed: Timed) -> None:
    await timed.put(first_fire_at=datetime.now(UTC) - timedelta(minutes=20))
    anchor = (await timed.get()).anchor_at
    for _ in range(3):
        await timed.scheduler.fire_due()
        following = (await timed.get()).next_fire_at
        assert following is not None
        # To the microsecond that PostgreSQL keeps.
        assert (following - anchor) % timedelta(hours=1) == timedelta(0)
        await timed.engine.inspector.execute("update schedules set next_fire_at = now()")


async def test_a_schedule_made_with_a_first_firing_has_its_grid_there(timed: Timed) -> None:
    first = datetime.now(UTC) + timedelta(minutes=7)
    await timed.put(first_fire_at=first)
    schedule = await timed.get()
    assert schedule.anchor_at == schedule.next_fire_at == first


async def test_jitter_delays_by_less_than_itself_and_never_hurries(timed: Timed) -> None:
    first = datetime.now(UTC) + timedelta(hours=1)
    for number in range(60):
        await timed.put(f"tick {number}", first_fire_at=first, jitter_seconds=600)
    page = await timed.schedules.list(timed.organization_id, limit=100)
    delays = [(record.next_fire_at - first).total_seconds() for record in page.items if record.next_fire_at]
    assert len(delays) == 60
    assert 0 <= min(delays) < max(delays) < 600
    await timed.let_pass(HOUR + 600)
    await timed.scheduler.fire_due()
    page = await timed.schedules.list(timed.organization_id, limit=100)
    for record in page.items:
        assert record.next_fire_at is not None
        assert timedelta(0) <= (record.next_fire_at - record.anchor_at) % timedelta(hours=1) < timedelta(seconds=600)


class TestOverlap:
    async def test_skip_makes_none_while_the_last_is_unfinished_and_counts_it(self, timed: Timed) -> None:
        await timed.put(overlap="skip")
        for _ in range(3):
            await timed.let_pass(HOUR + 1)
            await timed.scheduler.fire_due()
        assert len(await timed.tasks()) == 1
        assert (await timed.get()).skipped == 2

    async def test_allow_makes_all(self, timed: Timed) -> None:
        await timed.put(overlap="allow")
        for _ in range(3):
            await timed.let_pass(HOUR + 1)
            await timed.scheduler.fire_due()
        assert len(await timed.tasks()) == 3

    async def test_cancel_ends_the_older_even_while_it_is_executed(self, timed: Timed) -> None:
        begun = asyncio.Event()

        async def endless(run: Run, payload: AnyPayload) -> None:
            begun.set()
            await asyncio.Event().wait()

        timed.engine.handles("endless", endless)
        await timed.schedules.put(
            timed.organization_id, NewSchedule("tick", "endless", interval_seconds=HOUR, overlap="cancel")
        )
        # The last one goes on for ever; a worker that stops would let it, for as long as it drains.
        await timed.engine.work(drain_seconds=0.0)
        await timed.let_pass(HOUR + 1)
        await timed.scheduler.fire_due()
        await begun.wait()
        older = (await timed.get()).last_task_id
        assert older is not None
        await timed.let_pass(HOUR + 1)
        await timed.scheduler.fire_due()
        ended = await timed.engine.ended(older)
        assert (ended["state"], ended["reason"]) == ("cancelled", "its schedule fired again")
        assert (await timed.get()).last_task_id != older

        async def only_one_runs() -> bool:
            return timed.engine.workers[0].executing == 1

        await until(only_one_runs, "the cancelled run stops")


class TestCatchUp:
    @pytest.mark.parametrize(("catch_up", "made"), [("none", 0), ("latest", 1), ("all", 5)])
    async def test_firings_that_were_slept_through(self, timed: Timed, catch_up: str, made: int) -> None:
        await timed.put(catch_up=catch_up, overlap="allow")
        # Five firings passed, the latest half an hour ago.
        await timed.let_pass(5.5 * HOUR)
        assert await timed.scheduler.fire_due() == made
        assert (await timed.get()).skipped == 5 - made

    async def test_a_single_firing_missed_by_hours_is_not_made_up_for_where_none_are(self, timed: Timed) -> None:
        await timed.put(interval_seconds=86400, catch_up="none")
        await timed.let_pass(86400 + 5 * HOUR)
        assert await timed.scheduler.fire_due() == 0

    async def test_a_firing_a_moment_late_is_no_missed_one(self, timed: Timed) -> None:
        await timed.put(catch_up="none")
        await timed.let_pass(HOUR + 3)
        assert await timed.scheduler.fire_due() == 1

    async def test_at_most_a_hundred_are_made_up_for(self, timed: Timed) -> None:
        await timed.put(interval_seconds=60, catch_up="all", overlap="allow")
        await timed.let_pass(1000 * 60)
        assert await timed.scheduler.fire_due() == 100
        schedule = await timed.get()
        assert schedule.next_fire_at is not None
        assert schedule.next_fire_at > datetime.now(UTC)


class TestSteering:
    async def test_a_paused_schedule_stays_quiet_and_resumes_from_now_on(self, timed: Timed) -> None:
        await timed.put(catch_up="all", overlap="allow")
        await timed.schedules.pause(timed.organization_id, "tick")
        await timed.let_pass(10 * HOUR)
        assert await timed.scheduler.fire_due() == 0
        await timed.schedules.resume(timed.organization_id, "tick")
        assert await timed.scheduler.fire_due() == 0
        assert await in_one_hour(timed)

    async def test_fired_now_it_keeps_its_grid(self, timed: Timed) -> None:
        await timed.put()
        planned = (await timed.get()).next_fire_at
        await timed.schedules.fire_now(timed.organization_id, "tick")
        assert await timed.scheduler.fire_due() == 1
        assert (await timed.get()).next_fire_at == planned

    async def test_replacing_keeps_pause_and_timetable_unless_it_is_another(self, timed: Timed) -> None:
        await timed.put()
        await timed.let_pass(600)
        await timed.schedules.pause(timed.organization_id, "tick")
        before = await timed.get()
        await timed.put(priority=0)
        after = await timed.get()
        assert (after.next_fire_at, after.anchor_at, after.is_paused) == (
            before.next_fire_at, before.anchor_at, True,
        )  # fmt: skip
        await timed.put(interval_seconds=60)
        assert (await timed.get()).anchor_at != before.anchor_at

    async def test_what_a_person_changed_is_not_renewed(self, timed: Timed) -> None:
        ours = NewSchedule("tick", "tick", interval_seconds=60)
        await timed.schedules.furnish(timed.organization_id, [ours])
        await timed.schedules.furnish(timed.organization_id, [NewSchedule("tick", "tick", interval_seconds=90)])
        assert (await timed.get()).interval_seconds == 90
        await timed.put(interval_seconds=900)
        await timed.schedules.furnish(timed.organization_id, [ours])
        assert (await timed.get()).interval_seconds == 900

    async def test_a_running_scheduler_hears_of_a_new_schedule_at_once(self, timed: Timed) -> None:
        scheduler = Scheduler(timed.engine.database, timed.engine.wakeups, poll_seconds=600)
        await scheduler.start()
        try:
            await timed.put(first_fire_at=datetime.now(UTC))
            assert await until(timed.tasks, "the schedule fires")
        finally:
            await scheduler.stop()


class TestRefusals:
    async def test_what_could_never_run_is_refused_and_nothing_is_stored(self, timed: Timed) -> None:
        for fields, reason in (
            ({"cron": "99 * * * *"}, "cron expression"),
            ({"cron": "0 * * * *", "timezone": "Nowhere"}, "time zone"),
            ({"interval_seconds": 0}, "interval_seconds"),
            ({"priority": 7}, "priority"),
            ({"name": ""}, "name"),
            ({"jitter_seconds": HOUR}, "jitter_seconds"),
            ({"first_fire_at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - naive on purpose
            # In UTC before the year 1: PostgreSQL keeps it and nobody could read it back, nor any schedule beside it.
            ({"first_fire_at": datetime.fromisoformat("0001-01-01T00:00+14:00")}, "1900"),
        ):
            with pytest.raises(InvalidInputError, match=reason):
                await timed.put(**fields)  # type: ignore[arg-type]
        with pytest.raises(UnknownKindError, match="no-such-kind"):
            await timed.schedules.put(timed.organization_id, NewSchedule("x", "no-such-kind", interval_seconds=60))
        assert (await timed.schedules.list(timed.organization_id)).items == []

    async def test_another_organization_does_not_see_it(self, timed: Timed) -> None:
        identifier = await timed.put()
        with pytest.raises(NotFoundError):
            await timed.schedules.pause("00000000-0000-7000-8000-000000000001", identifier)

    async def test_one_that_can_fire_no_more_is_stopped_and_the_others_go_on(self, timed: Timed) -> None:
        await timed.put("broken")
        await timed.put("sound")
        await timed.let_pass(HOUR + 1)
        await timed.engine.inspector.execute("update schedules set timezone = 'Mars/Phobos' where name = 'broken'")
        assert await timed.scheduler.fire_due() == 1
        broken = await timed.get("broken")
        assert broken.next_fire_at is None
        assert "Mars/Phobos" in (broken.problem or "")

    async def test_one_of_a_time_that_cannot_be_counted_with_is_stopped_and_the_others_go_on(
        self, timed: Timed
    ) -> None:
        await timed.put("broken", cron="0 * * * *", timezone="Asia/Tokyo")
        await timed.put("sound")
        await timed.let_pass(HOUR + 1)
        await timed.engine.inspector.execute(
            "update schedules set next_fire_at = '0001-01-01 00:00:00+00' where name = 'broken'"
        )
        assert await timed.scheduler.fire_due() == 1
        broken = await timed.get("broken")
        assert (broken.next_fire_at, broken.problem) == (None, "date value out of range")
