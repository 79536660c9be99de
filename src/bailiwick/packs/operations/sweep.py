"""The service-level sweep: records what is at risk or late, climbs the ladder, declares emergencies."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from bailiwick.agents import AgentDirectory
from bailiwick.connectors.issues import ISSUES
from bailiwick.events import NewEvent
from bailiwick.kernel.documents import encode
from bailiwick.kernel.ids import new_id
from bailiwick.kernel.labels import untrusted
from bailiwick.packs.operations import event_types as facts
from bailiwick.packs.operations.assignments import WorkAssignment
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.settings import load_settings
from bailiwick.packs.operations.sla import Escalation, SlaPolicy, escalate
from bailiwick.storage import Database
from bailiwick.tasks import Run

MAX_PER_SWEEP = 200
"""Of more late issues the most urgent are taken first, the rest by the next sweeps."""

_ON_THE_CLOCK = """
select key, priority, deadline_at, clock_started_at, inserted_at, at_risk_at, breached_at
from issues
where organization_id = %(org)s and state = 'open' and done_at is null and deadline_at is not null
  and priority is not null
  and (deadline_at < %(now)s and (breached_at is null or breached_at < deadline_at)
       or deadline_at >= %(now)s and at_risk_at is null
          and deadline_at - %(now)s < (deadline_at - clock_started_at) * %(fraction)s)
order by priority, deadline_at limit %(limit)s"""

# The deadline is named, so that a second run of the step finds nothing left to do.
_BREACH = """
update issues
set breached_at = %(now)s, breached_priority = coalesce(breached_priority, priority), priority = %(after)s,
    deadline_at = coalesce(%(fresh)s, deadline_at), at_risk_at = null,
    clock_started_at = case when %(fresh)s::timestamptz is null then clock_started_at else %(now)s end,
    escalations = escalations || %(entry)s::jsonb
where organization_id = %(org)s and key = %(key)s and deadline_at = %(deadline)s
  and (breached_at is null or breached_at < deadline_at)"""

_NOTE = """
insert into issue_transitions
    (id, organization_id, issue_id, from_status, to_status, actor_kind, actor, reason, details, made_by)
