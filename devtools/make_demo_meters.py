"""Writes src/bailiwick/demo/data/meters.csv: one day of four meters, the same bytes every time.

Figures behind the shapes (assumed for the invented company): a shop draws
about 2.4 kW at night for cold shelves and 10 kW while it bakes off and sells;
the oven line is electric, 180 kW while the night's bread is baked and 90 kW
for the afternoon rolls; eight vans charge at 11 kW each from 14:30.
Then one gap, one frozen run and one spike are planted.

Usage: python devtools/make_demo_meters.py
"""

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path

INTERVAL_MINUTES = 15
READINGS_PER_DAY = 24 * 60 // INTERVAL_MINUTES
TARGET = Path(__file__).resolve().parent.parent / "src/bailiwick/demo/data/meters.csv"

GAP_METER, GAP_READINGS = "oven-line-1", range(65, 70)  # ends 16:15 to 17:15
FROZEN_METER, FROZEN_READINGS = "shop-millgate", range(40, 52)  # ends 10:00 to 12:45
SPIKE_METER, SPIKE_READING, SPIKE_KWH = "shop-quayside", 82, 41.7  # ends 20:30; the fuse allows 17 kWh


def main() -> None:
    """Write the file."""
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("meter_id", "interval_end", "energy_kwh"), *rows()])


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield meter, end of interval and energy of every reading that is not in the gap."""
    for index in range(1, READINGS_PER_DAY + 1):
        hours, minutes = divmod(index * INTERVAL_MINUTES, 60)
        for meter_id, power_kw in METERS.items():
            if meter_id != GAP_METER or index not in GAP_READINGS:
                yield meter_id, f"{hours:02}:{minutes:02}", f"{_energy(meter_id, power_kw, index):.3f}"


def _energy(meter_id: str, power_kw: Callable[[float], float], index: int) -> float:
    if meter_id == SPIKE_METER and index == SPIKE_READING:
        return SPIKE_KWH
    if meter_id == FROZEN_METER and index in FROZEN_READINGS:
        index = FROZEN_READINGS.start
    middle_hour = (index - 0.5) * INTERVAL_MINUTES / 60
    return power_kw(middle_hour) * _unrest(meter_id, index) * INTERVAL_MINUTES / 60


def _unrest(meter_id: str, index: int) -> float:
    """Return a factor near 1 that never repeats within the day, from waves instead of chance."""
    phase = sum(meter_id.encode()) % 97
    return 1 + 0.035 * math.sin(1.7 * index + phase) + 0.02 * math.sin(0.61 * index**1.3 + phase)


def _between(hour: float, start: float, end: float, ramp_hours: float) -> float:
    """Return how far something is on: 0 outside ``start`` to ``end``, 1 inside, with a ramp at both sides."""
    return max(0.0, min(1.0, (hour - start) / ramp_hours, (end - hour) / ramp_hours))


def _shop(opens: float, closes: float, busy_kw: float) -> Callable[[float], float]:
    def power_kw(hour: float) -> float:
        bake_off = 4.0 * _between(hour, opens - 0.75, opens + 1.5, 0.25) + 2.5 * _between(hour, 14.0, 15.5, 0.25)
        cooling_of_noon = 0.8 * _between(hour, 11.0, 17.0, 2.0)
        return 2.4 + busy_kw * _between(hour, opens, closes, 0.5) + bake_off + cooling_of_noon

    return power_kw


def _oven_line(hour: float) -> float:
    return 6.0 + 174.0 * _between(hour, 1.5, 8.5, 0.75) + 84.0 * _between(hour, 13.0, 15.75, 0.5)


def _van_chargers(hour: float) -> float:
    # The last quarter of each van's charge tapers off, hence the long ramp down.
    return 0.4 + 88.0 * max(0.0, min(1.0, (hour - 14.25) / 0.75, (18.5 - hour) / 1.75))


METERS: dict[str, Callable[[float], float]] = {
    "shop-quayside": _shop(6.0, 19.0, 7.6),
    "shop-millgate": _shop(6.5, 18.0, 5.9),
    "oven-line-1": _oven_line,
    "van-chargers": _van_chargers,
}


if __name__ == "__main__":
    main()
