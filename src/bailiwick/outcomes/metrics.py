"""Checks of what is measured: meter readings, or any number in the payload of an event.

Readings of one bucket (a day, unless said otherwise) are averaged first, so that
the course of a day and readings that resemble their neighbours do not pass for
many independent points. Means are then compared by Welch's test (B. L. Welch,
Biometrika 34, 1947) with Satterthwaite's degrees of freedom: a difference within
the noise is unknown, and says so.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.outcomes.checks import Expected, Finding, Reading
from bailiwick.storage import Database

Direction = Literal["below", "above"]
SideName = Literal["before", "after"]

# Readings that are the promising run's own word prove nothing: they are counted and left out.
_POINTS = """
with points as (
    select cause_id, (payload #>> %(path)s::text[])::float8 as value,
           case when %(at)s::text[] is null then occurred_at else moment_of(payload #>> %(at)s::text[]) end as at
    from events
    where organization_id = %(org)s and type = %(type)s and key = %(key)s
      and jsonb_typeof(payload #> %(path)s::text[]) = 'number'
), own as materialized (
    select c.cause_id from (
        select distinct cause_id from points where at > %(begins)s and at <= %(ends)s and cause_id is not null) as c
    where is_own_word(c.cause_id, %(task)s, %(agent)s)
)
select avg(value) filter (where o.cause_id is null) as mean, count(*) filter (where o.cause_id is null) as readings,
       count(o.cause_id) as own
from points left join own o on o.cause_id = points.cause_id
where at > %(begins)s and at <= %(ends)s
group by floor(extract(epoch from at - %(begins)s) / %(bucket)s)"""

_PATH = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+){0,9}$"


class MetricExpected(BaseModel):
    """Which number should change, against which time before."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=500, description="What is measured: the meter, or an event's key.")
    type: str = Field(default="meter.read", min_length=1, max_length=200, description="Of the events that carry it.")
    field: str = Field(default="value", pattern=_PATH, description="Of the payload, the number.")
    at: str | None = Field(
        default=None, pattern=_PATH,
        description="Of the payload, its time. Nothing: read_at of meter readings, when the event occurred of others.",
    )  # fmt: skip
    baseline_days: float = Field(default=28, gt=0, le=3660, description="How long before the expectation to compare.")
    settle_hours: float = Field(default=0, ge=0, le=24 * 366, description="How long it may take to have effect.")
    by_fraction: float = Field(default=0, ge=0, lt=10, description="How much it must change, as part of the baseline.")
    bucket_hours: float = Field(default=24, gt=0, le=24 * 31, description="Readings so close together are one point.")
    minimum_points: int = Field(default=7, ge=2, le=100_000, description="Of each side; fewer: unknown.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="One-sided, of the difference.")

    @property
    def time_path(self) -> list[str] | None:
        """Where in the payload the time stands; None where that of the event counts."""
        named = self.at or ("read_at" if self.type == "meter.read" else None)
        return None if named is None else named.split(".")


class MetricAbove(MetricExpected):
    """Which number should rise, above the baseline or above a number."""

    threshold: float | None = Field(default=None, allow_inf_nan=False, description="Instead of the baseline.")


@dataclass(frozen=True, slots=True)
class Sample:
    """Points of one side: how many, of how many readings, their mean and standard deviation."""

    points: int
    readings: int
    mean: float
    deviation: float

    @property
    def variance_of_mean(self) -> float:
        """The square of the mean's standard error."""
        return self.deviation**2 / self.points

    def times(self, factor: float) -> "Sample":
        """Return the sample with every point multiplied."""
        return Sample(self.points, self.readings, self.mean * factor, self.deviation * abs(factor))


@dataclass(frozen=True, slots=True)
class _Side:
    """What is known of one side: ``own`` counts readings that the promising run or its agent told, left out."""

    name: SideName
    sample: Sample | None
    own: int

    def lacks(self, arguments: MetricExpected) -> str | None:
        """Say what is missing before this side can be judged, None where nothing is."""
        found = 0 if self.sample is None else self.sample.points
        if found >= arguments.minimum_points:
            return None
        if found == 0 and self.own:
            return (
                f"readings of others: all {self.own} readings of {arguments.field} {self.name} the expectation were "
                "told by the run itself, its kin or its agent"
            )
        return (
            f"{arguments.minimum_points - found} more points of {arguments.field} {self.name} the expectation "
            f"(there are {found} of {arguments.minimum_points}"
            + (f", without {self.own} readings that the run or its agent told itself)" if self.own else ")")
        )

    def shown(self) -> dict[str, Any]:
        """Return this side as evidence shows it."""
        own = {f"own_{self.name}": self.own} if self.own else {}
        return {self.name: None if self.sample is None else asdict(self.sample), **own}


class MetricCheck:
    """``metric.below_baseline`` and ``metric.above``; what the promising run and its agent told is left out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def below(self, organization_id: str, arguments: MetricExpected, expected: Expected) -> Finding:
        """Worked if the metric is lower than before by at least the fraction asked for."""
        return await self._against_baseline(organization_id, arguments, expected, "below")

    async def above(self, organization_id: str, arguments: MetricAbove, expected: Expected) -> Finding:
        """Worked if the metric is higher than before by at least that fraction, or higher than the threshold."""
        if arguments.threshold is None:
            return await self._against_baseline(organization_id, arguments, expected, "above")
        after = await self._side("after", organization_id, arguments, expected)
        reading = _reading(arguments, {**after.shown(), "threshold": arguments.threshold})
        lacking = after.lacks(arguments)
        if lacking is not None:
            return Finding("unknown", (reading,), lacking)
        assert after.sample is not None
        level = Sample(1, 1, arguments.threshold, 0.0)
        return _judged(difference(after.sample, level, arguments.confidence), "above", reading)

    async def _against_baseline(
        self, organization_id: str, arguments: MetricExpected, expected: Expected, direction: Direction
    ) -> Finding:
        before = await self._side("before", organization_id, arguments, expected)
        after = await self._side("after", organization_id, arguments, expected)
        reading = _reading(arguments, {**before.shown(), **after.shown()})
        for side in (before, after):
            lacking = side.lacks(arguments)
            if lacking is not None:
                return Finding("unknown", (reading,), lacking)
        assert before.sample is not None
        assert after.sample is not None
        factor = 1 - arguments.by_fraction if direction == "below" else 1 + arguments.by_fraction
        bounds = difference(after.sample, before.sample.times(factor), arguments.confidence)
        return _judged(bounds, direction, reading)

    async def _side(self, name: SideName, organization_id: str, arguments: MetricExpected, expected: Expected) -> _Side:
        begins, ends = _window(name, arguments, expected)
        rows = await self._database.fetch_all(
            _POINTS,
            {"org": organization_id, "type": arguments.type, "key": arguments.key, "begins": begins, "ends": ends,
             "path": arguments.field.split("."), "at": arguments.time_path, "bucket": arguments.bucket_hours * 3600,
             "task": expected.task_id, "agent": expected.agent_id},
            organization_id=organization_id,
        )  # fmt: skip
        means = [float(row["mean"]) for row in rows if row["readings"]]
        sample = sample_of(means, sum(row["readings"] for row in rows)) if means else None
        return _Side(name, sample, sum(row["own"] for row in rows))


def sample_of(points: Sequence[float], readings: int) -> Sample:
    """Return what is needed of some points; the deviation is the unbiased one, 0 of a single point."""
    mean = math.fsum(points) / len(points)
    squares = math.fsum((point - mean) ** 2 for point in points)
    deviation = math.sqrt(squares / (len(points) - 1)) if len(points) > 1 else 0.0
    return Sample(len(points), readings, mean, deviation)


def difference(after: Sample, before: Sample, confidence: float) -> tuple[float, float]:
    """Return one-sided bounds of the difference of means, after minus before: lower and upper, each of that confidence.

    A side of one point is taken as exact.
    """
    gap = after.mean - before.mean
    parts = [sample for sample in (after, before) if sample.deviation > 0]
    variance = math.fsum(sample.variance_of_mean for sample in parts)
    if variance == 0:
        return gap, gap
    freedom = variance**2 / math.fsum(sample.variance_of_mean**2 / (sample.points - 1) for sample in parts)
    from scipy.special import stdtrit  # noqa: PLC0415 - a tenth of a second that starting need not pay

    reach = float(stdtrit(freedom, confidence)) * math.sqrt(variance)
    return gap - reach, gap + reach


def _judged(bounds: tuple[float, float], direction: Direction, reading: Reading) -> Finding:
    lower, upper = bounds
    shown = Reading(reading.source, reading.at, {**reading.seen, "difference": {"from": lower, "to": upper}})
    if (upper < 0) if direction == "below" else (lower > 0):
        return Finding("worked", (shown,))
    if (lower >= 0) if direction == "below" else (upper <= 0):
        return Finding("did_not", (shown,))
    return Finding("unknown", (shown,), "more readings, or a larger change: the difference lies within the noise")


def _window(side: SideName, arguments: MetricExpected, expected: Expected) -> tuple[datetime, datetime]:
    if side == "before":
        return expected.expected_at - timedelta(days=arguments.baseline_days), expected.expected_at
    return expected.expected_at + timedelta(hours=arguments.settle_hours), expected.check_at


def _reading(arguments: MetricExpected, seen: dict[str, Any]) -> Reading:
    source = f"{arguments.field} of {arguments.type} events of {arguments.key}"
    return Reading(source, datetime.now(UTC), seen)
