"""Alarms: failed logins in a row, and somebody who reads in bulk.

Nothing here writes a row per request. Failed logins are counted by the minute;
reads are added up in memory and written every two seconds.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from bailiwick.audit.log import AuditLog
from bailiwick.audit.model import SYSTEM, Act, Actor
from bailiwick.kernel.errors import InvalidInputError, UnavailableError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

log = structlog.get_logger(__name__)

RuleName = Literal["login_failures", "mass_reads"]

FLUSH_SECONDS = 2.0
MAX_WINDOW_SECONDS = 86_400.0
# More subjects than this between two flushes are one who makes them up.
_MAX_PENDING = 50_000
_FIELDS = "id, organization_id, rule, subject, count, threshold, window_seconds, raised_at"


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """Raise an alarm at ``threshold`` within ``window_seconds``; the window moves in steps of a minute."""

    threshold: int
    window_seconds: float


# Five failed logins in a quarter of an hour, a hundred reads in an hour.
DEFAULT_RULES: Mapping[RuleName, AlarmRule] = {
    "login_failures": AlarmRule(5, 900.0),
    "mass_reads": AlarmRule(100, 3600.0),
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """What was raised: ``subject`` is ``account:...``, ``address:...`` or ``KIND:ID`` of who reads."""

    id: str
    organization_id: str
    rule: str
    subject: str
    count: int
    threshold: int
    window_seconds: float
    raised_at: datetime


Tell = Callable[[Alarm], Awaitable[None]]


class Alarms:
    """Counts, raises, and remembers alarms. One alarm per subject and window, however long it goes on."""

    def __init__(
        self,
        database: Database,
        *,
        rules: Mapping[RuleName, AlarmRule] = DEFAULT_RULES,
        tell: Tell | None = None,
    ) -> None:
        """Take the installation's rules; ``tell`` is called with every alarm once it is durable."""
        self._database = database
        self._log = AuditLog(database)
        self._rules = dict(rules)
        self._tell = tell
        self._pending: Counter[tuple[str, str]] = Counter()
        self._flushing: asyncio.Task[None] | None = None

    async def login_failed(
        self, account: str | None, address: str | None, *, at: datetime | None = None
    ) -> list[Alarm]:
        """Count a failed login for its account and for its address; return the alarms this raised.

        ``account`` is what was typed, known here or not. Logins belong to the
        installation, so their alarms are the installation's.
        """
        subjects = [f"account:{_storable(account.lower()[:200])}"] if account else []
        if address:
            subjects.append(f"address:{address[:100]}")
        return [
            alarm
            for subject in subjects
            if (alarm := await self._count(INSTALLATION, "login_failures", subject, 1, at or datetime.now(UTC)))
        ]

    def read(self, actor: Actor, organization_id: str, count: int = 1) -> None:
        """Note that somebody read ``count`` records of an organization; costs no database call.

        Over the API a read is a request that shows an organization's data, and each
        record of an export. What was noted in the last two seconds is lost if the
        process is killed.
        """
        subject = f"{actor.kind}:{actor.id}"[:200]
        if len(self._pending) >= _MAX_PENDING and (organization_id, subject) not in self._pending:
            return
        self._pending[organization_id, subject] += count
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_later())

    async def flush(self, *, at: datetime | None = None) -> list[Alarm]:
        """Write the reads noted so far; return the alarms they raised."""
        pending, self._pending = self._pending, Counter()
        raised: list[Alarm] = []
        for (organization_id, subject), count in pending.items():
            alarm = await self._count(organization_id, "mass_reads", subject, count, at or datetime.now(UTC))
            if alarm is not None:
                raised.append(alarm)
        return raised

    async def close(self) -> None:
        """Write what is noted; later reads would start anew."""
        if self._flushing is not None:
            self._flushing.cancel()
            with suppress(asyncio.CancelledError):
                await self._flushing
        await self.flush()

    async def rule(self, organization_id: str, name: RuleName) -> AlarmRule:
        """Return the rule that holds for an organization: its own, or the installation's."""
        row = await self._database.fetch_one(
            "select threshold, window_seconds from alarm_rules where organization_id = %s and rule = %s",
            (organization_id, name),
            organization_id=organization_id,
        )
        return self._rules[name] if row is None else AlarmRule(**row)

    async def set_rule(
        self, organization_id: str, name: str, rule: AlarmRule | None, *, actor: Actor, reason: str | None = None
    ) -> AlarmRule:
        """Set an organization's own rule, or with None go by the installation's again; return what holds now.

        Raises:
            InvalidInputError: no such rule, or its numbers make no sense.
        """
        if name not in self._rules:
            raise InvalidInputError(f"no alarm rule {name!r}; there are: {', '.join(self._rules)}")
        if rule is not None and not (
            1 <= rule.threshold <= 1_000_000_000 and 60 <= rule.window_seconds <= MAX_WINDOW_SECONDS
        ):
            raise InvalidInputError("a rule counts to 1 or more within 60 seconds to one day")
        before = await self.rule(organization_id, name)
        after = rule or self._rules[name]
        async with self._database.transaction(organization_id) as connection:
            if rule is None:
                await connection.execute(
                    "delete from alarm_rules where organization_id = %s and rule = %s", (organization_id, name)
                )
            else:
                await connection.execute(
                    "insert into alarm_rules values (%s, %s, %s, %s) on conflict (organization_id, rule) "
                    "do update set threshold = excluded.threshold, window_seconds = excluded.window_seconds",
                    (organization_id, name, rule.threshold, rule.window_seconds),
                )
            await self._log.record(
                Act(
                    organization_id, "alarm_rule.changed", actor, f"alarm_rule:{name}", reason=reason,
                    before=_plain(before), after=_plain(after),
                ),
                connection=connection,
            )  # fmt: skip
        return after

    async def sweep(self, *, now: datetime | None = None) -> int:
        """Forget old counts, and tell again of alarms whose telling failed; return how many were told."""
        before = (now or datetime.now(UTC)) - timedelta(seconds=MAX_WINDOW_SECONDS + 60)
        rows = await self._database.fetch_all(f"select {_FIELDS} from alarms_sweep(%s)", (before,))
        told = [await self._told(Alarm(**row)) for row in rows]
        return sum(told)

    async def _flush_later(self) -> None:
        while self._pending:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except UnavailableError as error:
                # Reading goes on: an alarm that is late is better than a door that is shut.
                log.warning("reads not counted", error=str(error))

    async def _count(
        self, organization_id: str, rule_name: RuleName, subject: str, count: int, at: datetime
    ) -> Alarm | None:
        rule = await self.rule(organization_id, rule_name)
        async with self._database.transaction(organization_id) as connection:
            total = await _added(
                connection, (organization_id, rule_name, subject), count, at=at, window_seconds=rule.window_seconds
            )
            if total < rule.threshold:
                return None
            alarm = Alarm(new_id(), organization_id, rule_name, subject, total, rule.threshold, rule.window_seconds, at)
            if not await _raised(connection, alarm):
                return None
            await self._log.record(
                Act(
                    organization_id, "alarm.raised", SYSTEM, subject,
                    after={"rule": rule_name, "count": total, **_plain(rule)}, reason=describe(alarm),
                ),
                connection=connection,
            )  # fmt: skip
        log.warning("security alarm", rule=alarm.rule, subject=alarm.subject, count=alarm.count)
        await self._told(alarm)
        return alarm

    async def _told(self, alarm: Alarm) -> bool:
        if self._tell is None:
            return False
        try:
            await self._tell(alarm)
        except UnavailableError as error:
            # The sweep tells it again.
            log.warning("alarm not told", alarm_id=alarm.id, error=str(error))
            return False
        await self._database.execute(
            "update alarms set told_at = now() where id = %s", (alarm.id,), organization_id=alarm.organization_id
        )
        return True

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Alarm]:
        """Return a page of an organization's alarms, newest first; logins' are INSTALLATION's."""
        limit = checked_limit(limit)
        after = after_cursor(cursor)
        rows = await self._database.fetch_all(
            f"select {_FIELDS} from alarms where organization_id = %s and (%s::uuid is null or id < %s::uuid) "
            "order by id desc limit %s",
            (organization_id, after, after, limit + 1),
            organization_id=organization_id,
        )
        return page_of([Alarm(**row) for row in rows], limit)


