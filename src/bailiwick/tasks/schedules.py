"""Schedules: tasks that recur. Made, listed, paused and removed here; fired by the scheduler."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import random
from typing import Any, Literal, LiteralString

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.kernel.clock import check_moment
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.kernel.labels import NO_LABELS
from bailiwick.storage import Database
from bailiwick.storage.database import Params, trusted
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.storage.rows import batch, raw
from bailiwick.storage.waking import SCHEDULES, Wakeups
from bailiwick.tasks.model import NewTask
from bailiwick.tasks.registry import KindRegistry
from bailiwick.tasks.timetable import Timetable

Overlap = Literal["skip", "allow", "cancel"]
CatchUp = Literal["none", "latest", "all"]


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """What a caller asks for.

    ``overlap`` says what a firing does while the last one's task is unfinished:
    skip it, allow both, or cancel the older. ``catch_up`` says what happens to
    firings missed while nothing ran: none of them, the latest, or all (at most
    100). ``jitter_seconds`` delays each firing by a random part of it.
    ``labels`` say who asks for it; its tasks carry them.
    """

    name: str
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cron: str | None = None
    interval_seconds: float | None = None
    timezone: str = "UTC"
    jitter_seconds: float = 0.0
    overlap: Overlap = "skip"
    catch_up: CatchUp = "latest"
    priority: int = 2
    agent_id: str | None = None
    first_fire_at: datetime | None = None
    is_paused: bool = False
    labels: frozenset[str] = NO_LABELS


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule and its last run."""

    id: str
    organization_id: str
    name: str
    kind: str
    payload: dict[str, Any]
    priority: int
    agent_id: str | None
    cron: str | None
    interval_seconds: float | None
    timezone: str
    jitter_seconds: float
    overlap: str
    catch_up: str
    is_paused: bool
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    last_task_id: str | None
    last_state: str | None
    last_finished_at: datetime | None
    skipped: int
    problem: str | None
    anchor_at: datetime
    created_at: datetime
    labels: list[str]


_SELECT = """
select s.id, s.organization_id, s.name, s.kind, s.payload, s.priority, s.agent_id, s.cron, s.interval_seconds,
       s.timezone, s.jitter_seconds, s.overlap, s.catch_up, s.is_paused, s.next_fire_at, s.last_fire_at,
       s.last_task_id, coalesce(f.state, t.state)::text as last_state, f.finished_at as last_finished_at,
       s.skipped, s.problem, s.anchor_at, s.created_at,
       array(select unnest(s.labels) union select unnest(s.resumed_by) order by 1) as labels
from schedules s
left join tasks t on t.id = s.last_task_id
left join finished_tasks f on f.id = s.last_task_id"""


_INSERT = """
insert into schedules (id, organization_id, name, kind, payload, priority, agent_id, cron, interval_seconds, timezone,
                       jitter_seconds, overlap, catch_up, is_paused, is_furnished, anchor_at, next_fire_at,
                       labels)
select r.* from jsonb_to_recordset(%s::jsonb) as r (
    id uuid, org uuid, name text, kind text, payload jsonb, priority smallint, agent uuid, cron text,
    interval double precision, zone text, jitter double precision, overlap text, catch_up text, paused boolean,
    furnished boolean, anchor timestamptz, next timestamptz, labels text[])
on conflict (organization_id, name) do update
set kind = excluded.kind, payload = excluded.payload, priority = excluded.priority, agent_id = excluded.agent_id,
    cron = excluded.cron, interval_seconds = excluded.interval_seconds, timezone = excluded.timezone,
    jitter_seconds = excluded.jitter_seconds, overlap = excluded.overlap, catch_up = excluded.catch_up,
    is_furnished = excluded.is_furnished, labels = excluded.labels,"""
# The same timetable goes on as it was; a new one starts anew.
_REPLACE = """
    anchor_at = case when {same} then schedules.anchor_at else excluded.anchor_at end,
    next_fire_at = case when {same} then schedules.next_fire_at else excluded.next_fire_at end""".format(
    same="schedules.next_fire_at is not null and (schedules.cron, schedules.interval_seconds, schedules.timezone) "
    "is not distinct from (excluded.cron, excluded.interval_seconds, excluded.timezone)"
)
_RENEW = f"{_REPLACE} where schedules.is_furnished"


