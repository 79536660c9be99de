"""Risk and decision score are the requirement's, to the digit; what is missing is named and never zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.authority.risk import (
    WEIGHTS,
    RiskFactor,
    decision_score,
    risk_band,
    risk_factors,
    risk_of,
    risk_score,
    score_of,
    wants_person,
)
from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError
from tests.support.policies import proposal

HARMLESS = {"financial": 0, "environmental": 0, "compliance": 100, "reputation": 0}
SCORES = {"financial": 0.5, "environmental": 1, "compliance": 0.8, "reputation": 0.2}


def test_the_risk_is_the_mean_of_severity_times_likelihood_on_a_scale_of_ten() -> None:
    # (4·4 + 2·3) / (25·2) · 10
    assert risk_score([RiskFactor("financial", 4, 4), RiskFactor("environmental", 2, 3)]) == pytest.approx(4.4)
    assert risk_score([RiskFactor("worst", 5, 5)]) == 10
    assert risk_score([]) == 0
    with pytest.raises(InvalidInputError, match="from 0 to 5"):
        risk_score([RiskFactor("more", 6, 1)])


@pytest.mark.parametrize(
    ("risk", "band"),
    [(0, "low"), (2.999, "low"), (3, "medium"), (4.999, "medium"), (5, "high"), (6.999, "high"), (7, "critical")],
)
def test_bands_begin_at_three_five_and_seven(risk: float, band: str) -> None:
    assert risk_band(risk) == band


@pytest.mark.parametrize(
    ("impacts", "factors"),
    [
        (HARMLESS, []),
        (HARMLESS | {"financial": -10_000}, []),
        (HARMLESS | {"financial": -10_001}, [("financial", 1, 4)]),
        (HARMLESS | {"financial": 120_000}, [("financial", 3, 4)]),
        (HARMLESS | {"financial": 9e9}, [("financial", 5, 4)]),
        (HARMLESS | {"environmental": 100}, []),
        (HARMLESS | {"environmental": -600}, [("environmental", 2, 3)]),
        (HARMLESS | {"compliance": 60}, []),
        (HARMLESS | {"compliance": 55}, [("compliance", 3, 3)]),
        (HARMLESS | {"compliance": 0}, [("compliance", 5, 3)]),
        (HARMLESS | {"reputation": -2}, [("reputation", 2, 2)]),
    ],
)
def test_impacts_become_risks_at_the_requirements_thresholds(
    impacts: dict[str, float], factors: list[tuple[str, float, float]]
) -> None:
    assert [(one.kind, one.severity, one.likelihood) for one in risk_factors(impacts)] == factors


@pytest.mark.parametrize("missing", ["financial", "environmental", "compliance", "reputation"])
def test_a_missing_input_is_named_and_never_taken_for_zero(missing: str) -> None:
    impacts = {name: value for name, value in HARMLESS.items() if name != missing}
    with pytest.raises(CannotDetermineError, match=f"cannot determine: the {missing} impact missing"):
        risk_factors(impacts)
    scores = {name: value for name, value in SCORES.items() if name != missing}
    with pytest.raises(CannotDetermineError, match=f"cannot determine: the {missing} score missing"):
        decision_score(2, scores)


def test_the_decision_score_weighs_five_factors_and_turns_the_risk_round() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    # 0.25·0.6 + 0.20·0.5 + 0.25·1 + 0.20·0.8 + 0.10·0.2
    assert decision_score(4, SCORES) == pytest.approx(0.68)
    assert decision_score(0, dict.fromkeys(SCORES, 1)) == pytest.approx(1)
    assert decision_score(10, dict.fromkeys(SCORES, 0)) == 0


@given(st.floats(0, 10), st.floats(0, 10))
def test_more_risk_never_scores_better(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert decision_score(high, SCORES) <= decision_score(low, SCORES)


@pytest.mark.parametrize(
    ("risk", "confidence", "cost", "gated", "wanted"),
    [
        (4.9, 0.7, 100_000, False, False), (5, 0.7, 0, False, True), (0, 0.69, 0, False, True),
        (0, 1, 100_000.01, False, True), (0, 1, 0, True, True),
    ],
)  # fmt: skip
def test_the_requirement_wants_a_person(risk: float, confidence: float, cost: float, gated: bool, wanted: bool) -> None:
    assert wants_person(risk, confidence, cost, is_gated=gated) is wanted


@pytest.mark.parametrize(
    ("fields", "risk"),
    [
        ({}, None),
        ({"risk": 3.5}, 3.5),
        ({"risk": 11.0}, None),
        ({"factors": {"impacts": HARMLESS}}, 0),
        ({"factors": {"impacts": {"financial": 1}}}, None),
        ({"factors": {"risks": [{"severity": 5, "likelihood": 5}], "impacts": HARMLESS}}, 10),
        ({"factors": {"risks": [{"severity": 5}]}}, None),
        ({"factors": {"risks": "many"}}, None),
        ({"factors": {"risks": [{"severity": 9, "likelihood": 9}]}}, None),
        ({"factors": {"risks": [True]}}, None),
        ({"factors": {"impacts": [1]}}, None),
    ],
)
def test_a_proposals_risk_is_stated_computed_or_undetermined(fields: dict[str, object], risk: float | None) -> None:
    assert risk_of(proposal(**fields)) == risk


def test_a_proposals_score_needs_its_risk_and_its_scores() -> None:
    assert score_of(proposal(risk=4.0, factors={"scores": SCORES})) == pytest.approx(0.68)
    assert score_of(proposal(factors={"scores": SCORES})) is None
    assert score_of(proposal(risk=4.0)) is None
    assert score_of(proposal(score=0.3)) == 0.3
    assert score_of(proposal(score=1.3)) is None
    assert score_of(proposal(risk=4.0, factors={"scores": SCORES | {"financial": 7}})) is None
