"""Small statistics that several departments state: quantiles, intervals, trends, and how durations read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MAX_TREND_POINTS = 1_000
"""Theil-Sen looks at every pair of points; longer series are trended over their newest points."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """A Theil-Sen slope per step with its 95% interval; ``points`` were used."""

    slope: float
    low: float
    high: float
    points: int

    @property
    def direction(self) -> str:
        """``rising`` or ``falling`` when the interval excludes zero, else ``no clear trend``."""
        if self.low > 0:
            return "rising"
        return "falling" if self.high < 0 else "no clear trend"


def find_trend(values: Sequence[float]) -> Trend | None:
    """Return the Theil-Sen trend of evenly spaced values, or None for fewer than 4 of them."""
    newest = np.asarray(values[-MAX_TREND_POINTS:], dtype=np.float64)
    if newest.size < 4:
        return None
    slope, _, low, high = map(float, stats.theilslopes(newest, np.arange(newest.size), alpha=0.95))
    # SciPy gives no finite bound when there are too few pairs for the level asked.
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return Trend(slope, low, high, int(newest.size))


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the quantile by linear interpolation (type 7), or None of nothing."""
    return float(np.quantile(np.asarray(values, dtype=np.float64), share)) if values else None


def robust_deviations(values: FloatArray) -> FloatArray:
    """Return the robust z of each value, 0.6745 (x - median) / MAD (Iglewicz and Hoaglin 1993).

    When more than half of the values are equal the MAD is zero; the mean absolute deviation then
    takes its place (x - median) / (1.2533 meanAD), and zeros are returned when that is zero as well.
    """
    centre = np.median(values)
    distance = np.abs(values - centre)
    mad = float(np.median(distance))
    if mad > 0:
        return 0.6745 * (values - centre) / mad
    mean_distance = float(np.mean(distance))
    if mean_distance > 0:
        return (values - centre) / (1.2533 * mean_distance)
    return np.zeros_like(values)


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a JSON-able figure: ``digits`` significant digits beyond the integer part; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    if value == 0 or abs(value) >= 1:
        return round(float(value), digits)
    return round(float(value), digits - 1 - math.floor(math.log10(abs(value))))


def say_duration(seconds: float) -> str:
    """Return a duration for people: ``45 s``, ``12 min``, ``3.5 h``, ``4.2 days``."""
    size = abs(seconds)
    if size < 90:
        return f"{seconds:.0f} s"
    if size < 5_400:
        return f"{seconds / 60:.0f} min"
    if size < 172_800:
        return f"{seconds / 3_600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