async def _added(
    connection: Connection, who: tuple[str, str, str], count: int, *, at: datetime, window_seconds: float
) -> int:
    """Add to the minute's count of an organization, rule and subject, and return the sum over the window."""
    minute = at.replace(second=0, microsecond=0)
    # One at a time per subject, or two processes could both raise the same alarm.
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (" ".join(who),))
    await connection.execute(
        "insert into alarm_counters values (%s, %s, %s, %s, %s) on conflict (organization_id, rule, subject, minute) "
        "do update set count = alarm_counters.count + excluded.count",
        (*who, minute, count),
    )
    cursor = await connection.execute(
        "select sum(count)::bigint as total from alarm_counters where organization_id = %s and rule = %s "
        "and subject = %s and minute > %s",
        # A minute that began before the window but reaches into it counts in full.
        (*who, at - timedelta(seconds=window_seconds + 60)),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row["total"])


async def _raised(connection: Connection, alarm: Alarm) -> bool:
    """Store an alarm unless its subject had one within the window."""
    cursor = await connection.execute(
        "insert into alarms (id, organization_id, rule, subject, count, threshold, window_seconds, raised_at) "
        "select %(id)s, %(org)s, %(rule)s, %(subject)s, %(count)s, %(threshold)s, %(window)s, %(at)s "
        "where not exists (select from alarms where organization_id = %(org)s and rule = %(rule)s "
        "and subject = %(subject)s and raised_at > %(at)s - make_interval(secs => %(window)s))",
        {
            "id": alarm.id, "org": alarm.organization_id, "rule": alarm.rule, "subject": alarm.subject,
            "count": alarm.count, "threshold": alarm.threshold, "window": alarm.window_seconds, "at": alarm.raised_at,
        },
    )  # fmt: skip
    return cursor.rowcount > 0


def describe(alarm: Alarm) -> str:
    """Return an alarm as one sentence."""
    what = {"login_failures": "failed logins", "mass_reads": "reads"}.get(alarm.rule, alarm.rule)
    return (
        f"{alarm.count} {what} by {alarm.subject} within {alarm.window_seconds / 60:g} minutes; "
        f"the rule is {alarm.threshold}"
    )


def _plain(rule: AlarmRule) -> dict[str, object]:
    return {"threshold": rule.threshold, "window_seconds": rule.window_seconds}


def _storable(typed: str) -> str:
    """Return what somebody typed without what PostgreSQL stores in no text: half of a surrogate pair, and NUL."""
    return typed.encode(errors="replace").decode().replace("\0", "?")
