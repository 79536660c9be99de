"""Limits: how much of an organization, a kind or an agent may run, and circuit breakers."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg
import structlog

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.kernel.errors import BailiwickError, CannotDetermineError, CircuitOpenError, InvalidInputError
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.storage.waking import DUE, TASKS, Wakeups
from bailiwick.tasks.model import Task

log = structlog.get_logger(__name__)

FAILURES_TO_OPEN = 5
COOL_DOWN_SECONDS = 60.0
MAX_CONCURRENCY = 1_000_000_000
MAX_RATE = 1_000_000.0
# Far longer than a batch of tasks takes to be committed.
_WRITERS_SECONDS = 5.0
_BLAMELESS = (CannotDetermineError, InvalidInputError)


@dataclass(frozen=True, slots=True)
class Limit:
    """What bounds a subject: 'organization', 'kind:<kind>', 'agent:<id>' or 'connector:<name>'."""

    subject: str
    max_concurrency: int | None
    rate_per_second: float | None
    burst: float | None
    is_paused: bool
    blocked_until: datetime | None
    consecutive_failures: int
    reason: str | None


class Limits:
    """Reads and changes limits; queued tasks follow at once."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        self._audit = AuditLog(database)

    async def set(
        self,
        organization_id: str,
        subject: str,
        *,
        max_concurrency: int | None = None,
        rate_per_second: float | None = None,
        burst: float | None = None,
        actor: Actor = SYSTEM,
    ) -> None:
        """Bound a subject; both bounds None lifts them. A rate's bucket starts full."""
        _check_subject(subject)
        if max_concurrency is not None and not 0 <= max_concurrency <= MAX_CONCURRENCY:
            raise InvalidInputError(f"max_concurrency is 0 to {MAX_CONCURRENCY:,}")
        if rate_per_second is not None and not 0 < rate_per_second <= MAX_RATE:
            raise InvalidInputError(
                f"rate_per_second must be above 0 and at most {MAX_RATE:,.0f}; to stop a subject, pause it"
            )
        if burst is not None and not 1 <= burst <= MAX_RATE:
            raise InvalidInputError(f"burst is 1 to {MAX_RATE:,.0f}")
        await self._change(
            organization_id,
            "insert into limits (organization_id, subject, max_concurrency, rate_per_second, burst, tokens) "
            "values (%(org)s, %(subject)s, %(concurrency)s, %(rate)s, %(burst)s, "
            # As much as a bucket ever holds, or a slow rate would begin with a wait.
            "coalesce(%(burst)s::float8, greatest(%(rate)s::float8, 1))) "
            "on conflict (organization_id, subject) do update set max_concurrency = excluded.max_concurrency, "
            "rate_per_second = excluded.rate_per_second, burst = excluded.burst, tokens = excluded.tokens, "
            "refilled_at = now()",
            {"subject": subject, "concurrency": max_concurrency, "rate": rate_per_second, "burst": burst},
            Act(
                organization_id, "limit.changed", actor, f"limit:{subject}",
                after={"max_concurrency": max_concurrency, "rate_per_second": rate_per_second, "burst": burst},
            ),
        )  # fmt: skip

    async def pause(
        self, organization_id: str, subject: str, *, reason: str | None = None, actor: Actor = SYSTEM
    ) -> None:
        """Start no more of a subject's tasks until it is resumed; what runs goes on."""
        _check_subject(subject)
        await self._change(
            organization_id,
            "insert into limits (organization_id, subject, is_paused, reason) values (%(org)s, %(subject)s, true, "
            "%(reason)s) on conflict (organization_id, subject) do update set is_paused = true, "
            "reason = excluded.reason",
            {"subject": subject, "reason": reason},
            Act(organization_id, "limit.paused", actor, f"limit:{subject}", reason=reason),
        )

    async def resume(self, organization_id: str, subject: str, *, actor: Actor = SYSTEM) -> None:
        """End a pause and close an open breaker."""
        await self._change(
            organization_id,
            "update limits set is_paused = false, blocked_until = null, consecutive_failures = 0, reason = null "
            "where organization_id = %(org)s and subject = %(subject)s",
            {"subject": subject},
            Act(organization_id, "limit.resumed", actor, f"limit:{subject}"),
        )

    async def record(self, organization_id: str, subject: str, failure: str | None) -> None:
        """Count an attempt against a subject's circuit breaker.

        Five failures in a row open it for a minute; then one attempt probes: a
        success closes it, a failure opens it again.
        """
        if failure is None:
            if await self._close(organization_id, subject):
                self._wakeups.announce(TASKS)
            return
        await self._change(
            organization_id,
            "insert into limits (organization_id, subject, consecutive_failures) values (%(org)s, %(subject)s, 1) "
            "on conflict (organization_id, subject) do update set "
            "consecutive_failures = limits.consecutive_failures + 1, "
            "blocked_until = case when limits.consecutive_failures + 1 >= %(threshold)s "
            "                     then now() + make_interval(secs => %(seconds)s) else limits.blocked_until end, "
            "reason = case when limits.consecutive_failures + 1 >= %(threshold)s and not limits.is_paused "
            "              then %(failure)s else limits.reason end",
            {
                "subject": subject,
                "threshold": FAILURES_TO_OPEN,
                "seconds": COOL_DOWN_SECONDS,
                "failure": f"circuit open after {FAILURES_TO_OPEN} failures in a row: {failure[:500]}",
            },
        )

    async def check(self, organization_id: str, subject: str) -> None:
        """Raise CircuitOpenError while a subject is paused or its breaker is open."""
        row = await self._database.fetch_one(
            "select is_paused, blocked_until, reason from limits where organization_id = %s and subject = %s "
            "and (is_paused or blocked_until > now())",
            (organization_id, subject),
            organization_id=organization_id,
        )
        if row is not None:
            until = "it is resumed" if row["is_paused"] else f"{row['blocked_until']:%H:%M:%S} UTC"
            raise CircuitOpenError(f"{subject} is stopped until {until}: {row['reason'] or 'paused'}")

    async def _close(self, organization_id: str, subject: str) -> bool:
        """Close a breaker; a row that bounds nothing else goes, so that its tasks take the short way again."""
        async with self._database.transaction(organization_id) as connection:
            gone = await connection.execute(
                "delete from limits where organization_id = %s and subject = %s and consecutive_failures > 0 "
                "and not is_paused and max_concurrency is null and rate_per_second is null",
                (organization_id, subject),
            )
            if gone.rowcount:
                return True
            closed = await connection.execute(
                "update limits set consecutive_failures = 0, blocked_until = null, "
                "reason = case when is_paused then reason end "
                "where organization_id = %s and subject = %s and consecutive_failures > 0",
                (organization_id, subject),
            )
            return closed.rowcount > 0

    async def _change(self, organization_id: str, sql: str, params: dict[str, object], act: Act | None = None) -> None:
        async with self._database.transaction(organization_id) as connection:
            before = None if act is None else await _bounds(connection, organization_id, str(params["subject"]))
            cursor = await connection.execute(
                trusted(f"{sql} returning xmax = 0 as is_new"), {"org": organization_id, **params}
            )
            row = await cursor.fetchone()
            # Queued tasks name the limits that apply to them, and that changes only with a new one.
            is_new = row is not None and row["is_new"]
            if is_new:
                await connection.execute("select task_relane(%s)", (organization_id,))
            if act is not None:
                await self._audit.record(replace(act, before=before), connection=connection)
        if is_new:
            await self._catch_up(organization_id)
        for topic in (TASKS, DUE):
            self._wakeups.announce(topic)

    async def _catch_up(self, organization_id: str) -> None:
        # What was being added while the limit was made did not see it, and was not seen.
        row = await self._database.fetch_one("select task_writers_awaited(%s) as had_any", (_WRITERS_SECONDS,))
        if row is not None and row["had_any"]:
            await self._database.execute("select task_relane(%s)", (organization_id,), organization_id=organization_id)

    async def list(self, organization_id: str) -> list[Limit]:
        """Return all limits of an organization."""
        rows = await self._database.fetch_all(
            "select subject, max_concurrency, rate_per_second, burst, is_paused, blocked_until, "
            "consecutive_failures, reason from limits where organization_id = %s order by subject",
            (organization_id,),
            organization_id=organization_id,
        )
        return [Limit(**row) for row in rows]