select %(id)s, organization_id, id, status, status, 'rule', 'sla', %(reason)s, %(details)s::jsonb, %(made_by)s
from issues where organization_id = %(org)s and key = %(key)s
on conflict (issue_id, made_by) do nothing"""


class Sweep(BaseModel):
    """A sweep needs no input: it looks at every open issue of its organization."""


class SlaSweep:
    """The handler of ``sla.sweep``."""

    def __init__(self, database: Database, directory: AgentDirectory) -> None:
        self._database = database
        self._directory = directory

    async def sweep(self, run: Run, _: Sweep) -> dict[str, int]:
        """Look at the clock of every open issue once; return how many were at risk, late, raised, emergencies."""
        counts = {"at_risk": 0, "breached": 0, "raised": 0, "emergencies": 0}
        looked: list[dict[str, Any]] = await run.step("look", self._look, run.task.organization_id)
        if looked:
            # Their keys are names that somebody outside gave.
            run.label(untrusted(ISSUES))
        for found in looked:
            if found["is_late"]:
                await self._breach(run, found, counts)
            else:
                await run.step(f"at risk {found['key']}", self._mark, run.task.organization_id, found)
                await self._tell(run, "sla.at_risk", _fact(found, found["reason"]), found)
                counts["at_risk"] += 1
        return counts

    async def _look(self, organization_id: str) -> list[dict[str, Any]]:
        settings = await load_settings(self._database, organization_id)
        policy, now = settings.policy, datetime.now(UTC)
        rows = await self._database.fetch_all(
            _ON_THE_CLOCK,
            {"org": organization_id, "now": now, "fraction": policy.at_risk_fraction, "limit": MAX_PER_SWEEP},
            organization_id=organization_id,
        )
        return [_finding(row, now, policy) for row in rows]

    async def _mark(self, organization_id: str, found: Mapping[str, Any]) -> None:
        await self._database.execute(
            "update issues set at_risk_at = now() where organization_id = %s and key = %s and at_risk_at is null",
            (organization_id, found["key"]),
            organization_id=organization_id,
        )

    async def _breach(self, run: Run, found: Mapping[str, Any], counts: dict[str, int]) -> None:
        await run.step(f"breach {found['key']}", self._record_breach, run.task.organization_id, found)
        counts["breached"] += 1
        await self._tell(run, "sla.breached", _fact(found, found["reason"]), found)
        if found["after"] != found["before"]:
            counts["raised"] += 1
            raised = facts.IssueEscalated(
                key=found["key"], before=found["before"], after=found["after"], by="sla", reason=found["reason"],
                deadline_at=found["fresh_deadline_at"],
            )  # fmt: skip
            await self._tell(run, "issue.escalated", raised, found)
        if found["is_emergency"]:
            counts["emergencies"] += 1
            await self._declare(run, found)

    async def _record_breach(self, organization_id: str, found: Mapping[str, Any]) -> None:
        entry = {name: found[name] for name in ("at", "before", "after", "reason", "deadline_at")}
        params = {
            "id": new_id(), "org": organization_id, "key": found["key"], "now": found["at"],
            "after": int(Priority[found["after"]]), "fresh": found["fresh_deadline_at"],
            "deadline": found["deadline_at"], "entry": encode([entry]).decode(), "reason": found["reason"],
            "details": encode(entry).decode(), "made_by": f"sla:{found['deadline_at']}",
        }  # fmt: skip
        async with self._database.transaction(organization_id) as connection:
            await connection.execute(_BREACH, params)
            await connection.execute(_NOTE, params)

    async def _declare(self, run: Run, found: Mapping[str, Any]) -> None:
        """Declare an emergency and have a project manager plan the escalation."""
        await self._tell(
            run, "emergency.declared", facts.EmergencyDeclared(key=found["key"], reason=found["reason"]), found
        )
        choice = await run.step("choose project manager", self._choose, run.task.organization_id)
        if choice["agent_id"] is not None:
            assignment = WorkAssignment(issue_key=found["key"], operation="escalation", is_by_itself=True)
            await run.spawn(
                "project-manager.work", assignment,
                priority=0, agent_id=choice["agent_id"], choice=choice,
            )  # fmt: skip

    async def _choose(self, organization_id: str) -> dict[str, Any]:
        return (await self._directory.choose(organization_id, "project-manager.work")).to_json()

    async def _tell(self, run: Run, event_type: str, fact: facts.IssueFact, found: Mapping[str, Any]) -> None:
        # The deadline names the breach: whichever sweep tells it, it is told once.
        dedupe_key = f"{event_type}:{found['key']}:{found['deadline_at']}"
        await run.publish(NewEvent(event_type, fact, fact.key, dedupe_key))


def _finding(row: Mapping[str, Any], now: datetime, policy: SlaPolicy) -> dict[str, Any]:
    priority, due = Priority(row["priority"]), row["deadline_at"]
    if due >= now:
        left = (due - now).total_seconds()
        reason = f"{left / 60:.0f} min are left to the deadline of its {priority.name}"
        outcome = Escalation(priority, priority, emergency=False, deadline_at=None, reason=reason)
    else:
        outcome = _outcome(row, priority, now, policy)
    return {
        "key": row["key"], "is_late": due < now, "before": outcome.before.name, "after": outcome.after.name,
        "is_emergency": outcome.emergency, "reason": outcome.reason, "at": now.isoformat(),
        "deadline_at": due.isoformat(),
        "fresh_deadline_at": None if outcome.deadline_at is None else outcome.deadline_at.isoformat(),
    }  # fmt: skip


def _outcome(row: Mapping[str, Any], priority: Priority, now: datetime, policy: SlaPolicy) -> Escalation:
    late = (now - row["deadline_at"]).total_seconds()
    # Nobody here let an old backlog slip; raising all of it would bury what is urgent today.
    if row["inserted_at"] > row["deadline_at"] and late > policy.seconds[priority]:
        reason = f"{priority.name} was {late / 3600:.1f} h late when it came to us; reported, not raised"
        return Escalation(priority, priority, emergency=False, deadline_at=None, reason=reason)
    return escalate(priority, now, policy)


def _fact(found: Mapping[str, Any], reason: str) -> facts.ServiceLevelFact:
    return facts.ServiceLevelFact(
        key=found["key"], priority=found["before"], deadline_at=found["deadline_at"], reason=reason
    )