class Schedules:
    """The schedules of all organizations."""

    def __init__(self, database: Database, kinds: KindRegistry, wakeups: Wakeups) -> None:
        self._database = database
        self._kinds = kinds
        self._wakeups = wakeups
        self._audit = AuditLog(database)

    async def put(self, organization_id: str, schedule: NewSchedule, *, actor: Actor = SYSTEM) -> str:
        """Make a schedule, or replace the one of the same name; return its id.

        Raises:
            InvalidInputError, UnknownKindError, InvalidPayloadError: it could never run.
        """
        ids = await self._store(organization_id, [schedule], _REPLACE, is_furnished=False, actor=actor)
        return ids[schedule.name]

    async def put_many(self, organization_id: str, schedules: Sequence[NewSchedule]) -> list[str]:
        """Make or replace many schedules in one transaction; a replaced one keeps its last run and its pause."""
        ids = await self._store(organization_id, schedules, _REPLACE, is_furnished=False)
        return [ids[schedule.name] for schedule in schedules]

    async def furnish(self, organization_id: str, schedules: Sequence[NewSchedule]) -> None:
        """Make or renew the schedules that come with the platform; what a person has put stays as it is."""
        await self._store(organization_id, schedules, _RENEW, is_furnished=True)

    async def _store(
        self,
        organization_id: str,
        schedules: Sequence[NewSchedule],
        on_conflict: str,
        *,
        is_furnished: bool,
        actor: Actor | None = None,
    ) -> dict[str, str]:
        now = datetime.now(UTC)
        rows = [self._row(organization_id, schedule, now) | {"furnished": is_furnished} for schedule in schedules]
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(trusted(f"{_INSERT} {on_conflict} returning id, name"), (batch(rows),))
            stored = await cursor.fetchall()
            # What the platform furnishes is no act of anybody's.
            for schedule in schedules if actor is not None else ():
                act = Act(organization_id, "schedule.put", actor or SYSTEM, f"schedule:{schedule.name}",
                          after=_told(schedule))  # fmt: skip
                await self._audit.record(act, connection=connection)
        self._wakeups.announce(SCHEDULES)
        return {row["name"]: row["id"] for row in stored}

    async def get(self, organization_id: str, schedule: str) -> ScheduleRecord:
        """Return a schedule by id or name, or raise NotFoundError."""
        row = await self._database.fetch_one(
            # A name may look like an id; the id goes first.
            f"{_SELECT} where s.organization_id = %(org)s and (s.id = %(id)s::uuid or s.name = %(name)s) "
            "order by s.name = %(name)s limit 1",
            {"org": organization_id, "id": parse_id(schedule), "name": schedule},
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no schedule {schedule!r} in this organization")
        return ScheduleRecord(**row)

    async def pause(self, organization_id: str, schedule: str, *, actor: Actor = SYSTEM) -> None:
        """Fire no more until resumed."""
        found = await self.get(organization_id, schedule)
        await self._change(
            "update schedules set is_paused = true where id = %s", (found.id,),
            Act(organization_id, "schedule.paused", actor, f"schedule:{found.name}"),
        )  # fmt: skip

    async def resume(self, organization_id: str, schedule: str, *, actor: Actor = SYSTEM) -> None:
        """Fire again from now on; firings that fell into the pause are not made up for.

        Who lets it go on asks for its tasks, beside whoever made it.
        """
        found = await self.get(organization_id, schedule)
        timetable = Timetable(found.cron, found.interval_seconds, found.timezone, found.anchor_at)
        await self._change(
            "update schedules set is_paused = false, next_fire_at = %s, problem = null, "
            "resumed_by = array(select unnest(resumed_by) union select unnest(%s::text[]) order by 1) "
            "where id = %s and (is_paused or next_fire_at is null)",
            (timetable.next_after(datetime.now(UTC)), sorted(actor.labels), found.id),
            Act(organization_id, "schedule.resumed", actor, f"schedule:{found.name}"),
        )
        self._wakeups.announce(SCHEDULES)

    async def fire_now(self, organization_id: str, schedule: str, *, actor: Actor = SYSTEM) -> None:
        """Let the next firing be due at once; the overlap policy holds as ever, a pause ends.

        Who fires it asks for the task that comes of it, and where it ends a pause for those that follow, too.
        """
        found = await self.get(organization_id, schedule)
        await self._change(
            "update schedules set next_fire_at = now(), is_paused = false, "
            "fired_by = array(select unnest(fired_by) union select unnest(%(by)s::text[]) order by 1), "
            "resumed_by = case when is_paused then array(select unnest(resumed_by) union select unnest(%(by)s::text[]) "
            "order by 1) else resumed_by end where id = %(id)s",
            {"id": found.id, "by": sorted(actor.labels)},
            Act(organization_id, "schedule.fired", actor, f"schedule:{found.name}"),
        )
        self._wakeups.announce(SCHEDULES)

    async def remove(self, organization_id: str, schedule: str, *, actor: Actor = SYSTEM) -> None:
        """Remove a schedule; tasks it made stay."""
        found = await self.get(organization_id, schedule)
        await self._change(
            "delete from schedules where id = %s", (found.id,),
            Act(organization_id, "schedule.removed", actor, f"schedule:{found.name}", before={"kind": found.kind}),
        )  # fmt: skip

    async def _change(self, sql: LiteralString, params: Params, act: Act) -> None:
        async with self._database.transaction(act.organization_id) as connection:
            changed = await connection.execute(sql, params)
            if changed.rowcount:
                await self._audit.record(act, connection=connection)

    def _row(self, organization_id: str, schedule: NewSchedule, now: datetime) -> dict[str, object]:
        if not 1 <= len(schedule.name) <= 200:
            raise InvalidInputError("a schedule's name has 1 to 200 characters")
        if not 0 <= schedule.priority <= 3:
            raise InvalidInputError(f"priority {schedule.priority} does not exist; use 0 to 3")
        timetable = Timetable(
            schedule.cron, schedule.interval_seconds, schedule.timezone, jitter_seconds=schedule.jitter_seconds
        )
        timetable.check_jitter(now)
        payload = self._kinds.encode_payload(schedule.kind, schedule.payload)
        labels = self._kinds.labelled(NewTask(schedule.kind, labels=schedule.labels)).labels
        anchor = schedule.first_fire_at or timetable.next_after(now)
        check_moment(anchor, "first_fire_at")
        first = anchor + timedelta(seconds=schedule.jitter_seconds * random())  # noqa: S311 - spreads load
        return {
            "id": new_id(), "org": organization_id, "name": schedule.name, "kind": schedule.kind,
            "payload": raw(payload), "priority": schedule.priority, "agent": schedule.agent_id,
            "cron": schedule.cron, "interval": schedule.interval_seconds, "zone": schedule.timezone,
            "jitter": schedule.jitter_seconds, "overlap": schedule.overlap, "catch_up": schedule.catch_up,
            "paused": schedule.is_paused, "anchor": anchor.isoformat(), "next": first.isoformat(),
            "labels": sorted(labels) or None,
        }  # fmt: skip

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[ScheduleRecord]:
        """Return a page of schedules, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"{_SELECT} where s.organization_id = %(org)s and (%(after)s::uuid is null or s.id < %(after)s) "
            "order by s.id desc limit %(limit)s",
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([ScheduleRecord(**row) for row in rows], limit)


def _told(schedule: NewSchedule) -> dict[str, object]:
    """Return a schedule as the audit log tells of it; a payload may hold anything, so it stays out."""
    return {
        "kind": schedule.kind,
        "cron": schedule.cron,
        "interval_seconds": schedule.interval_seconds,
        "timezone": schedule.timezone,
        "is_paused": schedule.is_paused,
    }