async def _bounds(connection: Connection, organization_id: str, subject: str) -> Row | None:
    """Return what bounds a subject, as the audit log tells of it."""
    cursor = await connection.execute(
        "select max_concurrency, rate_per_second, burst, is_paused, reason from limits "
        "where organization_id = %s and subject = %s for update",
        (organization_id, subject),
    )
    return await cursor.fetchone()


class AgentBreakers:
    """Feeds attempts of tasks that have an agent to that agent's circuit breaker.

    What only the task is to blame for, an input that is missing or refused,
    says nothing about the agent and is not counted.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._writing: set[asyncio.Task[None]] = set()
        # Whose failures are counted, whether or not the task was claimed before they were.
        self._failing: set[str] = set()

    def observe(self, task: Task, error: Exception | None) -> None:
        """Note one attempt; the write happens beside the work, never in its way."""
        if task.agent_id is None or isinstance(error, _BLAMELESS):
            return
        if error is None:
            if task.agent_id not in self._failing and f"agent:{task.agent_id}" not in task.lane.split("|"):
                return
            self._failing.discard(task.agent_id)
        else:
            self._failing.add(task.agent_id)
        write = asyncio.create_task(self._record(task, error))
        self._writing.add(write)
        write.add_done_callback(self._writing.discard)

    async def drain(self) -> None:
        """Wait for the writes under way."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _record(self, task: Task, error: Exception | None) -> None:
        try:
            await self._limits.record(
                task.organization_id, f"agent:{task.agent_id}", None if error is None else str(error) or repr(error)
            )
        except (psycopg.Error, BailiwickError) as failure:
            log.warning("breaker not updated", agent_id=task.agent_id, error=str(failure))


def _check_subject(subject: str) -> None:
    if subject != "organization" and not subject.startswith(("kind:", "agent:", "connector:")):
        raise InvalidInputError(
            f"{subject!r} cannot be limited; use 'organization', 'kind:<kind>', 'agent:<id>' or 'connector:<name>'"
        )
