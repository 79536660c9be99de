"""What the pack registers fits together."""

from datetime import UTC, datetime, timedelta

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.agents import AGENT_CLASSES, WORKING_DEPARTMENTS
from bailiwick.packs.operations.departments import OPERATIONS
from bailiwick.packs.operations.event_types import EVENT_TYPES
from bailiwick.packs.operations.extension import STAFF, _background_task, _urgent_task
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.roster import AGENTS
from bailiwick.packs.operations.settings import OperationsSettings
from bailiwick.packs.operations.settling import TAKES_IN
from bailiwick.packs.operations.sla import SLA_SECONDS
from bailiwick.packs.operations.sweep import _finding

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def issue(*labels: str, age_minutes: float = 30) -> IssueRecord:
    opened = NOW - timedelta(minutes=age_minutes)
    return IssueRecord(source="test", repository="a/b", number=1, title="t", labels=labels, created_at=opened)


def test_every_department_that_is_said_to_work_has_operations_and_staff() -> None:
    assert set(OPERATIONS) == WORKING_DEPARTMENTS == {agent.kind for agent in AGENT_CLASSES}
    assert {agent.kind for agent in STAFF} == WORKING_DEPARTMENTS


def test_every_operation_of_a_working_department_can_be_carried_out() -> None:
    for department in WORKING_DEPARTMENTS:
        assert {one.name for one in AGENTS[department].operations} <= set(OPERATIONS[department])


def test_operations_that_only_take_in_exist() -> None:
    known = {name for operations in OPERATIONS.values() for name in operations}
    assert set(TAKES_IN) <= known


def test_event_types_are_named_once_and_keyed() -> None:
    names = [one.name for one in EVENT_TYPES]
    assert len(names) == len(set(names))
    assert all(one.key is not None and one.version == 1 for one in EVENT_TYPES)


def test_the_queue_is_ordered_by_what_the_labels_say() -> None:
    task = _urgent_task("issue.handle")(issue("bug", "P0"))
    assert task.priority == 0
    assert task.deadline_at == NOW + timedelta(minutes=30)
    assert _urgent_task("issue.handle")(issue()).priority == 2


def test_history_never_overtakes_work() -> None:
    assert _background_task("issue.record")(issue("P0")).priority == 3


def row(priority: Priority, *, late_seconds: float, known_before: bool) -> dict[str, object]:
    deadline = NOW - timedelta(seconds=late_seconds)
    return {
        "key": "a/b#1", "priority": int(priority), "deadline_at": deadline, "breached_at": None, "at_risk_at": None,
        "clock_started_at": deadline - timedelta(seconds=SLA_SECONDS[priority]),
        "inserted_at": deadline - timedelta(minutes=1) if known_before else NOW,
    }  # fmt: skip


def test_a_late_issue_climbs_one_step_with_a_fresh_deadline() -> None:
    found = _finding(row(Priority.P2, late_seconds=60, known_before=True), NOW, OperationsSettings().policy)
    assert (found["before"], found["after"], found["is_emergency"]) == ("P2", "P1", False)
    assert found["fresh_deadline_at"] == (NOW + timedelta(hours=4)).isoformat()


def test_a_late_p0_is_an_emergency() -> None:
    found = _finding(row(Priority.P0, late_seconds=60, known_before=True), NOW, OperationsSettings().policy)
    assert (found["after"], found["is_emergency"]) == ("P0", True)


def test_an_old_backlog_is_reported_and_not_raised() -> None:
    found = _finding(row(Priority.P2, late_seconds=30 * 86_400, known_before=False), NOW, OperationsSettings().policy)
    assert (found["before"], found["after"], found["is_emergency"]) == ("P2", "P2", False)
    assert "when it came to us" in found["reason"]


def test_an_issue_that_came_only_a_little_late_is_raised_all_the_same() -> None:
    found = _finding(row(Priority.P2, late_seconds=4_800, known_before=False), NOW, OperationsSettings().policy)
    assert found["after"] == "P1"


def test_what_is_still_in_time_is_told_with_the_minutes_left() -> None:
    found = _finding(row(Priority.P0, late_seconds=-360, known_before=True), NOW, OperationsSettings().policy)
    assert (found["is_late"], found["before"], found["after"]) == (False, "P0", "P0")
    assert found["reason"] == "6 min are left to the deadline of its P0"
