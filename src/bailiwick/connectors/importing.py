"""Bringing a stream of records into an organization, in batches."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeVar

from bailiwick.connectors.facts import found, metered
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.meters import MeterReading
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.events import NewEvent, Published

REPORTED_REJECTIONS = 1000

Record = TypeVar("Record")


class ImportSink(Protocol):
    """Where an import puts what it read."""

    async def publish(self, events: Sequence[NewEvent]) -> Sequence[Published]:
        """Record a batch in one transaction; answer in the same order."""
        ...

    async def reject(self, record: RejectedRecord) -> None:
        """Keep a rejected record, so that it can be mended and redriven."""
        ...


@dataclass
class ImportReport:
    """What became of an import; grows while it runs.

    ``accepted`` counts new events, ``duplicates`` those that were there
    before. ``rejected`` lists line and reason of the first
    ``REPORTED_REJECTIONS``; all of them are in the sink. ``is_complete`` is
    False while it runs and after it was stopped.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected_count: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)
    is_complete: bool = False


class ImportCancelledError(asyncio.CancelledError):
    """An import was stopped; ``report`` says what it had accepted, which stays.

    Importing the same input again goes on from there, because what is there
    already counts as duplicate.
    """

    def __init__(self, report: ImportReport) -> None:
        """Keep the report for whoever stopped the import."""
        super().__init__(f"stopped after {report.accepted} accepted and {report.rejected_count} rejected records")
        self.report = report


Progress = Callable[[ImportReport], None]


async def import_issues(
    records: Iterable[IssueRecord | RejectedRecord],
    sink: ImportSink,
    *,
    batch_size: int = 500,
    progress: Progress | None = None,
) -> ImportReport:
    """Publish issues in batches: open ones as ``issue.opened``, closed ones as ``issue.imported``.

    The same issue twice, in one input or in two, is one event. ``progress`` is
    called after each batch. Reading happens in a thread.

    Raises:
        ImportCancelledError: the task was cancelled; batches published before stay.
        BailiwickError: the input cannot be read, or the sink refused a batch.
    """
    return await _import(records, found, sink, batch_size, progress)


async def import_readings(
    records: Iterable[MeterReading | RejectedRecord],
    sink: ImportSink,
    *,
    batch_size: int = 500,
    progress: Progress | None = None,
) -> ImportReport:
    """Publish meter readings in batches as ``meter.read``; otherwise as `import_issues`."""
    return await _import(records, metered, sink, batch_size, progress)


async def _import(
    records: Iterable[Record | RejectedRecord],
    to_event: Callable[[Record], NewEvent],
    sink: ImportSink,
    batch_size: int,
    progress: Progress | None,
) -> ImportReport:
    report = ImportReport()
    iterator = iter(records)
    try:
        while batch := await _uninterrupted(asyncio.to_thread(_take, iterator, batch_size)):
            events = [to_event(record) for record in batch if not isinstance(record, RejectedRecord)]
            published = await sink.publish(events) if events else ()
            duplicates = sum(1 for answer in published if answer.is_duplicate)
            report.duplicates += duplicates
            report.accepted += len(published) - duplicates
            for record in batch:
                if isinstance(record, RejectedRecord):
                    await _reject(record, sink, report)
            if progress is not None:
                progress(report)
    except asyncio.CancelledError as error:
        raise ImportCancelledError(report) from error
    report.is_complete = True
    return report


def _take(iterator: Iterator[Record], size: int) -> list[Record]:
    return list(islice(iterator, size))


async def _reject(record: RejectedRecord, sink: ImportSink, report: ImportReport) -> None:
    await sink.reject(record)
    report.rejected_count += 1
    if len(report.rejected) < REPORTED_REJECTIONS:
        report.rejected.append((record.line, record.reason))


async def _uninterrupted(work: Awaitable[list[Record]]) -> list[Record]:
    """Wait for a thread to end even when cancelled, so that nobody closes the reader under it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
