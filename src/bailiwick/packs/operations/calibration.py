"""Confidence that means what it says: fitted maps from raw to observed, and their error."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["none", "platt", "isotonic"]

MIN_PLATT = 40
MIN_ISOTONIC = 1_000
"""Decisions with a known outcome that each method needs; below the first, confidence stays raw.

Isotonic regression overfits small samples (Niculescu-Mizil and Caruana, ICML 2005, put the
crossing at about 1,000 cases); Platt's two parameters do not.
"""

_EDGE = 1e-4
_CONVERGED = 1e-9


@dataclass(frozen=True)
class Calibration:
    """A monotone map from a raw confidence to the share of such decisions that were right.

    ``platt``: sigmoid(slope * logit(p) + intercept), slope >= 0. ``isotonic``:
    linear between the knots. ``n`` is the number of decisions it was fitted on.
    """

    method: Method = "none"
    slope: float = 1.0
    intercept: float = 0.0
    knots_x: tuple[float, ...] = ()
    knots_y: tuple[float, ...] = ()
    n: int = 0

    def apply(self, confidence: float) -> float:
        """Return the calibrated confidence, between 0 and 1."""
        if self.method == "platt":
            return _sigmoid(self.slope * _logit(confidence) + self.intercept)
        if self.method == "isotonic":
            return float(np.interp(confidence, self.knots_x, self.knots_y))
        return min(1.0, max(0.0, confidence))

    def to_document(self) -> dict[str, object]:
        """Return the map as a JSON object."""
        return {
            "method": self.method,
            "slope": self.slope,
            "intercept": self.intercept,
            "knots_x": list(self.knots_x),
            "knots_y": list(self.knots_y),
            "n": self.n,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> "Calibration":
        """Read what ``to_document`` wrote.

        Raises:
            ValueError: it is not such an object.
        """
        method = document.get("method")
        if method not in ("none", "platt", "isotonic"):
            raise ValueError(f"unknown calibration method {method!r}")
        knots_x, knots_y = _floats(document.get("knots_x")), _floats(document.get("knots_y"))
        if len(knots_x) != len(knots_y) or (method == "isotonic" and not knots_x):
            raise ValueError("calibration knots do not pair up")
        slope, intercept = _floats([document.get("slope"), document.get("intercept")])
        return cls(method, slope, intercept, knots_x, knots_y, int(_floats([document.get("n")])[0]))


def fit_calibration(confidences: Sequence[float], correct: Sequence[bool]) -> Calibration:
    """Fit the strongest map the number of decisions supports; ``none`` below ``MIN_PLATT`` or with one outcome only."""
    n = len(confidences)
    if n < MIN_PLATT or all(correct) or not any(correct):
        return Calibration(n=n)
    raw = np.asarray(confidences, dtype=np.float64)
    truth = np.asarray(correct, dtype=np.float64)
    if n >= MIN_ISOTONIC:
        return _fit_isotonic(raw, truth)
    return _fit_platt(raw, truth)


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool], *, bins: int = 10) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins, weighted by decisions (0 is best)."""
    if not confidences:
        return 0.0
    raw = np.asarray(confidences, dtype=np.float64)
    truth = np.asarray(correct, dtype=np.float64)
    index = np.minimum((raw * bins).astype(np.int64), bins - 1)
    counts = np.bincount(index, minlength=bins)
    gaps = np.abs(np.bincount(index, weights=raw - truth, minlength=bins))
    return float(gaps.sum() / counts.sum())


def _fit_platt(raw: NDArray[np.float64], truth: NDArray[np.float64]) -> Calibration:
    # Newton's method on a ridge-penalized two-parameter logistic loss; the penalty pulls towards
    # "leave as is" (slope 1, intercept 0) with the weight of about four decisions.
    x = np.array([_logit(float(value)) for value in raw])
    design = np.column_stack([x, np.ones_like(x)])
    start = np.array([1.0, 0.0])
    ridge = 1.0
    weights = start.copy()
    for _ in range(50):
        predicted = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (predicted - truth) + ridge * (weights - start)
        curvature = (design * (predicted * (1 - predicted))[:, None]).T @ design + ridge * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < _CONVERGED:
            break
    # A falling map would turn the order of decisions upside down: then only the level is used.
    slope = max(0.0, float(weights[0]))
    intercept = float(weights[1]) if slope > 0 else _logit(float(truth.mean()))
    return Calibration("platt", slope, intercept, n=len(raw))


def _fit_isotonic(raw: NDArray[np.float64], truth: NDArray[np.float64]) -> Calibration:
    # Pool adjacent violators over decisions sorted by confidence.
    order = np.argsort(raw, kind="stable")
    blocks: list[tuple[float, float, float]] = []
    for x, y in zip(raw[order], truth[order], strict=True):
        block = (float(x), float(y), 1.0)
        while blocks and blocks[-1][1] >= block[1]:
            last = blocks.pop()
            weight = last[2] + block[2]
            block = (
                (last[0] * last[2] + block[0] * block[2]) / weight,
                (last[1] * last[2] + block[1] * block[2]) / weight,
                weight,
            )
        blocks.append(block)
    return Calibration(
        "isotonic",
        knots_x=tuple(round(block[0], 6) for block in blocks),
        knots_y=tuple(round(block[1], 6) for block in blocks),
        n=len(raw),
    )


def _logit(p: float) -> float:
    clipped = min(1.0 - _EDGE, max(_EDGE, p))
    return math.log(clipped / (1.0 - clipped))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, x))))


def _floats(values: object) -> tuple[float, ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, (int, float)) for value in values):
        raise ValueError("calibration numbers are missing")
    return tuple(float(value) for value in values)
