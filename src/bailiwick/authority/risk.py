"""Risk score and decision score of the sustainability requirements, as pure functions.

The formulas are those of the decision engine of the first source document
(requirements/sustainability.md, 1.2; ``base/DecisionEngine.ts`` of the
original). Two things differ: where the original filled a gap with an invented
figure (risk 2, compliance 85 %), we say what is missing; and it turned money
and emissions into 0..1 by formulas in which a small cost scores better than
none, so the four scores are inputs here and whoever proposes states them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from bailiwick.authority.model import Proposal
from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError

Band = Literal["low", "medium", "high", "critical"]

BANDS: tuple[Band, ...] = ("low", "medium", "high", "critical")

WEIGHTS: Mapping[str, float] = {
    "risk": 0.25, "financial": 0.20, "environmental": 0.25, "compliance": 0.20, "reputation": 0.10,
}  # fmt: skip
"""Of the decision score; they sum to 1."""

FINANCIAL_THRESHOLD = 10_000.0
"""In the organization's currency; an impact of more, either way, is a risk."""

ENVIRONMENTAL_THRESHOLD = 100.0
"""In tCO2e; an impact of more, either way, is a risk."""

CONFIDENCE_THRESHOLD = 0.7
COST_THRESHOLD = 100_000.0
"""Below the one and above the other the requirements want a person."""


@dataclass(frozen=True, slots=True)
class RiskFactor:
    """One thing that may go wrong: ``severity`` and ``likelihood`` from 0 to 5."""

    kind: str
    severity: float
    likelihood: float


def risk_score(factors: Sequence[RiskFactor]) -> float:
    """Return the risk from 0 to 10: Σ(severity · likelihood) / (25 n) · 10, and 0 where nothing is at risk.

    Source: requirements/sustainability.md, 1.2, "Decision engine".

    Raises:
        InvalidInputError: a severity or likelihood is not between 0 and 5.
    """
    for factor in factors:
        if not (0 <= factor.severity <= 5 and 0 <= factor.likelihood <= 5):
            raise InvalidInputError(f"severity and likelihood of the {factor.kind} risk must be from 0 to 5")
    if not factors:
        return 0.0
    return sum(factor.severity * factor.likelihood for factor in factors) / (25 * len(factors)) * 10


def risk_band(score: float) -> Band:
    """Return how a risk is called: from 7 on critical, from 5 high, from 3 medium, else low."""
    for band, least in (("critical", 7.0), ("high", 5.0), ("medium", 3.0)):
        if score >= least:
            return cast("Band", band)
    return "low"


def risk_factors(impacts: Mapping[str, Any]) -> list[RiskFactor]:
    """Return what is at risk by the expected impacts of an act.

    ``financial`` in the organization's currency, ``environmental`` in tCO2e,
    ``compliance`` in percent of alignment, ``reputation`` from -5 to 5. All
    four are needed: a missing one may be the one that hurts. Severities and
    likelihoods are the original's: money over 10,000 counts
    min(5, ⌊x / 50,000⌋ + 1) at likelihood 4; emissions over 100 tCO2e
    min(5, ⌊x / 500⌋ + 1) at 3; alignment under 60 % ⌈(100 - x) / 20⌉ at 3; a
    loss of reputation min(5, |x|) at 2.

    Raises:
        CannotDetermineError: an impact is missing or no number.
    """
    financial, environmental, compliance, reputation = (
        _number(impacts, name, where="impact") for name in ("financial", "environmental", "compliance", "reputation")
    )
    found: list[RiskFactor] = []
    if abs(financial) > FINANCIAL_THRESHOLD:
        found.append(RiskFactor("financial", min(5, abs(financial) // 50_000 + 1), 4))
    if abs(environmental) > ENVIRONMENTAL_THRESHOLD:
        found.append(RiskFactor("environmental", min(5, abs(environmental) // 500 + 1), 3))
    gap = (100 - compliance) / 20
    if gap > 2:
        found.append(RiskFactor("compliance", min(5, math.ceil(gap)), 3))
    if reputation < 0:
        found.append(RiskFactor("reputation", min(5, abs(reputation)), 2))
    return found


def decision_score(risk: float, scores: Mapping[str, Any]) -> float:
    """Return how good a choice is, from 0 to 1.

    0.25 · (10 - risk) / 10 + 0.20 · financial + 0.25 · environmental
    + 0.20 · compliance + 0.10 · reputation, each score from 0 (bad) to 1
    (good). Source: requirements/sustainability.md, 1.2; the original inverts
    the risk in the same way.

    Raises:
        CannotDetermineError: a score is missing or no number.
        InvalidInputError: the risk is not from 0 to 10, or a score not from 0 to 1.
    """
    if not 0 <= risk <= 10:
        raise InvalidInputError(f"a risk is from 0 to 10, not {risk:g}")
    total = WEIGHTS["risk"] * (10 - risk) / 10
    for name in ("financial", "environmental", "compliance", "reputation"):
        value = _number(scores, name, where="score")
        if not 0 <= value <= 1:
            raise InvalidInputError(f"the {name} score is from 0 to 1, not {value:g}")
        total += WEIGHTS[name] * value
    return total


def wants_person(risk: float, confidence: float, cost: float, *, is_gated: bool = False) -> bool:
    """Tell whether the requirements want a person to approve.

    At a high or critical risk, a confidence below 0.7, a cost over 100,000, or
    an act that is gated. Source: requirements/sustainability.md, 1.2.
    """
    return (
        risk_band(risk) in ("high", "critical")
        or confidence < CONFIDENCE_THRESHOLD
        or cost > COST_THRESHOLD
        or is_gated
    )


def risk_of(proposal: Proposal) -> float | None:
    """Return a proposal's risk: stated, or from its factors' ``risks`` or ``impacts``; None if undetermined."""
    if proposal.risk is not None:
        return proposal.risk if 0 <= proposal.risk <= 10 else None
    try:
        risks = proposal.factors.get("risks")
        if risks is not None:
            return risk_score(_risk_factors(risks))
        return risk_score(risk_factors(_mapping(proposal.factors, "impacts")))
    except (CannotDetermineError, InvalidInputError):
        return None


def score_of(proposal: Proposal) -> float | None:
    """Return a proposal's decision score: stated, or from its factors' ``scores`` and its risk; None if unknown."""
    if proposal.score is not None:
        return proposal.score if 0 <= proposal.score <= 1 else None
    risk = risk_of(proposal)
    if risk is None:
        return None
    try:
        return decision_score(risk, _mapping(proposal.factors, "scores"))
    except (CannotDetermineError, InvalidInputError):
        return None


def _risk_factors(risks: Any) -> list[RiskFactor]:
    if not isinstance(risks, Sequence) or isinstance(risks, str):
        raise CannotDetermineError("the list of risks")
    return [
        RiskFactor(str(one.get("kind", "named")), _number(one, "severity", where="risk"), _number(one, "likelihood",
                                                                                                  where="risk"))
        if isinstance(one, Mapping)
        else _no_risk()
        for one in risks
    ]  # fmt: skip


def _no_risk() -> RiskFactor:
    raise CannotDetermineError("severity and likelihood of a risk")


def _mapping(factors: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = factors.get(name)
    if not isinstance(value, Mapping):
        raise CannotDetermineError(f"the factor {name}")
    return cast("Mapping[str, Any]", value)


def _number(values: Mapping[str, Any], name: str, *, where: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CannotDetermineError(f"the {name} {where}")
    return float(value)
