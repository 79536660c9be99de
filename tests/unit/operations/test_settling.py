"""Where an issue comes to rest after a result."""

import pytest

from bailiwick.packs.operations.assignments import WorkReport
from bailiwick.packs.operations.gates import judge
from bailiwick.packs.operations.settling import _rest


def report(
    operation: str = "reporting", status: str = "done", missing: tuple[str, ...] = (), **data: object
) -> WorkReport:
    gates = judge(operation, data)
    failed = [gate for gate in gates if gate.verdict == "failed"]
    measured = [gate for gate in gates if gate.verdict != "not measured"]
    return WorkReport.model_validate(
        {
            "result_id": "r", "operation": operation, "status": status, "missing": missing, "proposed": 0,
            "summary": f"cannot determine: {'; '.join(missing)}" if missing else "112 opened, 22 closed",
            "gates": [vars_of(gate) for gate in gates],
            "is_passed": None if not measured else not failed,
        }
    )  # fmt: skip


def vars_of(gate: object) -> dict[str, object]:
    return {name: getattr(gate, name) for name in ("name", "limit", "measured", "verdict")}


def test_an_answered_question_is_done() -> None:
    assert _rest(report(), set_aside=0) == ("done", "112 opened, 22 closed")


@pytest.mark.parametrize("operation", ["bug-reports", "threat-detection", "access-control", "escalation"])
def test_what_is_only_taken_in_waits_for_a_person(operation: str) -> None:
    status, reason = _rest(report(operation), set_aside=0)
    assert status == "review"
    assert "person" in reason or "people" in reason


def test_a_missed_gate_is_named_even_where_the_rest_cannot_be_determined() -> None:
    status, reason = _rest(
        report("testing", "cannot_determine", ("security: x",), parts={"coverage": 70.0}), set_aside=0
    )
    assert status == "review"
    assert reason.startswith("quality gates not met (coverage 70 below 80)")


def test_of_many_missing_things_only_the_names_are_said() -> None:
    missing = ("version: add the version", "steps: add the steps", "system: add the system")
    assert _rest(report(status="cannot_determine", missing=missing), set_aside=0) == (
        "blocked",
        "cannot determine: version, steps, system",
    )


def test_one_missing_thing_is_said_with_how_to_supply_it() -> None:
    status, reason = _rest(report(status="cannot_determine", missing=("coverage: paste the report",)), set_aside=0)
    assert (status, reason) == ("blocked", "cannot determine: coverage: paste the report")


def test_orders_to_a_machine_keep_an_issue_from_being_done_unseen() -> None:
    status, reason = _rest(report(), set_aside=2)
    assert status == "review"
    assert "2 passage(s) that give orders to an automated reader" in reason
