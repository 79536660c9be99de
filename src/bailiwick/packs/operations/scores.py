"""How good decisions are against what people decided: precision and coverage by confidence, macro F1, base rate."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bailiwick.packs.operations.calibration import expected_calibration_error

THRESHOLDS = tuple(round(step * 0.05, 2) for step in range(20))
"""0.00 to 0.95."""


@dataclass(frozen=True)
class Decision:
    """What was decided, how surely, and what people decided."""

    predicted: str
    confidence: float
    actual: str


@dataclass(frozen=True)
class ThresholdScore:
    """Of the decisions at or above a confidence: how many, which share of all, which share right (None without any)."""

    threshold: float
    decided: int
    coverage: float
    precision: float | None


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one target; ``actual`` is how often people chose it."""

    target: str
    actual: int
    predicted: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class DecisionScore:
    """How one way of deciding did on the test part.

    ``macro_f1`` is the mean F1 over every target that was actual or predicted there.
    ``calibration_error`` is the expected calibration error in ten bins.
    """

    decider: str
    n: int
    accuracy: float
    macro_f1: float
    calibration_error: float
    thresholds: tuple[ThresholdScore, ...]
    classes: tuple[ClassScore, ...]


def score_decisions(decider: str, decisions: Sequence[Decision]) -> DecisionScore:
    """Score decisions; an empty sequence scores 0 with ``n`` 0."""
    correct = [one.predicted == one.actual for one in decisions]
    confidences = [one.confidence for one in decisions]
    classes = _class_scores(decisions)
    return DecisionScore(
        decider=decider,
        n=len(decisions),
        accuracy=_share(sum(correct), len(correct)),
        macro_f1=_share(sum(one.f1 for one in classes), len(classes)),
        calibration_error=round(expected_calibration_error(confidences, correct), 4),
        thresholds=tuple(_at_threshold(threshold, confidences, correct) for threshold in THRESHOLDS),
        classes=classes,
    )


def _at_threshold(threshold: float, confidences: Sequence[float], correct: Sequence[bool]) -> ThresholdScore:
    kept = [right for confidence, right in zip(confidences, correct, strict=True) if confidence >= threshold]
    precision = _share(sum(kept), len(kept)) if kept else None
    return ThresholdScore(threshold, len(kept), _share(len(kept), len(correct)), precision)


def _class_scores(decisions: Sequence[Decision]) -> tuple[ClassScore, ...]:
    actual = Counter(one.actual for one in decisions)
    predicted = Counter(one.predicted for one in decisions)
    hits = Counter(one.actual for one in decisions if one.actual == one.predicted)
    scores: list[ClassScore] = []
    for target in sorted(actual | predicted):
        precision = _share(hits[target], predicted[target])
        recall = _share(hits[target], actual[target])
        f1 = _share(2 * hits[target], actual[target] + predicted[target])
        scores.append(ClassScore(target, actual[target], predicted[target], precision, recall, f1))
    return tuple(scores)


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0
