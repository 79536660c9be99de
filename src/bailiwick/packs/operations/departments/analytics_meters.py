"""Judges meter readings against the meter's own history, and sums up a day."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np

from bailiwick.connectors.meters import MeterReading
from bailiwick.packs.operations.departments.figures import rounded

FaultKind = Literal["negative", "frozen", "gap", "spike", "unit changed", "repeated"]

FROZEN_READINGS = 6
"""Equal readings in a row, not zero, after which a meter counts as frozen."""
SPIKE_Z = 5.0
MIN_SAME_HOUR = 7
"""Earlier readings of the same hour that a judgement of spikes needs."""
SPIKE_SHARE = 0.25
"""A spike also differs by this share of the usual value, so that a steady meter may twitch."""


@dataclass(frozen=True, slots=True)
class ReadingFault:
    """What is wrong with a reading, with the figures behind it."""

    kind: FaultKind
    detail: str


@dataclass(frozen=True, slots=True)
class ReadingCheck:
    """The faults of a reading; ``not_checked`` names what history was too short for."""

    faults: tuple[ReadingFault, ...]
    not_checked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DaySummary:
    """A day of one meter in UTC. ``load_factor`` is mean over peak demand; ``expected`` readings at its interval.

    Demands are energy per interval as power: ``peak_kw``, ``base_kw`` (5% quantile). With readings missing,
    ``energy_kwh`` is what was measured, not an estimate of the whole day.
    """

    meter_id: str
    day: date
    readings: int
    expected: int
    energy_kwh: float
    peak_kw: float
    peak_at: datetime
    base_kw: float
    load_factor: float | None


def check_reading(reading: MeterReading, history: Sequence[MeterReading]) -> ReadingCheck:
    """Check a reading against earlier ones of its meter: negative, repeated, frozen, gap, spike, changed unit.

    Spikes are judged by the robust z against readings of the same hour of the day (UTC) and of the same
    kind of day when there are enough, else of every day.
    """
    earlier = sorted(
        (one for one in history if one.meter_id == reading.meter_id and one.read_at < reading.read_at),
        key=lambda one: one.read_at,
    )
    faults: list[ReadingFault] = []
    if reading.value < 0:
        faults.append(ReadingFault("negative", f"{reading.value:g} {reading.unit} is below zero"))
    if any(one.meter_id == reading.meter_id and one.read_at == reading.read_at for one in history):
        faults.append(ReadingFault("repeated", f"there already is a reading of {reading.read_at.isoformat()}"))
    if not earlier:
        return ReadingCheck(tuple(faults), ("frozen, gap and spike: the meter has no earlier reading",))
    last = earlier[-1]
    if last.unit != reading.unit:
        faults.append(ReadingFault("unit changed", f"{last.unit} before, {reading.unit} now"))
        return ReadingCheck(tuple(faults), (f"frozen and spike: no earlier reading in {reading.unit}",))
    faults.extend(filter(None, (_gap(reading, last), _frozen(reading, earlier))))
    same_hour = _same_hour(reading, earlier)
    if len(same_hour) < MIN_SAME_HOUR:
        return ReadingCheck(
            tuple(faults), (f"spike: {len(same_hour)} earlier readings of this hour, {MIN_SAME_HOUR} needed",)
        )
    spike = _spike(reading, same_hour)
    return ReadingCheck((*faults, spike) if spike else tuple(faults), ())


def summarize_day(readings: Sequence[MeterReading], day: date) -> DaySummary | None:
    """Sum up the readings of one meter whose intervals lie in a UTC day, or None when there is none in kWh.

    Readings in Wh and MWh are converted; other units are no energy. Repeated times count once, the last wins.
    """
    kept = {one.read_at: one for one in readings if one.unit in _KWH_PER and _starts_on(one, day)}
    if not kept:
        return None
    rows = [kept[moment] for moment in sorted(kept)]
    energy = np.array([one.value * _KWH_PER[one.unit] for one in rows])
    hours = np.array([one.interval_minutes / 60 for one in rows])
    power = energy / hours
    peak = int(power.argmax())
    mean_power = float(energy.sum() / hours.sum())
    return DaySummary(
        meter_id=rows[0].meter_id,
        day=day,
        readings=len(rows),
        expected=math.ceil(1440 / rows[0].interval_minutes),
        energy_kwh=float(energy.sum()),
        peak_kw=float(power[peak]),
        peak_at=rows[peak].read_at,
        base_kw=float(np.quantile(power, 0.05)),
        load_factor=mean_power / float(power[peak]) if power[peak] > 0 else None,
    )


_KWH_PER = {"kWh": 1.0, "Wh": 0.001, "MWh": 1000.0}


def _starts_on(reading: MeterReading, day: date) -> bool:
    # A reading stands at the end of its interval: midnight belongs to the day before.
    return (reading.read_at - timedelta(minutes=reading.interval_minutes)).date() == day


def _gap(reading: MeterReading, last: MeterReading) -> ReadingFault | None:
    minutes = (reading.read_at - last.read_at).total_seconds() / 60
    lost = round(minutes / reading.interval_minutes) - 1
    if lost < 1:
        return None
    return ReadingFault(
        "gap", f"{lost} reading(s) missing between {last.read_at.isoformat()} and {reading.read_at.isoformat()}"
    )


def _frozen(reading: MeterReading, earlier: Sequence[MeterReading]) -> ReadingFault | None:
    # Nothing used at all can be true for long; the same use again and again is not.
    if reading.value == 0:
        return None
    run = 1
    for one in reversed(earlier):
        if one.value != reading.value:
            break
        run += 1
    return (
        ReadingFault("frozen", f"{run} equal readings of {reading.value:g} {reading.unit}")
        if run >= FROZEN_READINGS
        else None
    )


def _same_hour(reading: MeterReading, earlier: Sequence[MeterReading]) -> list[float]:
    same = [one for one in earlier if one.read_at.hour == reading.read_at.hour and one.unit == reading.unit]
    is_weekend = reading.read_at.weekday() >= 5
    alike = [one for one in same if (one.read_at.weekday() >= 5) == is_weekend]
    return [one.value for one in (alike if len(alike) >= MIN_SAME_HOUR else same)]


def _spike(reading: MeterReading, usual: Sequence[float]) -> ReadingFault | None:
    values = np.asarray(usual)
    median = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - median)))
    away = reading.value - median
    if abs(away) <= SPIKE_SHARE * abs(median) or away == 0:
        return None
    z = away / spread if spread > 0 else math.copysign(math.inf, away)
    if abs(z) <= SPIKE_Z:
        return None
    said = f"robust z {rounded(z, 1)}" if math.isfinite(z) else "every earlier value was equal"
    return ReadingFault(
        "spike", f"{reading.value:g} {reading.unit} where {median:g} is usual at this hour ({said}, n {len(values)})"
    )
