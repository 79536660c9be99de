"""Deadlines, business calendars and what follows a breach."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.calendar import BusinessCalendar, OpeningHours
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.sla import SLA_SECONDS, SlaPolicy, deadline, escalate, sla_status

OPENED = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # a Friday
OFFICE = BusinessCalendar.from_document(
    {
        "timezone": "Europe/Vienna",
        "weekly": {day: ["09:00-12:00", "13:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
        "holidays": ["2026-12-25"],
    }
)
ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut"]
moments = st.integers(0, 16 * 365 * 86_400).map(
    lambda seconds: datetime(2015, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def always_open(zone: str) -> BusinessCalendar:
    return BusinessCalendar(zone, ((OpeningHours(0, 1440),),) * 7)


@pytest.mark.parametrize(("priority", "hours"), [("P0", 1), ("P1", 4), ("P2", 24), ("P3", 72)])
def test_service_levels_around_the_clock(priority: str, hours: int) -> None:
    assert deadline(OPENED, Priority[priority]) == OPENED + timedelta(hours=hours)


def test_office_hours_skip_nights_breaks_and_weekends() -> None:
    policy = SlaPolicy(calendar=OFFICE)
    # Friday 16:00 in Vienna: one hour on Friday, three on Monday morning.
    assert deadline(OPENED, Priority.P1, policy) == datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


def test_an_emergency_does_not_wait_for_monday() -> None:
    assert deadline(OPENED, Priority.P0, SlaPolicy(calendar=OFFICE)) == OPENED + timedelta(hours=1)
    on_calendar = SlaPolicy(calendar=OFFICE, around_the_clock=frozenset())
    saturday = OPENED + timedelta(days=1)
    assert deadline(saturday, Priority.P0, on_calendar) == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_holidays_are_skipped() -> None:
    start = datetime(2026, 12, 24, 15, 30, tzinfo=UTC)  # half an hour before closing, the 25th is a holiday
    assert OFFICE.add_open_seconds(start, 3_600) == datetime(2026, 12, 28, 8, 30, tzinfo=UTC)


def test_an_opening_across_a_change_of_clocks_counts_real_hours() -> None:
    calendar = always_open("Europe/Vienna")
    zone = ZoneInfo("Europe/Vienna")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)):
        start = datetime(day.year, day.month, day.day, tzinfo=zone)
        end = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=1)
        assert calendar.open_seconds_between(start, end) == hours * 3_600


def test_opening_times_follow_the_wall_clock() -> None:
    for moment, offset in ((datetime(2026, 1, 5, tzinfo=UTC), 1), (datetime(2026, 7, 6, tzinfo=UTC), 2)):
        assert OFFICE.add_open_seconds(moment, 60) == moment + timedelta(hours=9 - offset, minutes=1)


def test_an_opening_inside_the_skipped_hour_is_empty() -> None:
    calendar = BusinessCalendar.from_document({"timezone": "Europe/Vienna", "weekly": {"sun": ["02:00-03:00"]}})
    start = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert calendar.add_open_seconds(start, 3_600) == datetime(2026, 4, 5, 1, 0, tzinfo=UTC)


def test_is_open() -> None:
    assert OFFICE.is_open(datetime(2026, 11, 20, 8, 0, tzinfo=UTC))
    assert not OFFICE.is_open(datetime(2026, 11, 20, 11, 30, tzinfo=UTC))
    assert not OFFICE.is_open(datetime(2026, 11, 20, 16, 0, tzinfo=UTC))


@given(moments, st.floats(0, 400_000), st.sampled_from(ZONES))
def test_a_calendar_that_never_closes_is_plain_addition(start: datetime, seconds: float, zone: str) -> None:
    calendar = always_open(zone)
    end = calendar.add_open_seconds(start, seconds)
    assert end == start + timedelta(seconds=seconds)
    assert calendar.open_seconds_between(start, end) == pytest.approx(seconds, abs=1e-3)


@given(moments, st.sampled_from(list(Priority)))
def test_a_deadline_lies_after_the_opening_and_in_open_time(start: datetime, priority: Priority) -> None:
    policy = SlaPolicy(calendar=OFFICE, around_the_clock=frozenset())
    end = deadline(start, priority, policy)
    assert end >= start + timedelta(seconds=SLA_SECONDS[priority])
    assert OFFICE.open_seconds_between(start, end) == pytest.approx(SLA_SECONDS[priority])


@given(moments, st.integers(0, 10**7), st.sampled_from(list(Priority)))
def test_later_issues_have_no_earlier_deadline(start: datetime, seconds: int, priority: Priority) -> None:
    policy = SlaPolicy(calendar=OFFICE)
    later = start + timedelta(seconds=seconds)
    assert deadline(later, priority, policy) >= deadline(start, priority, policy)


@given(moments)
def test_more_urgent_is_never_later(start: datetime) -> None:
    for policy in (SlaPolicy(), SlaPolicy(calendar=OFFICE, around_the_clock=frozenset())):
        ends = [deadline(start, priority, policy) for priority in Priority]
        assert ends == sorted(ends)


@given(moments, st.floats(0, 300_000), st.floats(0, 300_000), st.sampled_from(ZONES))
def test_working_time_adds_up(start: datetime, first: float, second: float, zone: str) -> None:
    calendar = BusinessCalendar(zone, OFFICE.weekly)
    whole = calendar.add_open_seconds(start, first + second)
    parts = calendar.add_open_seconds(calendar.add_open_seconds(start, first), second)
    assert calendar.open_seconds_between(min(whole, parts), max(whole, parts)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(0, "on_track"), (45, "on_track"), (46, "at_risk"), (60, "at_risk"), (61, "breached")],
)
def test_where_a_p0_stands(minutes: int, state: str) -> None:
    status = sla_status(OPENED, Priority.P0, OPENED + timedelta(minutes=minutes))
    assert status.state == state
    assert status.remaining_seconds == max(0, 60 - minutes) * 60


def test_done_in_time_is_met_and_done_late_is_breached_for_good() -> None:
    later = OPENED + timedelta(days=30)
    assert sla_status(OPENED, Priority.P0, later, done_at=OPENED + timedelta(minutes=59)).state == "met"
    assert sla_status(OPENED, Priority.P0, later, done_at=OPENED + timedelta(minutes=61)).state == "breached"


@given(moments, st.sampled_from(list(Priority)), st.integers(0, 10**6), st.integers(0, 10**6))
def test_an_issue_never_gets_better_by_waiting(start: datetime, priority: Priority, first: int, more: int) -> None:
    order = {"on_track": 0, "at_risk": 1, "breached": 2}
    policy = SlaPolicy(calendar=OFFICE)
    early = sla_status(start, priority, start + timedelta(seconds=first), policy)
    late = sla_status(start, priority, start + timedelta(seconds=first + more), policy)
    assert order[late.state] >= order[early.state]
    assert 0.0 <= late.fraction_left <= early.fraction_left <= 1.0


def test_the_ladder_climbs_one_step_per_breach_and_never_past_p0() -> None:
    steps = [(escalate(priority, OPENED).after, escalate(priority, OPENED).emergency) for priority in Priority]
    assert steps == [(Priority.P0, True), (Priority.P0, False), (Priority.P1, False), (Priority.P3, False)]


def test_an_escalated_issue_gets_a_fresh_deadline() -> None:
    raised = escalate(Priority.P2, OPENED)
    assert raised.raised
    assert raised.deadline_at == OPENED + timedelta(hours=4)
    assert "P2" in raised.reason


def test_p3_and_p0_keep_their_priority() -> None:
    assert not escalate(Priority.P3, OPENED).raised
    assert escalate(Priority.P0, OPENED).deadline_at is None


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        ({}, "timezone"),
        ({"timezone": "Mars/Base", "weekly": {"mon": ["09:00-17:00"]}}, "Mars/Base"),
        ({"timezone": "../../etc/passwd", "weekly": {"mon": ["09:00-17:00"]}}, "time zone"),
        ({"timezone": "UTC", "weekly": {}}, "opening"),
        ({"timezone": "UTC", "weekly": {"monday": ["09:00-17:00"]}}, "monday"),
        ({"timezone": "UTC", "weekly": {"mon": ["17:00-09:00"]}}, "17:00-09:00"),
        ({"timezone": "UTC", "weekly": {"mon": ["09:00-25:00"]}}, "25:00"),
        ({"timezone": "UTC", "weekly": {"mon": ["09:00-12:00", "11:00-13:00"]}}, "overlap"),
        ({"timezone": "UTC", "weekly": {"mon": "09:00-12:00"}}, "mon"),
        ({"timezone": "UTC", "weekly": {"mon": ["9 to 5"]}}, "9 to 5"),
        ({"timezone": "UTC", "weekly": {"mon": ["09:00-17:00"]}, "holidays": ["25.12."]}, "25.12."),
    ],
)
def test_a_wrong_calendar_is_refused_with_the_reason(document: dict[str, object], missing: str) -> None:
    with pytest.raises(InvalidInputError, match=missing.replace(".", r"\.")):
        BusinessCalendar.from_document(document)


def test_a_calendar_survives_its_document() -> None:
    assert BusinessCalendar.from_document(OFFICE.to_document()) == OFFICE


def test_times_without_a_zone_and_impossible_times_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="time zone"):
        deadline(OPENED.replace(tzinfo=None), Priority.P0)
    with pytest.raises(InvalidInputError, match="9999"):
        deadline(datetime.max.replace(tzinfo=UTC), Priority.P0)
    with pytest.raises(InvalidInputError, match="9999"):
        deadline(datetime.max.replace(tzinfo=UTC) - timedelta(minutes=1), Priority.P3, SlaPolicy(calendar=OFFICE))
    with pytest.raises(InvalidInputError, match="forward"):
        OFFICE.add_open_seconds(OPENED, -1)


def test_a_wrong_policy_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        SlaPolicy(seconds={Priority.P0: 60})
    with pytest.raises(InvalidInputError):
        SlaPolicy(at_risk_fraction=1.0)
