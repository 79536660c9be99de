"""Meter readings: every new one is checked against its meter's past, and each day is summed up."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from bailiwick.connectors.meters import MeterReading
from bailiwick.events import NewEvent
from bailiwick.kernel.ids import id_at, new_id
from bailiwick.kernel.loading import load
from bailiwick.packs.operations import event_types as facts
from bailiwick.storage import Database
from bailiwick.tasks import NewTask, Run

WINDOW_SECONDS = 2
"""Readings of a meter that arrive within this time are checked by one task."""

HISTORY = timedelta(days=28)
_LOOK_BACK = timedelta(minutes=10)
_MAX_READINGS = 20_000

_READINGS = """
select id, payload from events
where organization_id = %(org)s and type = 'meter.read' and key = %(meter)s
  and (%(after)s::uuid is null or id > %(after)s) and (%(since)s::timestamptz is null or occurred_at >= %(since)s)
order by occurred_at limit %(limit)s"""

_KEEP_FINDING = """
insert into meter_findings (id, organization_id, meter_id, kind, detail, value, unit, started_at, ended_at)
values (%(id)s, %(org)s, %(meter_id)s, %(kind)s, %(detail)s, %(value)s, %(unit)s, %(started_at)s, %(ended_at)s)
on conflict (organization_id, meter_id, kind, started_at) do update
set detail = excluded.detail, value = excluded.value, ended_at = excluded.ended_at"""

_KEEP_DAY = """
insert into meter_days (organization_id, meter_id, day, readings, expected, energy_kwh, peak_kw, peak_at, base_kw,
                        load_factor, not_checked)
values (%(org)s, %(meter_id)s, %(day)s, %(readings)s, %(expected)s, %(energy_kwh)s, %(peak_kw)s, %(peak_at)s,
        %(base_kw)s, %(load_factor)s, %(not_checked)s)
on conflict (organization_id, meter_id, day) do update
set readings = excluded.readings, expected = excluded.expected, energy_kwh = excluded.energy_kwh,
    peak_kw = excluded.peak_kw, peak_at = excluded.peak_at, base_kw = excluded.base_kw,
    load_factor = excluded.load_factor, not_checked = excluded.not_checked"""


class MeterCheck(BaseModel):
    """Which meter has new readings."""

    meter_id: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one reading, or of several in a row."""

    kind: str
    detail: str
    value: float
    unit: str
    started_at: datetime
    ended_at: datetime


def check_of(reading: MeterReading) -> NewTask:
    """Return the task that follows from a reading: one for all that arrive about now."""
    now = datetime.now(UTC).timestamp()
    key = f"meter.check:{reading.meter_id}:{int(now // WINDOW_SECONDS)}"
    return NewTask(
        "meter.check", MeterCheck(meter_id=reading.meter_id), priority=3, delay_seconds=WINDOW_SECONDS, key=key
    )


class MeterChecks:
    """The handler of ``meter.check``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, run: Run, wanted: MeterCheck) -> dict[str, Any]:
        """Check what arrived in the last minutes; tell every finding once."""
        report = await run.step("check", self._check, run.task.organization_id, wanted.meter_id)
        for found in report["findings"]:
            anomaly = facts.MeterAnomaly(meter_id=wanted.meter_id, **found)
            dedupe_key = f"meter.anomaly:{wanted.meter_id}:{anomaly.kind}:{anomaly.started_at.isoformat()}"
            await run.publish(NewEvent("meter.anomaly_found", anomaly, wanted.meter_id, dedupe_key))
        return {"meter": wanted.meter_id, "checked": report["checked"], "findings": len(report["findings"])}

    async def _check(self, organization_id: str, meter_id: str) -> dict[str, Any]:
        # Looking back further than the window finds what was committed late; checking twice changes nothing.
        fresh = await self._readings(organization_id, meter_id, after=id_at(datetime.now(UTC) - _LOOK_BACK))
        if not fresh:
            return {"checked": 0, "findings": []}
        known = await self._readings(organization_id, meter_id, since=fresh[0].read_at - HISTORY)
        from_when = fresh[0].read_at
        findings, not_checked = await asyncio.to_thread(_judge, known, from_when)
        days = await asyncio.to_thread(_days, known, from_when)
        async with self._database.transaction(organization_id) as connection:
            for found in findings:
                row = {"id": new_id(), "org": organization_id, "meter_id": meter_id, **asdict(found)}
                await connection.execute(_KEEP_FINDING, row)
            for summary in days:
                await connection.execute(
                    _KEEP_DAY, {**summary, "org": organization_id, "not_checked": list(not_checked)}
                )
        return {"checked": len(fresh), "findings": [asdict(found) for found in findings]}

    async def _readings(
        self, organization_id: str, meter_id: str, *, after: str | None = None, since: datetime | None = None
    ) -> list[MeterReading]:
        rows = await self._database.fetch_all(
            _READINGS,
            {"org": organization_id, "meter": meter_id, "after": after, "since": since, "limit": _MAX_READINGS},
            organization_id=organization_id,
        )
        return [MeterReading.model_validate(row["payload"]) for row in rows]


def _judge(known: Sequence[MeterReading], from_when: datetime) -> tuple[list[Finding], list[str]]:
    """Return the findings from a moment on, in runs, and what could not be checked."""
    # Loaded at the first check, for the same reason as the workroom.
    check_reading = load("bailiwick.packs.operations.departments.analytics_meters").check_reading
    find_outlier = load("bailiwick.packs.operations.meter_outliers").find_outlier

    findings: list[Finding] = []
    not_checked: Counter[str] = Counter()
    judged = 0
    for position, reading in enumerate(known):
        if reading.read_at < from_when:
            continue
        checked = check_reading(reading, known[:position])
        faults = [(fault.kind, fault.detail) for fault in checked.faults]
        if checked.not_checked:
            outlier = find_outlier(reading, known)
            if outlier is not None:
                faults.append(("spike", outlier))
            not_checked.update(text.partition(":")[0] for text in checked.not_checked)
        judged += 1
        for kind, detail in faults:
            began, ended = _extent(known, position, kind)
            found = Finding(kind, detail, reading.value, reading.unit, began, ended)
            # One frozen morning is one finding, not one for every quarter of an hour.
            findings = [one for one in findings if (one.kind, one.started_at) != (kind, began)] + [found]
    return findings, [f"{what}: too little history for {n} of {judged} readings" for what, n in not_checked.items()]


def _extent(known: Sequence[MeterReading], position: int, kind: str) -> tuple[datetime, datetime]:
    """Return the first and last interval end that a fault concerns: equal readings, missing ones, or this one."""
    reading = known[position]
    first = position
    if kind == "gap" and position > 0:
        interval = timedelta(minutes=reading.interval_minutes)
        return known[position - 1].read_at + interval, reading.read_at - interval
    while kind == "frozen" and first > 0 and known[first - 1].value == reading.value:
        first -= 1
    return known[first].read_at, reading.read_at


def _days(known: Sequence[MeterReading], from_when: datetime) -> list[dict[str, Any]]:
    from bailiwick.packs.operations.departments.analytics_meters import summarize_day  # noqa: PLC0415

    days: list[date] = sorted({_day(reading) for reading in known if reading.read_at >= from_when})
    summaries = [summarize_day(known, day) for day in days]
    return [asdict(summary) for summary in summaries if summary is not None]


def _day(reading: MeterReading) -> date:
    # A reading stands at the end of its interval: midnight belongs to the day before.
    return (reading.read_at - timedelta(minutes=reading.interval_minutes)).date()
