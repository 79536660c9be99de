"""Readings that stand out of their own day, for meters whose history is too short to know the hour's usual."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from bailiwick.connectors.meters import MeterReading

MIN_READINGS = 24
HIGHEST_RATIO = 1.5
"""The reading must exceed the day's second highest by half: a day's ordinary peak comes gradually."""
MIN_Z = 8.0


def find_outlier(reading: MeterReading, known: Sequence[MeterReading]) -> str | None:
    """Say why a reading stands out of the 24 hours around it, or None when it does not or they are too few."""
    around = [
        one.value
        for one in known
        if one.unit == reading.unit
        and one.read_at != reading.read_at
        and abs(one.read_at - reading.read_at) <= timedelta(hours=24)
    ]
    if len(around) < MIN_READINGS:
        return None
    values = np.asarray(around)
    median, highest = float(np.median(values)), float(values.max())
    spread = 1.4826 * float(np.median(np.abs(values - median)))
    if highest <= 0 or reading.value <= HIGHEST_RATIO * highest or spread <= 0:
        return None
    z = (reading.value - median) / spread
    if z < MIN_Z:
        return None
    return (
        f"{reading.value:g} {reading.unit}, while the other {len(around)} readings within 24 hours reach "
        f"{highest:g} at most (median {median:g}, robust z {z:.1f}); too few days to know what is usual at this hour"
    )
