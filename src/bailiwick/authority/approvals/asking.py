"""The run's side of approvals: asking, giving up what has moved, and the end of waiting."""

from datetime import datetime, timedelta
from typing import Any, LiteralString

import orjson

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.authority.approvals.facts import ANSWERED, ESCALATED, EXPIRED, REMINDED, REQUESTED, moved
from bailiwick.authority.approvals.model import COLUMNS, ApprovalRecord, ApprovalState
from bailiwick.authority.approvals.toolbox import Toolbox
from bailiwick.authority.model import ApprovalTerms, Decision, Proposal, Silence
from bailiwick.events import EventLog
from bailiwick.identity.people.permissions import ROLES, Role, may, parse_role
from bailiwick.kernel.clock import Clock
from bailiwick.kernel.errors import InternalError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted

_REMIND_AFTER = 0.75
"""The part of the time to answer after which people are reminded."""

_INSERT = f"""
insert into approvals (
    id, organization_id, effect_id, task_id, agent_id, agent_name, tool, tool_version, effect_class, arguments, target,
    observed, price, policy, digest, labels, free_text, reason, rule, rule_reason, is_reversible, undo, roles, quorum,
    on_expiry, escalate_to, reminds_at, escalates_at, expires_at)
values (
    %(id)s, %(org)s, %(effect)s, %(task)s, %(agent)s,
    coalesce(%(agent_name)s, (select a.name from agents a where a.id = %(agent)s)), %(tool)s, %(version)s, %(class)s,
    %(arguments)s::jsonb, %(target)s, %(observed)s::jsonb, %(price)s, %(policy)s, %(digest)s, %(labels)s,
    %(free_text)s, %(reason)s, %(rule)s, %(rule_reason)s, %(reversible)s, %(undo)s, %(roles)s, %(quorum)s,
    %(on_expiry)s, %(escalate_to)s, %(reminds)s, %(escalates)s, %(expires)s)
on conflict (effect_id) do nothing
returning {COLUMNS}"""


class Asking:
    """Asks people, for runs. Everything is written with its audit entry and event in one transaction."""

    def __init__(self, database: Database, events: EventLog, audit: AuditLog, toolbox: Toolbox, clock: Clock) -> None:
        self._database = database
        self._events = events
        self._audit = audit
        self._toolbox = toolbox
        self._clock = clock

    async def request(
        self,
        proposal: Proposal,
        decision: Decision,
        *,
        effect_id: str,
        digest: str,
        undo: str | None,
        connection: Connection,
    ) -> str:
        """Ask people about one effect, once, in the transaction that proposes it; return the approval's id.

        Silence never allows what cannot be undone, destroys, or says words from
        outside, whatever the terms are.

        Raises:
            InternalError: the digest is not that of the proposal.
        """
        values = _values(proposal, decision, self._clock.now())
        values |= {"id": new_id(), "effect": effect_id, "digest": digest, "undo": undo}
        values["version"] = self._toolbox.version(proposal.tool)
        cursor = await connection.execute(trusted(_INSERT), values)
        row = await cursor.fetchone()
        if row is None:
            cursor = await connection.execute("select id from approvals where effect_id = %s", (effect_id,))
            found = await cursor.fetchone()
            assert found is not None
            return str(found["id"])
        approval = ApprovalRecord(**row)
        # As it is kept, so that what people say yes to is what is read back later.
        if self.digest_of(approval) != digest:
            raise InternalError("an approval was asked for with a digest that is not the proposal's; please report it")
        await self._events.append(connection, proposal.organization_id, [moved(REQUESTED, approval, "waiting")])
        asked = {
            "effect": effect_id, "tool": approval.tool, "target": approval.target, "digest": digest,
            "roles": approval.roles, "quorum": approval.quorum, "on_expiry": approval.on_expiry,
        }  # fmt: skip
        await self._record(approval, "approval.requested", _agent(approval), connection, after=asked)
        return approval.id

    async def stale(self, organization_id: str, approval_id: str, problem: str, *, connection: Connection) -> bool:
        """Void an approval because what it is bound to has moved; False where it was over.

        In the caller's transaction; where the approval still waited, its run hears of it.
        """
        approval = await self._find(approval_id, connection)
        if approval is None:
            return False
        cursor = await connection.execute(
            "select approval_stale(%s, %s, %s) as before", (approval_id, problem, self._clock.now())
        )
        row = await cursor.fetchone()
        before = None if row is None else row["before"]
        if before is None:
            return False
        if before == "waiting":
            await self._events.append(connection, organization_id, [moved(ANSWERED, approval, "stale")])
        await self._record(
            approval, "approval.stale", SYSTEM, connection, before={"state": before}, after={"state": "stale"},
            reason=problem,
        )  # fmt: skip
        return True

    async def expire(self, organization_id: str, approval_id: str) -> ApprovalState | None:
        """End an approval whose time is over as its terms say; return its state, None where there is none.

        One that is over, or still has time, stays as it is.
        """
        async with self._database.transaction(organization_id) as connection:
            approval = await self._find(approval_id, connection)
            if approval is None:
                return None
            cursor = await connection.execute(
                "select approval_expire(%s, %s) as state", (approval_id, self._clock.now())
            )
            row = await cursor.fetchone()
            assert row is not None
            state: ApprovalState = row["state"]
            if approval.state != "waiting" or state == "waiting":
                return state
            is_by_silence = state == "approved"
            facts = [moved(name, approval, state, is_by_silence=is_by_silence) for name in (EXPIRED, ANSWERED)]
            await self._events.append(connection, organization_id, facts)
            await self._record(
                approval, "approval.expired", SYSTEM, connection, before={"state": "waiting"},
                after={"state": state, "by_silence": is_by_silence},
                reason=f"nobody answered enough in time; its terms say {approval.on_expiry}",
            )  # fmt: skip
        await self.wake(organization_id, approval_id)
        return state

    async def escalate(self, organization_id: str, approval_id: str) -> bool:
        """Let the role that its terms name answer, too; False where that is not due."""
        return await self._note(organization_id, approval_id, "select approval_escalate(%s, %s) as done", ESCALATED)

    async def remind(self, organization_id: str, approval_id: str) -> bool:
        """Remind people of an approval once; False where that is not due."""
        return await self._note(organization_id, approval_id, "select approval_remind(%s, %s) as done", REMINDED)

    async def _note(self, organization_id: str, approval_id: str, sql: LiteralString, fact: str) -> bool:
        async with self._database.transaction(organization_id) as connection:
            approval = await self._find(approval_id, connection)
            if approval is None:
                return False
            row = await (await connection.execute(sql, (approval_id, self._clock.now()))).fetchone()
            if row is None or not row["done"]:
                return False
            await self._events.append(connection, organization_id, [moved(fact, approval, "waiting")])
            after = {"to": approval.escalate_to} if fact == ESCALATED else None
            await self._record(approval, fact, SYSTEM, connection, after=after)
        return True

    def digest_of(self, approval: ApprovalRecord) -> str:
        """Return the digest of what is kept of an approval; another than its own if somebody changed it."""
        return self._toolbox.digest(
            approval.tool, approval.tool_version, approval.arguments, target=approval.target,
            observed=approval.observed, policy_version=approval.policy, price=approval.price,
        )  # fmt: skip

    async def wake(self, organization_id: str, approval_id: str) -> None:
        """Let the run that waits for an answer go on, once the answer is committed; a periodic sweep does so too."""
        await self._database.execute(
            "select task_wake_by_events(coalesce(array_agg(e.id), '{}')) from events e "
            "where e.organization_id = %s and e.key = %s and e.type = %s",
            (organization_id, approval_id, ANSWERED),
            organization_id=organization_id,
        )
        self._events.announce()

    async def _find(self, approval_id: str, connection: Connection) -> ApprovalRecord | None:
        cursor = await connection.execute(
            trusted(f"select {COLUMNS} from approvals where id = %s for no key update"), (approval_id,)
        )
        row = await cursor.fetchone()
        return None if row is None else ApprovalRecord(**row)

    async def _record(
        self, approval: ApprovalRecord, action: str, actor: Actor, connection: Connection, **more: Any
    ) -> None:
        act = Act(approval.organization_id, action, actor, f"approval:{approval.id}", **more)
        await self._audit.record(act, connection=connection)


