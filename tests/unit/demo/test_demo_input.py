"""The demo input holds what its description promises."""

import runpy
import tomllib
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.meters import MeterReading
from bailiwick.connectors.records import read_github_issues
from bailiwick.demo import DEMO_REPOSITORY, demo_issue_lines, demo_meter_rows
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES

NOW = datetime(2026, 3, 29, 12, 34, 56, tzinfo=UTC)
PLANTED = tomllib.loads(Path(__file__).with_name("planted.toml").read_text(encoding="utf-8"))
PREFIXES = {
    "architect": "architect",
    "developer": "developer",
    "qa": "qa",
    "devops": "devops",
    "manager": "manager",
    "management": "project-manager",
    "marketing": "marketing",
    "sales": "sales",
    "support": "support",
    "customer-success": "customer-success",
    "analytics": "analytics",
    "finance": "finance",
    "operations": "operations",
    "security": "security",
}


def _is_good(line: bytes) -> bool:
    """Say whether a line has the shape of a GitHub issue, by rules independent of any reader of ours."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return (
        isinstance(record, dict)
        and isinstance(record.get("number"), int)
        and bool(record.get("title"))
        and "\0" not in record["title"]
        and record["state"] in {"open", "closed"}
        and record["created_at"].endswith("Z")
        and len(record["body"]) <= MAX_PAYLOAD_BYTES
    )


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return list(demo_issue_lines(NOW))


@pytest.fixture(scope="module")
def issues(lines: list[bytes]) -> dict[int, dict[str, Any]]:
    records = [orjson.loads(line) for line in lines if _is_good(line)]
    return {record["number"]: record for record in records}


@pytest.fixture(scope="module")
def readings() -> dict[str, list[MeterReading]]:
    by_meter: defaultdict[str, list[MeterReading]] = defaultdict(list)
    for reading in demo_meter_rows(NOW):
        by_meter[reading.meter_id].append(reading)
    return by_meter


def _labels(issue: dict[str, Any]) -> list[str]:
    return [label["name"] for label in issue["labels"]]


def _prefixes(issue: dict[str, Any]) -> list[str]:
    return [prefix for prefix, slash, _ in (label.partition("/") for label in _labels(issue)) if slash]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_every_line_is_one_record_and_numbers_are_unique(lines: list[bytes], issues: dict[int, dict[str, Any]]) -> None:
    assert not any(b"\n" in line for line in lines)
    assert len(issues) == sum(map(_is_good, lines)) >= 72


def test_malformed_records_are_as_many_as_stated_and_stand_between_good_ones(lines: list[bytes]) -> None:
    good = [_is_good(line) for line in lines]
    assert good.count(False) == PLANTED["malformed"]["count"] == len(PLANTED["malformed"]["faults"])
    assert good[-1]
    assert not any(not left and not right for left, right in pairwise(good))


def test_one_record_is_larger_than_a_payload_may_be(lines: list[bytes]) -> None:
    assert [len(line) > MAX_PAYLOAD_BYTES for line in lines].count(True) == 1


def test_every_department_and_every_priority_is_labelled(issues: dict[int, dict[str, Any]]) -> None:
    departments = Counter(PREFIXES[prefix] for issue in issues.values() for prefix in _prefixes(issue))
    priorities = Counter(label for issue in issues.values() for label in _labels(issue) if label.startswith("P"))
    assert set(departments) == set(PREFIXES.values())
    assert set(priorities) == {"P0", "P1", "P2", "P3"}
    assert len(set(PREFIXES.values())) == 14


def test_unlabelled_issues_are_those_a_person_has_judged(issues: dict[int, dict[str, Any]]) -> None:
    unlabelled = {number for number, issue in issues.items() if not issue["labels"]}
    judged = {int(number) for number in PLANTED["unlabelled"]}
    assert unlabelled == judged | {PLANTED["vague"]}
    assert set(PLANTED["unlabelled"].values()) <= set(PREFIXES.values())


def test_no_age_is_left_and_no_time_lies_ahead(lines: list[bytes], issues: dict[int, dict[str, Any]]) -> None:
    assert not any(b"_minutes_ago" in line for line in lines if _is_good(line))
    for issue in issues.values():
        created, updated = _moment(issue["created_at"]), _moment(issue["updated_at"])
        assert created <= updated <= NOW
        assert issue["repository_url"].endswith(f"/repos/{DEMO_REPOSITORY}")
        assert issue["comments_count"] == len(issue["comments"])
        for comment in issue["comments"]:
            assert created <= _moment(comment["created_at"]) <= updated


def test_closed_issues_tell_when_and_how(issues: dict[int, dict[str, Any]]) -> None:
    closed = [issue for issue in issues.values() if issue["state"] == "closed"]
    assert len(closed) >= len(issues) // 5
    for issue in closed:
        assert _moment(issue["created_at"]) < _moment(issue["closed_at"]) <= NOW
        assert issue["comments"]


def test_the_urgent_issue_is_about_to_miss_its_hour(issues: dict[int, dict[str, Any]]) -> None:
    issue = issues[PLANTED["sla_about_to_breach"]]
    assert "P0" in _labels(issue)
    assert issue["state"] == "open"
    assert NOW - _moment(issue["created_at"]) == timedelta(minutes=54)


def test_times_move_with_the_moment_of_loading() -> None:
    later = [orjson.loads(line) for line in demo_issue_lines(NOW + timedelta(days=400)) if _is_good(line)]
    first = orjson.loads(next(line for line in demo_issue_lines(NOW) if _is_good(line)))
    assert _moment(later[0]["created_at"]) - _moment(first["created_at"]) == timedelta(days=400)


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        next(demo_issue_lines(NOW.replace(tzinfo=None)))
    with pytest.raises(ValueError, match="time zone"):
        next(demo_meter_rows(NOW.replace(tzinfo=None)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prompt_injection", "ignore all previous instructions"),
        ("junit_and_coverage", '<testsuites tests="12" failures="2"'),
        ("junit_and_coverage", "<coverage line-rate="),
        ("csv_sales", "2026-11-11,Station Arch,176.90,392"),
        ("python_with_flaws", "```python"),
        ("stack_trace", "NullPointerException"),
        ("cvss", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N"),
        ("planted_key", "AKIABAKERYVANEXAMPLE"),
    ],
)
def test_planted_input_is_there(issues: dict[int, dict[str, Any]], name: str, text: str) -> None:
    assert text in issues[PLANTED[name]]["body"]


def test_duplicates_and_solved_cases_point_to_existing_issues(issues: dict[int, dict[str, Any]]) -> None:
    open_pairs = [pair for pair in PLANTED["duplicate_pairs"] if all(issues[n]["state"] == "open" for n in pair)]
    assert len(open_pairs) >= 4
    for new, old in PLANTED["solved_before"]:
        assert issues[new]["state"] == "open"
        assert "Solved" in issues[old]["comments"][-1]["body"]
    assert all(issues[number]["state"] == "open" for number in PLANTED["input_missing"])


def test_meters_cover_the_last_complete_day_except_the_planted_gap(readings: dict[str, list[MeterReading]]) -> None:
    gap = PLANTED["meters"]["gap"]
    midnight = datetime(2026, 3, 29, tzinfo=UTC)
    assert len(readings) == 4
    for meter_id, rows in readings.items():
        expected = {midnight - timedelta(minutes=15 * index) for index in range(96)}
        missing = sorted(expected - {row.read_at for row in rows})
        assert {row.read_at for row in rows} <= expected
        if meter_id != gap["meter"]:
            assert missing == []
        else:
            assert len(missing) == gap["readings"]
            assert (f"{missing[0]:%H:%M}", f"{missing[-1]:%H:%M}") == (gap["from"], gap["to"])


def test_only_the_planted_run_is_frozen(readings: dict[str, list[MeterReading]]) -> None:
    planted = PLANTED["meters"]["frozen"]
    long_runs = [
        (meter_id, f"{run[0].read_at:%H:%M}", len(run))
        for meter_id, rows in readings.items()
        for run in (list(group) for _, group in groupby(rows, key=lambda row: row.value))
        if len(run) > 3
    ]
    assert long_runs == [(planted["meter"], planted["from"], planted["readings"])]


def test_only_the_planted_spike_exceeds_what_its_shop_can_draw(readings: dict[str, list[MeterReading]]) -> None:
    planted = PLANTED["meters"]["spike"]
    fuse_kwh = 17
    over = [
        (row.meter_id, f"{row.read_at:%H:%M}", row.value)
        for meter_id in ("shop-quayside", "shop-millgate")
        for row in readings[meter_id]
        if row.value > fuse_kwh
    ]
    assert over == [(planted["meter"], planted["at"], planted["kwh"])]


def test_the_generator_writes_the_readings_that_are_stored(readings: dict[str, list[MeterReading]]) -> None:
    generator = Path(__file__).parents[3] / "devtools" / "make_demo_meters.py"
    written = [(meter_id, float(energy)) for meter_id, _, energy in runpy.run_path(str(generator))["rows"]()]
    assert written == [(row.meter_id, row.value) for row in demo_meter_rows(NOW)]
    assert {meter_id for meter_id, _ in written} == set(readings)


def test_the_reader_of_github_issues_takes_the_good_and_refuses_the_malformed(
    lines: list[bytes], issues: dict[int, dict[str, Any]]
) -> None:
    read = list(read_github_issues(BytesIO(b"\n".join(lines))))
    accepted = [record for record in read if isinstance(record, IssueRecord)]
    assert {record.number for record in accepted} == set(issues)
    assert {record.repository for record in accepted} == {DEMO_REPOSITORY}
    assert len(read) - len(accepted) == PLANTED["malformed"]["count"]
