"""Brings what happened in a connected repository into the event log, and keeps where it got to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from bailiwick.connectors.connections import ConnectionRecord, Connections
from bailiwick.connectors.errors import ConnectorRefusedError, SecretMissingError
from bailiwick.connectors.facts import brought
from bailiwick.connectors.github.connection import GitHubConnection
from bailiwick.connectors.github.coordinator import GitHubCoordinator, PollCursor, PollOutcome
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.events import EventLog, NewEvent
from bailiwick.events.rejections import NewRejection, Rejections
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import CircuitOpenError, InvalidInputError
from bailiwick.kernel.labels import untrusted
from bailiwick.kernel.loading import loaded
from bailiwick.outbound import AllowList
from bailiwick.tasks.limits import Limits

# One sync reads at most so many batches of ten pages; a large repository goes on at the next.
MAX_POLLS = 20
# Most installations sync nothing, and its library takes long to import.
_CLIENT = "bailiwick.connectors.github.client"
_BATCH = 200
_GITHUB = untrusted("github")
_CURSOR = TypeAdapter(PollCursor)


@dataclass
class SyncReport:
    """What one sync of one connection did.

    ``status`` is ``polled``, ``limited`` (GitHub asks to wait), ``unavailable``,
    ``refused``, ``no token``, ``stopped`` (its breaker is open, or it is
    paused) or ``unusable``; ``problem`` says more.
    """

    target: str
    status: str = "polled"
    polls: int = 0
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    problem: str | None = None
    next_poll_at: datetime | None = None


class GitHubSync:
    """Polls connections; a crash at any moment loses nothing and repeats nothing.

    Events are published before the cursor is saved. What is polled again after
    a crash has the same dedupe keys, so it is no new event.
    """

    def __init__(
        self,
        connections: Connections,
        events: EventLog,
        rejections: Rejections,
        limits: Limits,
        *,
        allow: AllowList | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connections = connections
        self._events = events
        self._rejections = rejections
        self._limits = limits
        self._allow = allow
        self._clock = clock or SystemClock()

    async def sync(self, connection: ConnectionRecord) -> SyncReport:
        """Poll one connection until it is caught up; what goes wrong is in the report and the connection."""
        report = SyncReport(connection.target)
        try:
            await self._limits.check(connection.organization_id, subject_of(connection))
            settings = GitHubConnection.of(connection.configuration)
            token = settings.token(await self._connections.credentials.open(connection))
            door = await loaded(_CLIENT)
            async with door.GitHubClient(
                token, base_url=settings.base_url, allow=self._allow, clock=self._clock
            ) as client:
                coordinator = GitHubCoordinator(
                    client,
                    connection.target,
                    interval_seconds=settings.interval_seconds,
                    include_history=settings.include_history,
                    include_pull_requests=settings.include_pull_requests,
                    clock=self._clock,
                )
                await self._poll(connection, coordinator, report)
        except CircuitOpenError as error:
            report.status, report.problem = "stopped", str(error)
        except SecretMissingError as error:
            await self._give_up(connection, report, "no token", str(error), is_final=False)
        except ConnectorRefusedError as error:
            await self._give_up(connection, report, "refused", str(error), is_final=True)
        except InvalidInputError as error:
            await self._give_up(connection, report, "unusable", str(error), is_final=True)
        return report

    async def _poll(self, connection: ConnectionRecord, coordinator: GitHubCoordinator, report: SyncReport) -> None:
        cursor = PollCursor() if connection.cursor is None else _CURSOR.validate_python(connection.cursor)
        while report.polls < MAX_POLLS:
            outcome = await coordinator.poll(cursor)
            report.polls += 1
            await self._take(connection, outcome, report)
            report.problem, report.next_poll_at = outcome.problem, outcome.next_poll_at
            # Last: were it saved first, a crash in between would lose what was read.
            await self._connections.save_poll(
                connection, asdict(outcome.cursor), outcome.next_poll_at, problem=outcome.problem
            )
            is_outage = outcome.cursor.failures > cursor.failures
            await self._limits.record(
                connection.organization_id, subject_of(connection), outcome.problem if is_outage else None
            )
            if outcome.problem is not None:
                report.status = "unavailable" if is_outage else "limited"
                return
            cursor = outcome.cursor
            if outcome.next_poll_at - self._clock.now() > timedelta(0):
                return

    async def _take(self, connection: ConnectionRecord, outcome: PollOutcome, report: SyncReport) -> None:
        for start in range(0, len(outcome.events), _BATCH):
            labelled = [brought(event, _GITHUB) for event in outcome.events[start : start + _BATCH]]
            await self._publish(connection, labelled, report)
        await self._reject(connection, outcome.rejected, report)

    async def _publish(self, connection: ConnectionRecord, events: Sequence[NewEvent], report: SyncReport) -> None:
        try:
            published = await self._events.publish(connection.organization_id, events)
        except InvalidInputError as error:
            if len(events) > 1:
                # One of them is too large; the others must not wait for it for ever.
                for event in events:
                    await self._publish(connection, [event], report)
                return
            raw = encode(events[0].payload, limit=2**31)
            await self._reject(connection, [RejectedRecord.of(raw, str(error), line=1, ordinal=1)], report)
            return
        duplicates = sum(1 for answer in published if answer.is_duplicate)
        report.duplicates += duplicates
        report.events += len(published) - duplicates

    async def _reject(
        self, connection: ConnectionRecord, records: Sequence[RejectedRecord], report: SyncReport
    ) -> None:
        if records:
            context = {"repository": connection.target}
            report.rejected += await self._rejections.keep(
                connection.organization_id,
                [
                    NewRejection("github", record.line, record.reason, record.raw, record.raw_truncated, context)
                    for record in records
                ],
            )

    async def _give_up(
        self, connection: ConnectionRecord, report: SyncReport, status: str, problem: str, *, is_final: bool
    ) -> None:
        report.status, report.problem = status, problem
        await self._connections.save_error(connection, problem, is_final=is_final)


def subject_of(connection: ConnectionRecord) -> str:
    """Return the name under which limits and the circuit breaker know a connection."""
    return f"connector:{connection.kind}:{connection.target}"
