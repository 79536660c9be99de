"""Checks of meter readings: one finding per fault, and a day's own outliers where history is short."""

from datetime import UTC, datetime, timedelta

from bailiwick.connectors.meters import MeterReading
from bailiwick.packs.operations.meter_outliers import find_outlier
from bailiwick.packs.operations.meters import WINDOW_SECONDS, _days, _judge, check_of

START = datetime(2026, 11, 19, tzinfo=UTC)


def day(changes: dict[int, float] | None = None, without: frozenset[int] = frozenset()) -> list[MeterReading]:
    """A day of quarter hours, busy from six to eighteen; ``changes`` by number of the interval."""
    rows: list[MeterReading] = []
    for number in range(96):
        if number in without:
            continue
        busy = 3.0 if 24 <= number < 72 else 1.0
        value = (changes or {}).get(number, busy + (number % 7) / 10)
        read_at = START + timedelta(minutes=15 * (number + 1))
        rows.append(MeterReading(meter_id="oven", unit="kWh", value=value, read_at=read_at, interval_minutes=15))
    return rows


def test_an_ordinary_day_has_no_finding_and_says_what_history_is_too_short_for() -> None:
    findings, not_checked = _judge(day(), START)
    assert findings == []
    assert any("spike" in one and "95 of 96" in one for one in not_checked)


def test_a_frozen_morning_is_one_finding_over_all_its_readings() -> None:
    findings, _ = _judge(day(dict.fromkeys(range(30, 42), 2.5)), START)
    assert [(one.kind, one.detail) for one in findings] == [("frozen", "12 equal readings of 2.5 kWh")]
    assert findings[0].started_at == START + timedelta(minutes=15 * 31)
    assert findings[0].ended_at == START + timedelta(minutes=15 * 42)


def test_a_gap_is_named_by_the_intervals_that_are_missing() -> None:
    findings, _ = _judge(day(without=frozenset(range(60, 65))), START)
    assert [one.kind for one in findings] == ["gap"]
    assert findings[0].started_at == START + timedelta(minutes=15 * 61)
    assert findings[0].ended_at == START + timedelta(minutes=15 * 65)


def test_a_reading_far_above_its_day_stands_out_without_history() -> None:
    findings, _ = _judge(day({82: 41.7}), START)
    assert [one.kind for one in findings] == ["spike"]
    assert "too few days" in findings[0].detail


def test_a_days_ordinary_peak_does_not_stand_out() -> None:
    known = day({50: 4.2})
    assert find_outlier(known[50], known) is None


def test_few_readings_are_no_ground_to_judge_by() -> None:
    known = day({3: 40.0})[:10]
    assert find_outlier(known[3], known) is None


def test_the_day_is_summed_up_with_its_missing_readings_counted() -> None:
    summaries = _days(day(without=frozenset({5})), START)
    assert [(one["readings"], one["expected"]) for one in summaries] == [(95, 96)]


def test_readings_that_arrive_together_make_one_task() -> None:
    tasks = [check_of(reading) for reading in day()]
    keys = {task.key for task in tasks}
    # Two, should a window end in between.
    assert len(keys) <= 2
    assert all(task.delay_seconds == WINDOW_SECONDS for task in tasks)
