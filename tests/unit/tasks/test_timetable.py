"""When schedules fire: grids of intervals, cron over wall time, clocks put forward and back, bounded catch-up."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.tasks.timetable import MAX_CATCH_UP, Timetable

ANCHOR = datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
CRONS = ("30 2 * * *", "*/15 * * * *", "0 0 1 * *", "5 1,2,3 * * 0", "0 */2 * * *", "59 23 31 12 *")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def following(cron: str, zone: str, after: str, count: int) -> list[str]:
    """Return the next firings as local times with their offsets."""
    timetable = Timetable(cron=cron, timezone=zone)
    moment, found = utc(after), []
    for _ in range(count):
        moment = timetable.next_after(moment)
        found.append(moment.astimezone(ZoneInfo(zone)).isoformat())
    return found


class TestIntervals:
    @given(moments, st.floats(0.01, 100_000))
    def test_firings_lie_on_the_grid_through_the_anchor(self, moment: datetime, seconds: float) -> None:
        step = timedelta(seconds=seconds)
        firing = Timetable(interval_seconds=seconds, anchor_at=ANCHOR).next_after(moment)
        assert (firing - ANCHOR) % step == timedelta(0)
        assert moment < firing <= moment + step

    def test_a_moment_on_the_grid_gives_the_next_one(self) -> None:
        timetable = Timetable(interval_seconds=60, anchor_at=ANCHOR)
        assert timetable.next_after(ANCHOR) == ANCHOR + timedelta(seconds=60)

    def test_jitter_and_lateness_never_add_up(self) -> None:
        timetable = Timetable(interval_seconds=60, anchor_at=ANCHOR)
        firing = ANCHOR
        for _ in range(1000):
            firings, firing = timetable.due(firing + timedelta(seconds=13), firing + timedelta(seconds=21))
            assert len(firings) == 1
        assert firing == ANCHOR + timedelta(seconds=60 * 1000)

    def test_first_firings_that_were_spread_stay_spread(self) -> None:
        anchors = [ANCHOR + timedelta(seconds=60 * n / 1000) for n in range(1000)]
        later = ANCHOR + timedelta(days=3)
        assert len({Timetable(interval_seconds=60, anchor_at=at).next_after(later) for at in anchors}) == 1000


class TestClockChanges:
    @pytest.mark.parametrize(
        ("zone", "gap", "end"),
        [
            ("Europe/Berlin", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"),
            ("America/New_York", "2026-03-07T12:00:00-05:00", "2026-03-08T03:00:00-04:00"),
        ],
    )
    def test_a_time_that_spring_leaves_out_fires_when_the_gap_ends(self, zone: str, gap: str, end: str) -> None:
        first, second = following("30 2 * * *", zone, gap, 2)
        assert first == end
        assert second[11:19] == "02:30:00"

    @pytest.mark.parametrize(
        ("cron", "zone", "before", "expected"),
        [
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+02:00",
             ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
            ("30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00",
             ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]),
        ],
    )  # fmt: skip
    def test_a_fixed_time_that_autumn_repeats_fires_once(
        self, cron: str, zone: str, before: str, expected: list[str]
    ) -> None:
        assert following(cron, zone, before, 2) == expected

    def test_every_half_of_a_repeated_hour_fires_where_the_hour_is_open(self) -> None:
        assert following("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:59:00+02:00", 5) == [
            "2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
        ]  # fmt: skip

    def test_nothing_is_made_up_for_in_spring_where_the_hour_is_open(self) -> None:
        assert following("*/30 * * * *", "Europe/Berlin", "2026-03-29T01:29:00+01:00", 3) == [
            "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00",
        ]  # fmt: skip

    def test_two_times_that_meet_at_the_end_of_the_gap_fire_once(self) -> None:
        assert following("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", 2) == [
            "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00",
        ]  # fmt: skip

    def test_a_half_hour_shift_is_no_different(self) -> None:
        # Lord Howe Island moves by 30 minutes: 02:00 to 02:30 does not exist on 2026-10-04.
        assert following("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", 1) == [
            "2026-10-04T02:30:00+11:00"
        ]

    @given(moments, st.sampled_from(CRONS), st.sampled_from(ZONES))
    def test_firings_are_later_ordered_and_in_utc(self, moment: datetime, cron: str, zone: str) -> None:
        timetable = Timetable(cron=cron, timezone=zone)
        first = timetable.next_after(moment)
        second = timetable.next_after(first)
        assert moment < first < second
        assert first.tzinfo is UTC
        # Whatever lies between two firings leads to the second: none is skipped by looking later.
        between = first + (second - first) / 2
        assert timetable.next_after(between) == second


class TestCalendar:
    def test_a_leap_day_comes_every_four_years(self) -> None:
        found = following("0 12 29 2 *", "UTC", "2026-01-01T00:00:00+00:00", 2)
        assert found == ["2028-02-29T12:00:00+00:00", "2032-02-29T12:00:00+00:00"]

    def test_the_last_day_of_the_month_and_the_31st(self) -> None:
        last = following("0 0 L * *", "UTC", "2028-01-31T12:00:00+00:00", 3)
        assert [day[:10] for day in last] == ["2028-02-29", "2028-03-31", "2028-04-30"]
        thirty_first = following("0 0 31 * *", "UTC", "2026-01-31T12:00:00+00:00", 3)
        assert [day[:10] for day in thirty_first] == ["2026-03-31", "2026-05-31", "2026-07-31"]

    def test_macros_and_names_are_read(self) -> None:
        assert following("@daily", "UTC", "2026-01-01T00:00:00+00:00", 1) == ["2026-01-02T00:00:00+00:00"]
        assert following("0 9 * * mon", "UTC", "2026-01-01T00:00:00+00:00", 1) == ["2026-01-05T09:00:00+00:00"]


class TestCatchingUp:
    @pytest.mark.parametrize("timetable", [Timetable(interval_seconds=60, anchor_at=ANCHOR), Timetable("* * * * *")])
    def test_a_year_of_missed_minutes_gives_the_latest_hundred(self, timetable: Timetable) -> None:
        first = timetable.next_after(ANCHOR)
        now = first + timedelta(days=365, seconds=5)
        firings, following_at = timetable.due(first, now)
        assert len(firings) == MAX_CATCH_UP
        assert firings == sorted(set(firings))
        assert firings[-1] <= now < following_at
        assert all(timetable.next_after(one) == other for one, other in pairwise(firings))

    def test_a_few_missed_ones_are_all_returned(self) -> None:
        timetable = Timetable("0 6 * * *", timezone="Europe/Berlin")
        first = utc("2026-03-27T06:00:00+01:00")
        firings, _ = timetable.due(first, utc("2026-03-30T05:59:00+02:00"))
        assert [firing.hour for firing in firings] == [5, 5, 4]


class TestRefusals:
    @pytest.mark.parametrize(
        ("cron", "reason"),
        [
            ("61 * * * *", "not acceptable"),
            ("", "columns"),
            ("0 0 30 2 *", "failed to find"),
            ("* * * * * *", "five fields"),
            ("R * * * *", "random"),
            ("H * * * *", "hash"),
            ("every day", "columns"),
            ("\0 * * * *", "not acceptable"),
        ],
    )
    def test_a_cron_expression_that_says_nothing(self, cron: str, reason: str) -> None:
        with pytest.raises(InvalidInputError, match=f"(?s)cron expression.*{reason}"):
            Timetable(cron=cron)

    @pytest.mark.parametrize("zone", ["Mars/Phobos", "", "../etc/passwd", "\0", "Europe"])
    def test_an_unknown_time_zone(self, zone: str) -> None:
        with pytest.raises(InvalidInputError, match="time zone"):
            Timetable(cron="0 * * * *", timezone=zone)

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e-9])
    def test_an_interval_without_end_or_length(self, seconds: float) -> None:
        with pytest.raises(InvalidInputError, match="interval_seconds"):
            Timetable(interval_seconds=seconds)

    def test_both_or_neither(self) -> None:
        for cron, seconds in ((None, None), ("0 * * * *", 5.0)):
            with pytest.raises(InvalidInputError, match="either"):
                Timetable(cron=cron, interval_seconds=seconds)

    def test_a_jitter_that_would_leave_firings_out(self) -> None:
        Timetable(interval_seconds=60, jitter_seconds=59).check_jitter(ANCHOR)
        for timetable in (
            Timetable(interval_seconds=60, jitter_seconds=60),
            Timetable("*/5 * * * *", jitter_seconds=301),
            Timetable(interval_seconds=60, jitter_seconds=-1),
        ):
            with pytest.raises(InvalidInputError, match="jitter_seconds"):
                timetable.check_jitter(ANCHOR)
