"""The first step of an effect: what exactly is wanted, what is there now, and what may be done about it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from pydantic import BaseModel

from bailiwick.authority import Authority, Decision, Proposal
from bailiwick.authority import Budget as BudgetAnswer
from bailiwick.authority.approvals import Approvals
from bailiwick.authority.budgets import Budgets
from bailiwick.effects.digest import digest_of
from bailiwick.effects.moves import Moves, budget_key, kept
from bailiwick.effects.record import COLUMNS, EffectRecord, effect_of, is_mere_reading
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.seeing import Seen, look
from bailiwick.effects.slots import free_text
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.tasks import LeaseLostError, Run
from bailiwick.tasks.acting import Effect, EffectState, Expectation

_NOT_HELD = "BW001"
_MAX_REASON = 2000

_INSERT = f"""
insert into effects (
    id, organization_id, task_id, seq, fence, round, agent_id, agent_kind, tool, tool_version, effect_class,
    arguments, target, observed, price, labels, policy, digest, state, decision_id, approval_id, reason, problem,
    reverts, expectation, ended_at)
values (
    %(id)s, %(org)s, %(task)s, %(seq)s, %(fence)s, %(round)s, %(agent)s,
    (select a.kind from agents a where a.id = %(agent)s), %(tool)s, %(version)s, %(class)s,
    %(arguments)s::jsonb, %(target)s, %(observed)s::jsonb, %(price)s, %(labels)s, %(policy)s, %(digest)s, %(state)s,
    %(decision)s, %(approval)s, %(reason)s, %(problem)s, %(reverts)s, %(expectation)s::jsonb,
    case when %(state)s = 'declined' then clock_timestamp() end)
