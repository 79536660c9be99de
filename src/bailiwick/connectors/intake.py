"""How records come in: read by their source's reader, published, and kept in the rejected list where refused."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from bailiwick.audit import SYSTEM, Actor
from bailiwick.connectors.csv import CsvMapping, read_csv_issues
from bailiwick.connectors.facts import brought
from bailiwick.connectors.importing import ImportReport, ImportSink, Progress, import_issues, import_readings
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.readings import read_meter_readings
from bailiwick.connectors.records import read_github_issues
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.connectors.sources import PathOrStream
from bailiwick.events import EventLog, NewEvent, Published
from bailiwick.events.rejections import NewRejection, Rejections
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from bailiwick.kernel.labels import untrusted

_BATCH = 200
_FILE = untrusted("file")
_CONTEXT = ("repository", "columns", "date_format", "timezone")


@dataclass(frozen=True)
class RecordSource:
    """Where records come from and how they are read.

    ``name`` is ``github``, ``csv`` or ``meters``; ``repository`` stands in
    where issues name none; ``columns`` is a column map as `CsvMapping.parse`
    reads it, ``timezone`` that of times written without an offset.
    """

    name: str
    repository: str | None = None
    columns: str = ""
    date_format: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what nobody can read."""
        if self.name not in ("github", "csv", "meters"):
            raise InvalidInputError(f"no records come from {self.name!r}; use github, csv or meters")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise InvalidInputError(f"no time zone {self.timezone!r}; use a name such as Europe/Berlin") from error

    @classmethod
    def of(cls, rejection_source: str, context: Mapping[str, Any]) -> "RecordSource":
        """Return the source that a rejected record came from."""
        return cls(rejection_source, **{name: context[name] for name in _CONTEXT if name in context})

    def context(self) -> dict[str, str]:
        """Return what is kept with a rejected record, so that it can be read again in the same way."""
        told = {name: getattr(self, name) for name in _CONTEXT}
        return {name: value for name, value in told.items() if value and value != "UTC"}

    async def bring(
        self, path_or_stream: PathOrStream, sink: ImportSink, *, progress: Progress | None = None
    ) -> ImportReport:
        """Read a file or stream into a sink; see `import_issues` for what it raises."""
        if self.name == "meters":
            return await import_readings(read_meter_readings(path_or_stream), sink, progress=progress)
        return await import_issues(self.issues(path_or_stream), sink, progress=progress)

    def issues(self, path_or_stream: PathOrStream) -> Iterator[IssueRecord | RejectedRecord]:
        """Yield the issues of a file or stream, and what is refused."""
        if self.name != "csv":
            return read_github_issues(path_or_stream, repository=self.repository)
        zone = UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)
        mapping = CsvMapping.parse(self.columns, date_format=self.date_format, timezone=zone)
        return read_csv_issues(path_or_stream, mapping, repository=self.repository)


class Intake:
    """Brings records into one organization."""

    def __init__(self, events: EventLog, rejections: Rejections, organization_id: str) -> None:
        self._events = events
        self._rejections = rejections
        self._organization_id = organization_id

    async def take(
        self, source: RecordSource, path_or_stream: PathOrStream, *, progress: Progress | None = None
    ) -> ImportReport:
        """Bring a file or stream in; what is refused goes to the rejected list.

        Its facts are labelled untrusted; whoever brings it in vouches for nothing in it.

        Raises:
            ImportCancelledError: it was stopped; what was accepted stays.
            BailiwickError: the input cannot be read at all.
        """
        sink = _KeepingSink(self._events, self._rejections, self._organization_id, source)
        try:
            return await source.bring(path_or_stream, sink, progress=progress)
        finally:
            await sink.flush()

    async def redrive(
        self,
        rejection_id: str,
        *,
        mended: str | None = None,
        actor: Actor = SYSTEM,
    ) -> ImportReport:
        """Read a rejected record again, mended if a text is given; once accepted it leaves the list.

        What it tells is still the outside's; that it is told now is asked for by the ``actor``, mended or not.

        Raises:
            NotFoundError: there is no such record here.
            ConflictError: it was redriven before, or only its beginning was kept.
            InvalidInputError: it is still refused; the message says why.
        """
        found = await self._rejections.get(self._organization_id, rejection_id)
        if found.redriven_at is not None:
            raise ConflictError(f"record {rejection_id} was redriven at {found.redriven_at:%Y-%m-%d %H:%M} UTC already")
        if found.is_truncated and mended is None:
            raise ConflictError("only the beginning of this record was kept; take it from its source, or give its text")
        text = found.raw if mended is None else mended
        source = RecordSource.of(found.source, found.context)
        sink = _StrictSink(self._events, self._organization_id, actor.labels | {untrusted(found.source)})
        report = await source.bring(io.BytesIO(text.encode()), sink)
        await self._rejections.mark_redriven(self._organization_id, found.id, is_mended=mended is not None, actor=actor)
        return report


class _KeepingSink:
    def __init__(self, events: EventLog, rejections: Rejections, organization_id: str, source: RecordSource) -> None:
        self._events = events
        self._rejections = rejections
        self._organization_id = organization_id
        self._source = source
        self._refused: list[NewRejection] = []

    async def publish(self, events: Sequence[NewEvent]) -> Sequence[Published]:
        labelled = [brought(event, _FILE) for event in events]
        return await self._events.publish(self._organization_id, labelled)

    async def reject(self, record: RejectedRecord) -> None:
        context = self._source.context()
        self._refused.append(
            NewRejection(self._source.name, record.line, record.reason, record.raw, record.raw_truncated, context)
        )
        if len(self._refused) >= _BATCH:
            await self.flush()

    async def flush(self) -> None:
        refused, self._refused = self._refused, []
        if refused:
            await self._rejections.keep(self._organization_id, refused)


class _StrictSink:
    def __init__(self, events: EventLog, organization_id: str, labels: frozenset[str]) -> None:
        self._events = events
        self._organization_id = organization_id
        self._labels = labels

    async def publish(self, events: Sequence[NewEvent]) -> Sequence[Published]:
        labelled = [brought(event, *self._labels) for event in events]
        return await self._events.publish(self._organization_id, labelled)

    async def reject(self, record: RejectedRecord) -> None:
        raise InvalidInputError(f"still refused: {record.reason}")
