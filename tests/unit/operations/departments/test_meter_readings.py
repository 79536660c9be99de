"""Meter faults are found by the meter's own history; a day is summed up without guessing."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bailiwick.connectors.meters import MeterReading
from bailiwick.packs.operations.departments.analytics_meters import check_reading, summarize_day

START = datetime(2026, 11, 2, tzinfo=UTC)


def a_reading(hours: float, value: float, unit: str = "kWh", minutes: int = 60) -> MeterReading:
    return MeterReading(
        meter_id="m1", unit=unit, value=value, read_at=START + timedelta(hours=hours), interval_minutes=minutes
    )


def usual(hour: int) -> float:
    # A day's shape with a little that never repeats.
    return 5 + (10 if 8 <= hour % 24 <= 17 else 0) + (hour * 37 % 11) / 20


HISTORY = [a_reading(hour, usual(hour)) for hour in range(1, 24 * 14)]
NEXT = 24 * 14


def kinds(reading: MeterReading) -> list[str]:
    return [fault.kind for fault in check_reading(reading, HISTORY).faults]


def test_an_ordinary_reading_has_no_fault() -> None:
    found = check_reading(a_reading(NEXT, usual(NEXT)), HISTORY)
    assert (found.faults, found.not_checked) == ((), ())


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (a_reading(NEXT, -1.0), ["negative", "spike"]),
        (a_reading(NEXT, 15.0), ["spike"]),  # ordinary at noon, not at midnight
        (a_reading(NEXT + 3, usual(NEXT + 3)), ["gap"]),
        (a_reading(NEXT, 5.3, unit="m3"), ["unit changed"]),
        (a_reading(NEXT - 1, usual(NEXT - 1)), ["repeated"]),
    ],
)
def test_each_fault_is_found(reading: MeterReading, expected: list[str]) -> None:
    assert kinds(reading) == expected


def test_a_noon_value_is_ordinary_at_noon() -> None:
    assert kinds(a_reading(NEXT + 12, 15.0)) == ["gap"]


def test_equal_readings_in_a_row_are_frozen_but_zero_may_stay() -> None:
    equal = [*HISTORY, *(a_reading(NEXT + step, 5.3) for step in range(5))]
    assert [one.kind for one in check_reading(a_reading(NEXT + 5, 5.3), equal).faults] == ["frozen"]
    zeros = [a_reading(hour, 0.0) for hour in range(1, 20)]
    assert check_reading(a_reading(20, 0.0), zeros).faults == ()


def test_a_short_history_is_named_instead_of_judged() -> None:
    found = check_reading(a_reading(30, 500.0), [a_reading(29, 5.0)])
    assert found.faults == ()
    assert found.not_checked == ("spike: 0 earlier readings of this hour, 7 needed",)


def test_a_day_is_summed_up() -> None:
    readings = [a_reading(step / 4, 1.0 if step != 50 else 4.0, minutes=15) for step in range(1, 97)]
    day = summarize_day(readings, date(2026, 11, 2))
    assert day is not None
    assert (day.readings, day.expected) == (96, 96)
    assert day.energy_kwh == pytest.approx(99.0)
    assert (day.peak_kw, day.base_kw) == (16.0, 4.0)
    assert day.peak_at == START + timedelta(hours=12.5)
    assert day.load_factor == pytest.approx(99 / 24 / 16)


def test_a_day_with_holes_reports_what_was_measured() -> None:
    day = summarize_day([a_reading(1, 2000.0, unit="Wh"), a_reading(2, 2.0), a_reading(25, 9.0)], date(2026, 11, 2))
    assert day is not None
    assert (day.readings, day.expected, day.energy_kwh) == (2, 24, 4.0)
    assert summarize_day([a_reading(1, 2.0, unit="m3")], date(2026, 11, 2)) is None
