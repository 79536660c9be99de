"""How far a share that was counted may be from the truth."""

from math import sqrt

_Z95 = 1.959963984540054


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927); (0, 1) without trials. It holds the share itself."""
    if trials <= 0:
        return 0.0, 1.0
    share, spread = successes / trials, _Z95 * _Z95 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 * sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    # Rounding must not push a share of none or all out of its own interval.
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
