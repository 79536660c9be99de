"""Health is judged by thresholds that are data; each finding says what, how much, and what to do."""

from typing import Any

import pytest
from pydantic import ValidationError

from bailiwick.orchestrator.health import HealthPayload, Thresholds, judge, status_of
from bailiwick.orchestrator.measures import Measured

WELL: dict[str, Any] = {
    "workers_alive": 1, "workers_lapsed": 0, "workers_died_last_hour": 0, "worker_slots": 100,
    "worker_load_percent": 10.0, "database_round_trip_seconds": 0.001, "database_bytes": 1000, "cpu_percent": 20.0,
    "memory_percent": 30.0, "disk_percent": 40.0, "disk_free_bytes": 1000, "tasks_by_state": {},
    "oldest_ready_seconds": None, "oldest_ready_kind": None, "stuck_waits": 0, "stuck_example": None,
    "schedules_late": 0, "schedule_lag_seconds": 0.0, "schedule_example": None, "breakers_open": [],
    "ended_last_hour": 0, "discarded_last_hour": 0, "dead_letters_last_hour": {}, "dead_letter_example": None,
    "rejected_last_hour": 0, "rejected_example": None, "extensions_failed": [],
}  # fmt: skip


def judged(thresholds: Thresholds | None = None, **changes: Any) -> list[tuple[str, float, float]]:
    """Return level, measured value and threshold of what is found."""
    found = list(judge(Measured.model_validate(WELL | changes), thresholds or Thresholds()))
    assert all(finding.what and finding.next_step for finding in found)
    return [(finding.level, finding.measured, finding.threshold) for finding in found]


def test_all_is_well() -> None:
    assert judged() == []
    assert status_of([]) == "ok"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cpu_percent": 80.0}, []),
        ({"cpu_percent": 80.1}, [("warn", 80.1, 80.0)]),
        ({"memory_percent": 85.5}, [("warn", 85.5, 85.0)]),
        ({"disk_percent": 90.5}, [("warn", 90.5, 90.0)]),
        ({"disk_percent": 97.5}, [("fail", 97.5, 97.0)]),
        ({"disk_percent": None}, []),
        ({"database_round_trip_seconds": 5.1}, [("warn", 5.1, 5.0)]),
        ({"worker_load_percent": 99.0}, [("warn", 99.0, 95.0)]),
        ({"workers_lapsed": 1, "workers_died_last_hour": 2}, [("warn", 3, 0)]),
        ({"oldest_ready_seconds": 61.0}, [("warn", 61.0, 60.0)]),
        ({"oldest_ready_seconds": 4000.0}, [("fail", 4000.0, 3600.0)]),
        ({"stuck_waits": 2, "stuck_example": "x"}, [("warn", 2, 0)]),
        ({"schedules_late": 3, "schedule_lag_seconds": 9.0}, [("warn", 9.0, 5.0)]),
        ({"breakers_open": ["agent:a: down", "agent:b: down"]}, [("warn", 1, 0), ("warn", 1, 0)]),
        ({"extensions_failed": ["weather: ImportError"]}, [("warn", 1, 0)]),
        ({"rejected_last_hour": 4, "rejected_example": "no title"}, [("warn", 4, 0)]),
    ],
)
def test_each_threshold(changes: dict[str, Any], expected: list[tuple[str, float, float]]) -> None:
    assert judged(**changes) == expected


def test_a_few_failed_tasks_are_counted_and_many_are_a_share() -> None:
    def failed(ended: int, discarded: int) -> list[tuple[str, float, float]]:
        given_up = {"note": discarded}
        return judged(ended_last_hour=ended, discarded_last_hour=discarded, dead_letters_last_hour=given_up)

    assert failed(19, 1) == [("warn", 1, 0)]
    assert failed(100, 5) == []
    assert failed(100, 6) == [("warn", 6.0, 5.0)]
    assert failed(100, 60) == [("fail", 60.0, 50.0)]


def test_the_worst_finding_is_the_status() -> None:
    found = list(judge(Measured.model_validate(WELL | {"cpu_percent": 99.0}), Thresholds()))
    assert status_of(found) == "warn"
    found += judge(Measured.model_validate(WELL | {"disk_percent": 99.0}), Thresholds())
    assert status_of(found) == "fail"


def test_thresholds_are_the_payload_of_the_schedule() -> None:
    payload = HealthPayload.model_validate({"thresholds": {"cpu_percent": 50}})
    assert judged(payload.thresholds, cpu_percent=60.0) == [("warn", 60.0, 50.0)]
    with pytest.raises(ValidationError):
        HealthPayload.model_validate({"thresholds": {"cpu": 50}})