returning {COLUMNS}"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An effect as its run wants it now: for the ``round``-th time, from the durable call ``seq`` on."""

    effect: Effect
    arguments: BaseModel | Mapping[str, Any]
    seq: int
    round: int


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a proposal begins its life."""

    state: EffectState
    decision: Decision | None = None
    approval_id: str | None = None
    problem: str | None = None


class Proposing:
    """Makes proposals, has them decided, and keeps both; nothing outside is changed."""

    def __init__(
        self,
        database: Database,
        tools: ToolRegistry,
        moves: Moves,
        *,
        authority: Authority,
        approvals: Approvals,
        budgets: Budgets,
        validate: Callable[[Expectation], None] | None = None,
    ) -> None:
        """Take who carries it all; ``validate`` raises for an expectation that nobody could look at."""
        self._database = database
        self._validate = validate
        self._tools = tools
        self._moves = moves
        self._authority = authority
        self._approvals = approvals
        self._budgets = budgets

    async def propose(
        self, run: Run, wanted: Wanted, made: Callable[[EffectRecord], None] | None = None
    ) -> dict[str, Any]:
        """Propose an effect once and return ``{effect_id, state, reason, approval_id, expires_seconds}``.

        ``made`` is told of the effect where this call has made it.

        Raises:
            UnknownKindError, InvalidPayloadError: no such tool or check, or arguments that do not fit it.
            LeaseLostError: the task was taken from this worker; nothing was proposed.
        """
        if not 1 <= len(wanted.effect.reason) <= _MAX_REASON:
            raise InvalidInputError(f"an effect says in 1 to {_MAX_REASON:,} characters why it is wanted")
        tool = self._tools.get(wanted.effect.tool)
        arguments = self._tools.arguments(tool, wanted.arguments)
        if wanted.effect.reverts is not None:
            run.label(*await self._labels_of(run, wanted.effect.reverts))
        # A run that begins for the first time has proposed nothing; a key in the table would say so.
        proposed = await self._find(run, wanted.seq) if run.task.is_resumed else None
        if proposed is None:
            if wanted.effect.expectation is not None and self._validate is not None:
                self._validate(wanted.effect.expectation)
            seen = await look(tool, arguments, run.task.organization_id, key=new_id(), since=datetime.now(UTC))
            try:
                effect, expires_seconds = await self._decide(run, wanted, seen)
            except psycopg.Error as error:
                if error.sqlstate != _NOT_HELD:
                    raise
                raise LeaseLostError(f"task {run.task.id} was taken from this worker before it proposed") from error
            if made is not None:
                made(effect)
            proposed = _answer(effect, expires_seconds)
        return proposed

    async def _decide(self, run: Run, wanted: Wanted, seen: Seen) -> tuple[EffectRecord, float | None]:
        proposal = _proposal(run, wanted.effect, seen)
        # Before the transaction: the lookup takes a connection of its own, and to hold one while waiting for
        # another would let a full pool wait for itself.
        consent = await self._authority.consent_of(proposal)
        async with self._database.transaction(run.task.organization_id) as connection:
            standing, digest = await self._standing(proposal, seen, connection, consent=consent)
            effect = await _insert(run, wanted, seen, standing=standing, digest=digest, connection=connection)
            if standing.state == "declined":
                await self._moves.tell(effect, "declined", standing.problem or "", connection)
            else:
                await self._moves.tell(effect, "proposed", effect.reason, connection)
            if standing.state == "proposed" and is_mere_reading(effect) and effect.arguments == seen.arguments:
                # Nothing is observed before it, so nothing can have moved once this is committed.
                effect = await self._moves.begin_at_once(effect, run.task.fence, connection)
        terms = None if standing.decision is None else standing.decision.terms
        return effect, None if terms is None else terms.expires_hours * 3600

    async def _standing(
        self, proposal: Proposal, seen: Seen, connection: Connection, *, consent: bool | None
    ) -> tuple[_Standing, str]:
        if seen.problem is not None:
            return _Standing("declined", problem=seen.problem), _digest(proposal, seen, "0/0")
        budget = await self._weigh(proposal, connection)
        decision = await self._authority.decide(proposal, connection=connection, budget=budget, consent=consent)
        digest = _digest(proposal, seen, decision.policy_mark)
        if decision.outcome == "deny":
            return _Standing("declined", decision, problem=f"{decision.rule}: {decision.reason}"), digest
        if decision.outcome == "allow":
            await self._reserve(proposal, seen.call.key, connection)
            return _Standing("proposed", decision), digest
        approval_id = await self._approvals.request(
            proposal, decision, effect_id=seen.call.key, digest=digest,
            undo=seen.tool.undo_of(seen.call.arguments), connection=connection,
        )  # fmt: skip
        return _Standing("waiting", decision, approval_id), digest

    async def _weigh(self, proposal: Proposal, connection: Connection) -> BudgetAnswer | None:
        if not proposal.price:
            return None
        found = await self._budgets.weigh(
            proposal.organization_id, agent_id=proposal.agent_id, task_id=proposal.task_id, unit="money",
            amount=proposal.price, connection=connection,
        )  # fmt: skip
        return found.answer

    async def _reserve(self, proposal: Proposal, effect_id: str, connection: Connection) -> None:
        if proposal.price:
            # The decision heard the budgets in this transaction and they are locked: what asks was answered.
            await self._budgets.reserve(
                proposal.organization_id, agent_id=proposal.agent_id, task_id=proposal.task_id, unit="money",
                amount=proposal.price, key=budget_key(effect_id), connection=connection, is_approved=True,
            )  # fmt: skip

    async def _labels_of(self, run: Run, effect_id: str) -> list[str]:
        """Return the labels of an effect that is taken back: the arguments of its inverse descend from its own."""
        row = await self._database.fetch_one(
            "select labels from effects where id = %s", (effect_id,), organization_id=run.task.organization_id
        )
        return [] if row is None else row["labels"]

    async def _find(self, run: Run, seq: int) -> dict[str, Any] | None:
        """Return what an execution of this step before a crash has proposed."""
        row = await self._database.fetch_one(
            f"select {COLUMNS}, (select (d.terms ->> 'expires_hours')::float8 * 3600 from decisions d "
            "where d.id = effects.decision_id) as expires_seconds from effects where task_id = %s and seq = %s",
            (run.task.id, seq),
            organization_id=run.task.organization_id,
        )
        if row is None:
            return None
        expires_seconds = row.pop("expires_seconds")
        return _answer(effect_of(row), expires_seconds)


def _proposal(run: Run, effect: Effect, seen: Seen) -> Proposal:
    tool, arguments = seen.tool, seen.call.arguments
    return Proposal(
        run.task.organization_id, run.task.id, tool.name, tool.effect_class, seen.arguments, seen.target,
        datetime.now(UTC),
        agent_id=run.task.agent_id, observed=seen.observed, price=seen.price,
        is_reversible=tool.undo_of(arguments) is not None, labels=run.labels,
        free_text=free_text(tool, arguments, run.labels), reason=effect.reason, confidence=effect.confidence,
        factors=effect.factors or {}, subject=effect.subject, purpose=effect.purpose,
    )  # fmt: skip


def _digest(proposal: Proposal, seen: Seen, policy: str) -> str:
    return digest_of(
        proposal.tool, seen.tool.version, seen.arguments, target=seen.target, observed=seen.observed,
        policy_version=policy, price=proposal.price,
    )  # fmt: skip


async def _insert(
    run: Run, wanted: Wanted, seen: Seen, *, standing: _Standing, digest: str, connection: Connection
) -> EffectRecord:
    task, effect, decision = run.task, wanted.effect, standing.decision
    expectation = None if effect.expectation is None else kept(asdict(effect.expectation))
    cursor = await connection.execute(
        trusted(_INSERT),
        {
            "id": seen.call.key, "org": task.organization_id, "task": task.id, "seq": wanted.seq,
            "fence": task.fence, "round": wanted.round, "agent": task.agent_id, "tool": seen.tool.name,
            "version": seen.tool.version, "class": seen.tool.effect_class,
            "arguments": orjson.dumps(seen.arguments).decode(), "target": seen.target,
            "observed": orjson.dumps(seen.observed).decode(), "price": seen.price, "labels": sorted(run.labels),
            "policy": "0/0" if decision is None else decision.policy_mark, "digest": digest, "state": standing.state,
            "decision": None if decision is None else decision.id, "approval": standing.approval_id,
            "reason": effect.reason, "problem": standing.problem, "reverts": effect.reverts,
            "expectation": expectation,
        },
    )  # fmt: skip
    row = await cursor.fetchone()
    assert row is not None
    return effect_of(row)


def _answer(effect: EffectRecord, expires_seconds: float | None) -> dict[str, Any]:
    return {
        "effect_id": effect.id,
        "state": effect.state,
        "reason": effect.problem or effect.reason,
        "approval_id": effect.approval_id,
        "expires_seconds": expires_seconds,
    }
