"""Reading meter readings from files."""

import io
import json

import pytest

from bailiwick.connectors.meters import MeterReading
from bailiwick.connectors.readings import read_meter_readings
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.kernel.errors import InvalidInputError

ROW = {"meter_id": "hall-1", "unit": "kWh", "value": 1.25, "read_at": "2026-03-01T00:15:00Z", "interval_minutes": 15}


def read(data: str) -> list[MeterReading | RejectedRecord]:
    return list(read_meter_readings(io.BytesIO(data.encode())))


def test_csv_and_json_give_the_same_reading() -> None:
    table = "meter_id,unit,value,read_at,interval_minutes,note\nhall-1,kWh,1.25,2026-03-01T00:15:00Z,15,x\n"
    lines = json.dumps(ROW) + "\n"
    assert read(table) == read(lines) == read(json.dumps([ROW])) == [MeterReading.model_validate(ROW)]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("value", "", "value is missing"),
        ("value", "nan", "value"),
        ("value", "12,5", "value"),
        ("read_at", "soon", "not an ISO 8601 time"),
        ("meter_id", "", "meter_id"),
        ("meter_id", "a\0", "U+0000"),
        ("interval_minutes", "0", "interval_minutes"),
        ("interval_minutes", "1441", "interval_minutes"),
    ],
)
def test_a_reading_that_cannot_be_right_is_refused_and_never_made_up(field: str, value: str, reason: str) -> None:
    spoilt = {name: str(content) for name, content in ROW.items()} | {field: value}
    for text in (
        json.dumps(spoilt) + "\n" + json.dumps(ROW),
        ",".join(ROW) + "\n" + ",".join(f'"{content}"' for content in spoilt.values()) + "\n"
        + ",".join(str(content) for content in ROW.values()),
    ):  # fmt: skip
        rejected, accepted = read(text)
        assert isinstance(rejected, RejectedRecord)
        assert reason in rejected.reason
        assert isinstance(accepted, MeterReading)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidInputError, match="no column unit, interval_minutes; its columns are: meter_id, value"):
        read("meter_id,value,read_at\n")
