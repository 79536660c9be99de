"""Outcomes: what was expected, and what a later look found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bailiwick.audit import SYSTEM, Act, AuditLog
from bailiwick.effects.ledger import Effects
from bailiwick.effects.model import Verdict
from bailiwick.events import EventLog, NewEvent
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.outcomes.checks import Finding
from bailiwick.outcomes.checks import Verdict as Found
from bailiwick.outcomes.facts import CHECKED, OutcomeChecked
from bailiwick.outcomes.model import COLUMNS, OutcomeRecord
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, asked_of, checked_limit, page_of
from bailiwick.tasks import LeaseLostError, Run
from bailiwick.telemetry.redacting import redacted, redacted_json

_RECORD = """
update outcomes set state = %(state)s, evidence = %(evidence)s::jsonb, missing = %(missing)s,
    checked_at = %(at)s, late_seconds = %(late)s
where organization_id = %(org)s and id = %(id)s and state = 'pending'
returning """

_VERDICTS: Mapping[Found, Literal["verified", "refuted", "unverifiable"]] = {
    "worked": "verified", "did_not": "refuted", "unknown": "unverifiable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutcomeFilter:
    """Which outcomes are wanted; None asks for any."""

    state: str | None = None
    check: str | None = None
    effect_id: str | None = None
    task_id: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found, when it began, and how much later than it should; None for in time."""

    finding: Finding
    at: datetime
    late_seconds: float | None = None


class Outcomes:
    """Reads expectations of one organization, and writes verdicts once."""

    def __init__(self, database: Database, effects: Effects, events: EventLog, audit: AuditLog) -> None:
        self._database = database
        self._effects = effects
        self._events = events
        self._audit = audit

    async def get(self, organization_id: str, outcome_id: str) -> OutcomeRecord:
        """Return one outcome, or raise NotFoundError."""
        identifier = parse_id(outcome_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {COLUMNS} from outcomes where organization_id = %s and id = %s",
            (organization_id, identifier),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(
                f"no outcome {outcome_id} in this organization; list them with: bailiwick outcomes list"
            )
        return OutcomeRecord(**row)

    async def list(
        self, organization_id: str, wanted: OutcomeFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[OutcomeRecord]:
        """Return a page of outcomes, newest first."""
        limit = checked_limit(limit)
        given = asked_of(wanted)
        conditions = "".join(f' and "{name}"::text = %({name})s' for name in given)
        after = after_cursor(cursor)
        if after is not None:
            conditions += " and id < %(after)s::uuid"
        rows = await self._database.fetch_all(
            f"select {COLUMNS} from outcomes where organization_id = %(org)s{conditions} "
            "order by id desc limit %(limit)s",
            {**given, "org": organization_id, "after": after, "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([OutcomeRecord(**row) for row in rows], limit)

    async def abandoned(self, organization_id: str, *, before: datetime, limit: int = 200) -> "list[str]":
        """Return pending outcomes that were due before a moment and whose timer is gone: cancelled, or given up."""
        rows = await self._database.fetch_all(
            "select id from outcomes o where organization_id = %s and state = 'pending' and check_at < %s "
            "and not exists (select from tasks t where t.id = o.id) order by check_at limit %s",
            (organization_id, before, limit),
            organization_id=organization_id,
        )
        return [row["id"] for row in rows]

    async def record(self, run: Run, outcome_id: str, look: Look) -> bool:
        """Write a verdict with its evidence and all that follows from it, in one transaction and once.

        The effect it is about is settled, what that says of the agent learned,
        the event told and the act audited, or nothing of it. False where the
        verdict is written already.

        Raises:
            LeaseLostError: the task that looks was taken from this worker.
        """
        organization_id = run.task.organization_id
        evidence = encode({"readings": look.finding.evidence}, what="evidence of an outcome")
        missing = None if look.finding.missing is None else redacted(look.finding.missing)
        params = {
            "org": organization_id, "id": outcome_id, "state": look.finding.verdict, "at": look.at,
            "evidence": redacted_json(evidence).decode(), "missing": missing, "late": look.late_seconds,
        }  # fmt: skip
        async with self._database.transaction(organization_id) as connection:
            await _check_held(run, connection)
            cursor = await connection.execute(trusted(_RECORD + COLUMNS), params)
            row = await cursor.fetchone()
            if row is not None:
                await self._follow_up(OutcomeRecord(**row), look.finding.verdict, connection)
        return row is not None

    async def _follow_up(self, outcome: OutcomeRecord, found: Found, connection: Connection) -> None:
        if outcome.effect_id is not None:
            evidence = {"outcome_id": outcome.id, "check": outcome.check, **(outcome.evidence or {})}
            verdict = Verdict(_VERDICTS[found], evidence)
            await self._effects.settle(outcome.effect_id, verdict, connection=connection)
        checked = OutcomeChecked(
            outcome_id=outcome.id, effect_id=outcome.effect_id, task_id=outcome.task_id, agent_id=outcome.agent_id,
            effect_class=outcome.effect_class, check=outcome.check, claim=outcome.claim,
            verdict=found, missing=outcome.missing, late_seconds=outcome.late_seconds,
        )  # fmt: skip
        event = NewEvent(CHECKED, checked, cause_id=outcome.task_id)
        await self._events.append(connection, outcome.organization_id, [event])
        after = {
            "verdict": found, "check": outcome.check, "effect_id": outcome.effect_id,
            "task_id": outcome.task_id, "late_seconds": outcome.late_seconds,
        }  # fmt: skip
        act = Act(
            outcome.organization_id, CHECKED, SYSTEM, f"outcome:{outcome.id}", after=after, reason=outcome.missing
        )
        await self._audit.record(act, connection=connection)


async def _check_held(run: Run, connection: Connection) -> None:
    cursor = await connection.execute("select task_is_held(%s, %s) as held", (run.task.id, run.task.fence))
    row = await cursor.fetchone()
    if row is None or not row["held"]:
        raise LeaseLostError(f"task {run.task.id} was taken from this worker before it wrote what it found")
