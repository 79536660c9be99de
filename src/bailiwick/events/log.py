"""The event log: facts go in once, and the tasks that follow from them with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import BaseModel

from bailiwick.events.model import EventType, NewEvent, Published
from bailiwick.events.registry import EventRegistry
from bailiwick.kernel.clock import check_moment
from bailiwick.kernel.concerns import Guard, unguarded
from bailiwick.kernel.documents import encode_checked
from bailiwick.kernel.errors import QuotaExceededError
from bailiwick.kernel.ids import new_id
from bailiwick.kernel.labels import checked, declared
from bailiwick.storage.batching import Batcher
from bailiwick.storage.channel import Channel
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import after_commit
from bailiwick.storage.refusals import Exhausted
from bailiwick.storage.rows import RowFields, batch, raw
from bailiwick.storage.waking import EVENTS, TASKS, Wakeups
from bailiwick.telemetry.metrics import EVENTS_RECORDED
from bailiwick.telemetry.redacting import redacted_json

# Given an organization, an event id, the event and its checked payload, returns
# rows for the database function ``task_enqueue``.
Follow = Callable[[str, str, NewEvent, BaseModel], list[RowFields]]


@dataclass(slots=True)
class _Entry:
    event_id: str
    row: RowFields
    tasks: list[RowFields]
    # The person whose consent it needs, and for which purpose.
    concern: tuple[str, str] | None = None
    was_sent: bool = False


class EventLog:
    """Appends events; each is committed together with the tasks that follow from it."""

    def __init__(self, url: str, types: EventRegistry, wakeups: Wakeups, follow: Follow) -> None:
        self.types = types
        self._wakeups = wakeups
        self._follow = follow
        # Who tells whether a person consents, for types that concern one.
        self.guard: Guard = unguarded
        self._channel = Channel(url, application="bailiwick events")
        self._batcher: Batcher[_Entry, Published] = Batcher(self._flush, patience_seconds=30)
        self._exhausted = Exhausted()

    async def open(self) -> None:
        """Start taking events."""
        self._batcher.start()

    async def close(self) -> None:
        """Write what was handed in, then stop."""
        await self._batcher.close()
        await self._channel.close()

    async def publish(self, organization_id: str, events: Sequence[NewEvent]) -> list[Published]:
        """Record events; once this returns they and their tasks survive any crash.

        All are checked before the first is written. A ``dedupe_key`` seen
        before in the organization records nothing and makes no task.

        Raises:
            UnknownKindError, InvalidPayloadError, PayloadTooLargeError: refused, nothing was written.
            ForbiddenError: an event concerns a person who does not consent; nothing was written.
            QuotaExceededError: a task would follow and the organization's tasks of the month are used up.
            DatabaseUnavailableError: not acknowledged; with dedupe keys it is safe to call again.
        """
        entries = [self._entry(organization_id, event) for event in events]
        if any(entry.tasks for entry in entries):
            self._exhausted.check(organization_id)
        for entry in entries:
            if entry.concern is not None:
                await self.guard(organization_id, *entry.concern)
        try:
            return await self._batcher.put_many(entries)
        except QuotaExceededError as error:
            self._exhausted.note(error)
            raise

    async def append(self, connection: Connection, organization_id: str, events: Sequence[NewEvent]) -> None:
        """Record events in a transaction of the caller's: they stand or fall with what else it does.

        Followers, and workers where tasks follow, are told of it once that is committed.
        What concerns a person is not asked about here: whoever writes with a change knows why.
        """
        entries = [self._entry(organization_id, event) for event in events]
        for ordinal, entry in enumerate(entries):
            entry.row["i"] = ordinal
        await connection.execute(
            "select * from events_append(%s::jsonb, %s::jsonb, false)",
            (batch([entry.row for entry in entries]), batch([row for entry in entries for row in entry.tasks])),
        )
        for entry in entries:
            EVENTS_RECORDED.labels(entry.row["type"]).inc()
        after_commit(connection, self._tell_followers)
        if any(entry.tasks for entry in entries):
            after_commit(connection, self.announce)

    def announce(self) -> None:
        """Tell workers that there may be tasks to do, because events were recorded or waits for them answered."""
        self._wakeups.announce(TASKS)

    def _tell_followers(self) -> None:
        self._wakeups.announce(EVENTS)

    def _entry(self, organization_id: str, event: NewEvent) -> _Entry:
        if event.occurred_at is not None:
            check_moment(event.occurred_at, "occurred_at")
        event_type = self.types.get(event.type)
        payload, encoded = encode_checked(event_type.payload, event.payload, what=f"payload of event {event.type}")
        key = event.key if event.key is not None or event_type.key is None else event_type.key(payload)
        labels = declared(event.labels, event_type.outside)
        if labels is not event.labels:
            event = replace(event, labels=labels)
        event_id = new_id()
        row: RowFields = {
            "id": event_id,
            "org": organization_id,
            "type": event.type,
            "version": event_type.version,
            "key": key,
            "payload": raw(redacted_json(encoded)),
            "cause": event.cause_id,
            "occurred": (event.occurred_at or datetime.now(UTC)).isoformat(),
        }
        if event.dedupe_key is not None:
            row["dedupe"] = event.dedupe_key
        if event.labels:
            row["labels"] = sorted(checked(event.labels))
        if event.held is not None:
            row["by"], row["f"] = event.held
        return _Entry(
            event_id, row, self._follow(organization_id, event_id, event, payload), _concern(event_type, payload)
        )

    async def _flush(self, entries: list[_Entry]) -> list[Published]:
        again = any(entry.was_sent for entry in entries)
        for ordinal, entry in enumerate(entries):
            entry.row["i"] = ordinal
            entry.was_sent = True
        tasks = [row for entry in entries for row in entry.tasks]
        rows = await self._channel.call(
            "select * from events_append(%s::jsonb, %s::jsonb, %s)",
            (batch([entry.row for entry in entries]), batch(tasks), again),
        )
        published = [Published(entry.event_id, False) for entry in entries]
        for row in rows:
            published[row["ordinal"]] = Published(row["event_id"], row["is_duplicate"])
        for entry, answer in zip(entries, published, strict=True):
            if not answer.is_duplicate:
                EVENTS_RECORDED.labels(entry.row["type"]).inc()
        await self._wake_waits(entries, published)
        if tasks:
            self.announce()
        self._tell_followers()
        return published

    async def _wake_waits(self, entries: list[_Entry], published: list[Published]) -> None:
        # After the commit, so that a wait committed in between is seen here or
        # sees the event itself; the periodic sweep covers a crash right here.
        keyed = [
            entry.event_id
            for entry, answer in zip(entries, published, strict=True)
            if entry.row["key"] is not None and not answer.is_duplicate
        ]
        if keyed:
            rows = await self._channel.call("select task_wake_by_events(%s::uuid[]) as woken", (keyed,))
            if rows[0]["woken"]:
                self.announce()


def _concern(event_type: EventType, payload: BaseModel) -> tuple[str, str] | None:
    concern = event_type.concern
    subject = None if concern is None else concern.subject(payload)
    return None if concern is None or subject is None else (subject, concern.purpose)
