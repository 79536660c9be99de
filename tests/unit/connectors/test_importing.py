"""Importing in batches: counts, duplicates, rejections and being stopped."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from bailiwick.connectors import importing
from bailiwick.connectors.importing import ImportCancelledError, ImportReport, import_issues, import_readings
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.meters import MeterReading
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.events import NewEvent, Published
from bailiwick.kernel.errors import DatabaseUnavailableError, InvalidInputError

START = datetime(2026, 3, 1, tzinfo=UTC)


class MemorySink:
    """Keeps what the event log and the rejected list would keep."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        self.events: dict[str | None, NewEvent] = {}
        self.rejected: list[RejectedRecord] = []
        self.batches: list[int] = []
        self.reached = asyncio.Event()
        self._stop_after = stop_after

    async def publish(self, events: Sequence[NewEvent]) -> list[Published]:
        if self._stop_after is not None and len(self.batches) == self._stop_after:
            self.reached.set()
            await asyncio.Event().wait()
        self.batches.append(len(events))
        answers: list[Published] = []
        for event in events:
            answers.append(Published(event.dedupe_key or "", event.dedupe_key in self.events))
            self.events.setdefault(event.dedupe_key, event)
        return answers

    async def reject(self, record: RejectedRecord) -> None:
        self.rejected.append(record)


def issue(number: int, *, closed: bool = False) -> IssueRecord:
    return IssueRecord(
        source="github", repository="acme/shop", number=number, title="Checkout fails", created_at=START,
        state="closed" if closed else "open", closed_at=START if closed else None,
    )  # fmt: skip


def bad(line: int) -> RejectedRecord:
    return RejectedRecord(line=line, ordinal=line, reason="title is missing", raw="{}")


async def test_open_issues_are_work_and_closed_ones_are_history() -> None:
    sink = MemorySink()
    report = await import_issues([issue(1), bad(2), issue(3, closed=True)], sink)
    assert [(event.type, event.key) for event in sink.events.values()] == [
        ("issue.opened", "acme/shop#1"),
        ("issue.imported", "acme/shop#3"),
    ]
    assert report == ImportReport(2, 0, 1, [(2, "title is missing")], is_complete=True)
    assert sink.rejected == [bad(2)]


async def test_the_same_file_twice_creates_nothing_new() -> None:
    sink = MemorySink()
    records = [issue(number, closed=number % 2 == 0) for number in range(1, 8)]
    await import_issues(records, sink, batch_size=3)
    report = await import_issues(records, sink, batch_size=3)
    assert (report.accepted, report.duplicates) == (0, 7)


async def test_an_issue_that_was_closed_since_the_last_import_is_told() -> None:
    sink = MemorySink()
    await import_issues([issue(1)], sink)
    report = await import_issues([issue(1, closed=True)], sink)
    assert report.accepted == 1


async def test_batches_are_full_and_progress_is_told_after_each() -> None:
    sink = MemorySink()
    seen: list[int] = []
    records = (issue(number) for number in range(25))
    await import_issues(records, sink, batch_size=10, progress=lambda report: seen.append(report.accepted))
    assert sink.batches == [10, 10, 5]
    assert seen == [10, 20, 25]


async def test_the_report_lists_a_bounded_number_of_rejections_and_the_sink_has_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "REPORTED_REJECTIONS", 5)
    sink = MemorySink()
    report = await import_issues((bad(line) for line in range(1, 21)), sink, batch_size=4)
    assert report.rejected_count == 20
    assert [line for line, _ in report.rejected] == [1, 2, 3, 4, 5]
    assert len(sink.rejected) == 20
    assert sink.batches == []


async def test_a_stopped_import_says_what_it_accepted_and_can_be_repeated() -> None:
    records = [issue(number) for number in range(50)]
    sink = MemorySink(stop_after=2)
    task = asyncio.create_task(import_issues(records, sink, batch_size=10))
    await sink.reached.wait()
    task.cancel()
    with pytest.raises(ImportCancelledError) as stopped:
        await task
    assert stopped.value.report.accepted == 20
    assert not stopped.value.report.is_complete
    sink._stop_after = None
    report = await import_issues(records, sink, batch_size=10)
    assert (report.accepted, report.duplicates) == (30, 20)


async def test_the_reader_is_never_left_running_after_a_stop() -> None:
    started, finished = asyncio.Event(), False
    loop = asyncio.get_running_loop()

    def slow() -> Iterator[IssueRecord]:
        nonlocal finished
        for number in range(3):
            loop.call_soon_threadsafe(started.set)
            yield issue(number)
        finished = True

    task = asyncio.create_task(import_issues(slow(), MemorySink()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished


async def test_faults_of_the_input_or_the_sink_come_out_as_they_are() -> None:
    def unreadable() -> Iterator[IssueRecord]:
        yield issue(1)
        raise InvalidInputError("x is empty")

    class Down(MemorySink):
        async def publish(self, events: Sequence[NewEvent]) -> list[Published]:
            raise DatabaseUnavailableError("the database is down")

    with pytest.raises(InvalidInputError):
        await import_issues(unreadable(), MemorySink())
    with pytest.raises(DatabaseUnavailableError):
        await import_issues([issue(1)], Down())


async def test_the_same_reading_twice_is_one_event() -> None:
    reading = MeterReading(meter_id="hall-1", unit="kWh", value=1.0, read_at=START, interval_minutes=15)
    sink = MemorySink()
    report = await import_readings([reading, reading, bad(3)], sink)
    assert (report.accepted, report.duplicates, report.rejected_count) == (1, 1, 1)
    (event,) = sink.events.values()
    assert (event.type, event.key, event.occurred_at) == ("meter.read", "hall-1", START)
