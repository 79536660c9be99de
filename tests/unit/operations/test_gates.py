"""Quality gates: measured or not, never assumed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.packs.operations.gates import LIMITS, is_passed, judge, names, said_of

_VALUES = st.one_of(st.none(), st.booleans(), st.text(max_size=5), st.floats(0, 100), st.integers(0, 100))


def test_a_measurement_at_the_limit_passes_and_one_below_fails() -> None:
    parts = {"coverage": 80.0, "tests": 94.99, "security": None, "performance": 90}
    gates = judge("testing", {"parts": parts})
    assert names(gates, "passed") == ("coverage", "performance")
    assert names(gates, "failed") == ("tests",)
    assert names(gates, "not measured") == ("security",)
    assert is_passed(gates) is False
    assert said_of(gates) == "tests 94.99 below 95"


def test_an_operation_that_measures_nothing_passes_nothing() -> None:
    gates = judge("customer-inquiry", {"parts": {"coverage": 100.0}})
    assert set(names(gates, "not measured")) == set(LIMITS)
    assert is_passed(gates) is None


def test_each_operation_of_quality_assurance_states_its_own_figure() -> None:
    assert names(judge("coverage", {"percent": 91.2}), "passed") == ("coverage",)
    assert names(judge("static-analysis", {"points": 20}), "failed") == ("security",)
    assert names(judge("performance-testing", {"points": 100.0}), "passed") == ("performance",)


@given(st.dictionaries(st.sampled_from(sorted(LIMITS)), _VALUES), st.sampled_from(["testing", "coverage", "reporting"]))
def test_what_is_no_number_is_never_called_passed(parts: dict[str, Any], operation: str) -> None:
    for gate in judge(operation, {"parts": parts, "percent": parts.get("coverage")}):
        assert (gate.measured is None) == (gate.verdict == "not measured")
        if gate.verdict == "passed":
            assert gate.measured is not None
            assert gate.measured >= gate.limit
