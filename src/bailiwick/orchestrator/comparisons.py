"""Is it another distribution, or chance? The tests that the performance analysis uses, in plain Python.

They are here because importing a statistics library takes longer than a start
of the platform may take.
"""

from collections.abc import Sequence
from itertools import groupby
from math import erfc, exp, lgamma, sqrt

# Probabilities that differ by rounding only count as equal.
_ROUNDING = 1 + 1e-9


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie, interpolated linearly."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    lower = int(position)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (ordered[upper] - ordered[lower]) * (position - lower)


def mann_whitney(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """Return how likely a value after is above one before, and the two-sided p-value.

    The first is Vargha and Delaney's A (2000), 0.5 where nothing changed; the
    second is Mann and Whitney's (1947) by the normal approximation with
    corrections for ties and continuity, meant for 20 values or more on each side.
    """
    n, m = len(before), len(after)
    marked = sorted([(value, 0) for value in before] + [(value, 1) for value in after])
    rank_sum, ties, rank = 0.0, 0.0, 1
    for _, group in groupby(marked, key=lambda pair: pair[0]):
        members = [side for _, side in group]
        count = len(members)
        rank_sum += sum(members) * (rank + (count - 1) / 2)
        ties += count**3 - count
        rank += count
    u = rank_sum - m * (m + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    superiority = u / (n * m)
    if variance <= 0:
        return superiority, 1.0
    distance = max(0.0, abs(u - n * m / 2) - 0.5)
    return superiority, min(1.0, erfc(distance / sqrt(2 * variance)))


def fisher_exact(hits: int, trials: int, other_hits: int, other_trials: int) -> float:
    """Return the two-sided p-value that two shares are the same (Fisher 1935).

    All tables that are at most as likely as the one seen are summed.
    """
    total_hits, total = hits + other_hits, trials + other_trials
    lowest, highest = max(0, total_hits - other_trials), min(trials, total_hits)
    base = _log_choose(total, trials)
    chances = [
        exp(_log_choose(total_hits, k) + _log_choose(total - total_hits, trials - k) - base)
        for k in range(lowest, highest + 1)
    ]
    seen = chances[hits - lowest] * _ROUNDING
    return min(1.0, sum(chance for chance in chances if chance <= seen))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm 1979), in the same order."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - place)))
        adjusted[index] = highest
    return adjusted


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