def checked_silence(terms: ApprovalTerms, proposal: Proposal) -> Silence:
    """Return what follows from silence: never allow for what cannot be undone, destroys, or says words from outside."""
    may_allow = proposal.is_reversible and proposal.effect_class != "destructive" and not proposal.free_text
    return terms.on_expiry if may_allow else "deny"


def _values(proposal: Proposal, decision: Decision, now: datetime) -> dict[str, Any]:
    terms = decision.terms or ApprovalTerms()
    roles = sorted({_able(role) for role in terms.roles}, key=ROLES.index)
    escalate_to = None if terms.escalate_to is None else _able(terms.escalate_to)
    lasts = timedelta(hours=terms.expires_hours)
    escalates = None if terms.escalate_hours is None else now + timedelta(hours=terms.escalate_hours)
    return {
        "org": proposal.organization_id, "task": proposal.task_id, "agent": proposal.agent_id,
        "agent_name": proposal.agent_name, "tool": proposal.tool, "class": proposal.effect_class,
        "arguments": orjson.dumps(proposal.arguments).decode(), "target": proposal.target,
        "observed": orjson.dumps(proposal.observed).decode(), "price": proposal.price,
        "policy": decision.policy_mark, "labels": sorted(proposal.labels), "free_text": list(proposal.free_text),
        "reason": proposal.reason, "rule": decision.rule, "rule_reason": decision.reason,
        "reversible": proposal.is_reversible, "roles": roles, "quorum": terms.quorum,
        "on_expiry": checked_silence(terms, proposal), "escalate_to": escalate_to,
        "reminds": now + lasts * _REMIND_AFTER, "escalates": escalates, "expires": now + lasts,
    }  # fmt: skip


def _able(role: str) -> Role:
    """Return a role, or the least one above it that answers approvals at all."""
    above = ROLES[ROLES.index(parse_role(role)) :]
    return next(one for one in above if may(one, "approvals:answer"))


def _agent(approval: ApprovalRecord) -> Actor:
    if approval.agent_id is None:
        return SYSTEM
    return Actor("agent", approval.agent_id, approval.agent_name or "an agent")
