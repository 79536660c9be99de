"""Loads the demo input and moves its relative times to the moment of loading.

The files hold ages (``created_minutes_ago``) instead of times, so that the P0
that is about to miss its deadline is always about to miss it.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from importlib.resources import files
from typing import Final

import orjson

from bailiwick.connectors.meters import MeterReading
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES, JsonObject

DEMO_REPOSITORY: Final = "harbour-lane/operations"
"""The repository that the demo issues come from, as ``owner/name``."""

METER_INTERVAL_MINUTES: Final = 15

_AGE_FIELDS: Final = {
    "created_minutes_ago": "created_at",
    "updated_minutes_ago": "updated_at",
    "closed_minutes_ago": "closed_at",
}
_GOOD_BETWEEN_MALFORMED: Final = 8
_DATA = files("bailiwick.demo") / "data"


def demo_issue_lines(now: datetime) -> Iterator[bytes]:
    """Yield the demo issues as JSON lines with absolute times, oldest first, without line ends.

    Most lines are GitHub REST issue objects of ``DEMO_REPOSITORY``, comments
    nested. Malformed records stand between them; the reader has to reject
    those and go on. One of them is larger than a payload may be, which is why
    it is made here and not stored.

    Args:
        now: the aware moment that the ages count back from.
    """
    _require_aware(now)
    malformed = iter([*_stored_lines("malformed.jsonl"), _oversized_line()])
    for position, line in enumerate(_stored_lines("issues.jsonl"), start=1):
        yield _with_times(line, now)
        if position % _GOOD_BETWEEN_MALFORMED == 0:
            yield from (_with_times(bad, now) for bad in _next_of(malformed))
    yield from (_with_times(bad, now) for bad in malformed)


def demo_issue_documents(now: datetime | None = None) -> Iterator[JsonObject]:
    """Yield the well-formed issues as `demo_issue_lines` does, as objects."""
    for line in _stored_lines("issues.jsonl"):
        yield _timed(orjson.loads(line), now or datetime.now(UTC))


def demo_meter_rows(now: datetime) -> Iterator[MeterReading]:
    """Yield the last complete UTC day before ``now``, in time order, in kWh per 15 minutes.

    Four meters; what is planted in them stands in ``data/README.md``. A gap is
    readings that are not there.
    """
    _require_aware(now)
    today = datetime.combine(now.astimezone(UTC).date(), time(), tzinfo=UTC)
    yesterday = today - timedelta(days=1)
    lines = (_DATA / "meters.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(lines):
        hours, minutes = row["interval_end"].split(":")
        yield MeterReading(
            meter_id=row["meter_id"],
            unit="kWh",
            value=float(row["energy_kwh"]),
            read_at=yesterday + timedelta(hours=int(hours), minutes=int(minutes)),
            interval_minutes=METER_INTERVAL_MINUTES,
        )


def _require_aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")


def _stored_lines(name: str) -> list[bytes]:
    return (_DATA / name).read_bytes().rstrip(b"\n").split(b"\n")


def _next_of(lines: Iterator[bytes]) -> tuple[bytes, ...]:
    line = next(lines, None)
    return () if line is None else (line,)


def _oversized_line() -> bytes:
    sentence = "The whole log of the label printer, pasted by mistake. "
    body = sentence * (MAX_PAYLOAD_BYTES // len(sentence) + 1)
    return orjson.dumps(
        {
            "number": 911,
            "title": "Record that is larger than the limit",
            "body": body,
            "state": "open",
            "labels": [],
            "user": {"login": "legacy-sync"},
            "repository_url": f"https://git.harbourlane.example/api/v3/repos/{DEMO_REPOSITORY}",
            "created_minutes_ago": 90,
        }
    )


def _with_times(line: bytes, now: datetime) -> bytes:
    """Return the line with ages turned into times; what is no JSON object stays as it is."""
    try:
        record: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    if not isinstance(record, dict):
        return line
    return orjson.dumps(_timed(record, now))


def _timed(record: JsonObject, now: datetime) -> JsonObject:
    timed: JsonObject = {}
    for key, value in record.items():
        if key in _AGE_FIELDS:
            moment = (now - timedelta(minutes=value)).astimezone(UTC)
            timed[_AGE_FIELDS[key]] = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
        elif key == "comments" and isinstance(value, list):
            timed[key] = [_timed(comment, now) for comment in value]
        else:
            timed[key] = value
    return timed
