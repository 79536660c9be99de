"""The moves of an effect's life: a state, its audit entry and its event, in one transaction each."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, LiteralString

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.authority.approvals import Approvals
from bailiwick.authority.budgets import Budgets
from bailiwick.effects.expecting import expect
from bailiwick.effects.facts import EffectMoved
from bailiwick.effects.model import Verdict
from bailiwick.effects.record import COLUMNS, EffectRecord, effect_of
from bailiwick.effects.slots import answer_labels
from bailiwick.events import EventLog, NewEvent
from bailiwick.kernel.documents import MAX_RESULT_BYTES, encode
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.tasks.acting import DONE_STATES, EffectState
from bailiwick.telemetry.redacting import redacted, redacted_json

_MAX_PROBLEM = 2000

Judged = Callable[[EffectRecord, Verdict, Connection], Awaitable[None]]
"""Told of a verdict about an effect in the transaction that writes it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of a call.

    ``undo`` is the inverse as it is kept, possible for ``undo_seconds`` (None: for ever). ``verdict`` is what the
    tool saw of it already.
    """

    state: EffectState
    result: Any = None
    problem: str | None = None
    undo: Mapping[str, Any] | None = None
    undo_seconds: float | None = None
    verdict: Verdict | None = None


class _RefusedError(Exception):
    """The database refused a move, so nothing of its transaction may stay."""


class Moves:
    """Writes what becomes of effects. Each returns False where the database refuses: another hand was there first."""

    def __init__(
        self, database: Database, events: EventLog, audit: AuditLog, *, approvals: Approvals, budgets: Budgets
    ) -> None:
        self._database = database
        self._events = events
        self._audit = audit
        self._approvals = approvals
        self._budgets = budgets
        self.judged: list[Judged] = []

    async def begin(self, effect: EffectRecord, fence: int, digest: str, *, goes_on: bool = False) -> str:
        """Begin to execute; return ``begun`` or why not, as the database function ``effect_begin`` says."""
        async with self._database.transaction(effect.organization_id) as connection:
            return await _begun(effect, fence, digest, connection, goes_on=goes_on)

    async def begin_at_once(self, effect: EffectRecord, fence: int, connection: Connection) -> EffectRecord:
        """Begin to execute in the transaction that proposes; return the effect as it is then."""
        answer = await _begun(effect, fence, effect.digest, connection)
        return replace(effect, state="executing", calls=1) if answer == "begun" else effect

    async def end(self, effect: EffectRecord, ending: Ending, *, fence: int | None) -> bool:
        """Record what came of a call; what is expected of it is set up.

        Without a ``fence`` only where the effect's task is over.
        """

        async def write(connection: Connection) -> None:
            await self._settle_budgets(effect, ending.state, connection)
            if ending.state == "applied":
                await expect(effect, connection)
            await self.tell(effect, ending.state, ending.problem or effect.reason, connection)
            await self._record(effect, ending.state, actor_of(effect), ending.problem, connection)
            await _must(
                connection,
                "select effect_end(%s, %s, %s, %s::jsonb, %s, %s::jsonb, %s) as done",
                (
                    effect.id, fence, ending.state, kept(ending.result), problem_of(ending.problem),
                    None if ending.undo is None else kept(ending.undo), ending.undo_seconds,
                ),
            )  # fmt: skip
            if ending.verdict is not None:
                is_final = effect.expectation is None
                await self.judge(effect, ending.verdict, is_final=is_final, connection=connection)

        return await self._together(effect, write)

    async def decline(
        self,
        effect: EffectRecord,
        problem: str,
        *,
        fence: int | None,
        is_breach: bool = False,
    ) -> bool:
        """Give up what was not begun; a breach, where what is stored is not what was decided, is audited."""

        async def write(connection: Connection) -> None:
            await self._settle_budgets(effect, "declined", connection)
            if effect.approval_id is not None:
                # Where people did not answer, they need not any more.
                await self._approvals.stale(effect.organization_id, effect.approval_id, problem, connection=connection)
            await self.tell(effect, "declined", problem, connection)
            if is_breach:
                await self._record(effect, "refused", actor_of(effect), problem, connection)
            await _must(
                connection, "select effect_decline(%s, %s, %s) as done", (effect.id, fence, problem_of(problem))
            )

        return await self._together(effect, write)

    async def settle_unknown(self, effect: EffectRecord, state: str, *, actor: Actor, reason: str) -> bool:
        """Write what a person says became of an effect, and wake the run that waits for it."""

        async def write(connection: Connection) -> None:
            await self._settle_budgets(effect, state, connection)
            if state == "applied":
                await expect(effect, connection)
            await self.tell(effect, "settled", reason, connection)
            await self._record(effect, "settled", actor, reason, connection, after={"state": state})
            await _must(
                connection, "select effect_settle_unknown(%s, %s, %s) as done", (effect.id, state, problem_of(reason))
            )
            if state == "applied":
                # Who says that an inverse took effect has looked.
                await self._revert(effect, connection)

        if not await self._together(effect, write):
            return False
        await self._database.fetch_one("select task_wake_from_history(%s::uuid[])", ([effect.task_id],))
        self._events.announce()
        return True

    async def judge(
        self, effect: EffectRecord, verdict: Verdict, *, is_final: bool = True, connection: Connection
    ) -> bool:
        """Keep what was seen of an applied effect; where that is final, it is the verdict.

        Then what it takes back is marked, unless its own work does not stand.
        """
        seen = {"at": datetime.now(UTC).isoformat(), "outcome": verdict.outcome, "evidence": verdict.evidence}
        cursor = await connection.execute(
            "select effect_judge(%s, %s, %s::jsonb) as done",
            (effect.id, verdict.outcome if is_final else "applied", kept([seen])),
        )
        row = await cursor.fetchone()
        if row is None or not row["done"]:
            return False
        if is_final:
            await self.tell(effect, verdict.outcome, "", connection)
            for hear in self.judged:
                await hear(effect, verdict, connection)
            if verdict.outcome != "refuted":
                await self._revert(effect, connection)
        return True

    async def see(self, effect: EffectRecord, verdict: Verdict, *, is_final: bool) -> bool:
        """Keep, in a transaction of its own, what the tool itself saw right after the call."""
        async with self._database.transaction(effect.organization_id) as connection:
            return await self.judge(effect, verdict, is_final=is_final, connection=connection)

    async def tell(self, effect: EffectRecord, what: str, reason: str, connection: Connection) -> None:
        """Record the event of a move. Reads are not told: they change nothing, and there are many."""
        if effect.effect_class == "read" and what not in ("unknown", "settled"):
            return
        # What is proposed waits for people or may begin.
        state = effect.state if what == "proposed" else what
        fact = EffectMoved(
            effect_id=effect.id, task_id=effect.task_id, agent_id=effect.agent_id, tool=effect.tool,
            effect_class=effect.effect_class, target=effect.target, state=state, reason=reason[:_MAX_PROBLEM],
        )  # fmt: skip
        # Why it failed is said in the words of the tool's system.
        labels = frozenset(effect.labels) | answer_labels(effect.tool, what, None, reason)
        event = NewEvent(f"effect.{what}", fact, cause_id=effect.task_id, labels=labels)
        await self._events.append(connection, effect.organization_id, [event])

    async def _settle_budgets(self, effect: EffectRecord, state: str, connection: Connection) -> None:
        """Record what was spent, or give back what was reserved; of what is unknown it stays reserved."""
        key = budget_key(effect.id)
        if effect.price and state == "applied":
            await self._budgets.settle(effect.organization_id, key, effect.price, connection=connection)
        elif effect.price and state in ("failed", "declined"):
            await self._budgets.release(effect.organization_id, key, connection=connection)

    async def _together(self, effect: EffectRecord, write: Callable[[Connection], Awaitable[None]]) -> bool:
        try:
            async with self._database.transaction(effect.organization_id) as connection:
                await write(connection)
        except _RefusedError:
            return False
        return True

    async def _record(
        self,
        effect: EffectRecord,
        what: str,
        actor: Actor,
        reason: str | None,
        connection: Connection,
        *,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        # No arguments and no results: the audit log outlives what is erased.
        bound = {
            "tool": effect.tool, "version": effect.tool_version, "class": effect.effect_class, "target": effect.target,
            "price": str(effect.price), "digest": effect.digest, "task_id": effect.task_id,
            "decision_id": effect.decision_id, "approval_id": effect.approval_id, **(after or {}),
        }  # fmt: skip
        act = Act(effect.organization_id, f"effect.{what}", actor, f"effect:{effect.id}", after=bound, reason=reason)
        await self._audit.record(act, connection=connection)

    async def _revert(self, inverse: EffectRecord, connection: Connection) -> None:
        """Mark what an inverse takes back; nothing happens where it was taken back before, or never was outside."""
        if inverse.reverts is None:
            return
        cursor = await connection.execute(
            trusted(f"select {COLUMNS} from effects where id = %s and state = any(%s) for no key update"),
            (inverse.reverts, list(DONE_STATES)),
        )
        row = await cursor.fetchone()
        if row is None:
            return
        await self.tell(effect_of(row), "reverted", inverse.reason, connection)
        act = Act(
            inverse.organization_id, "effect.reverted", actor_of(inverse), f"effect:{inverse.reverts}",
            after={"by": inverse.id}, reason=inverse.reason,
        )  # fmt: skip
        await self._audit.record(act, connection=connection)
        await _must(connection, "select effect_revert(%s, %s) as done", (inverse.reverts, inverse.id))


def budget_key(effect_id: str) -> str:
    """Return the key under which the price of an effect is reserved."""
    return f"effect:{effect_id}"


def actor_of(effect: EffectRecord) -> Actor:
    """Return who the audit log says acts: the agent, or the task where there is none."""
    if effect.agent_id is None:
        return Actor("system", f"task:{effect.task_id}", "a task without an agent")
    return Actor("agent", effect.agent_id, effect.agent_kind or "agent")


def kept(value: object) -> str:
    """Return plain data as JSON to be stored, without the secrets in it."""
    return redacted_json(encode(value, what="what is kept of an effect", limit=MAX_RESULT_BYTES)).decode()


def problem_of(text: str | None) -> str | None:
    """Return a message as it is stored: bounded, without secrets."""
    if text is None:
        return None
    return redacted(text.replace("\0", " ").encode("utf-8", "replace").decode())[:_MAX_PROBLEM]


async def _begun(
    effect: EffectRecord, fence: int, digest: str, connection: Connection, *, goes_on: bool = False
) -> str:
    cursor = await connection.execute(
        "select effect_begin(%s, %s, %s, %s) as answer", (effect.id, fence, digest, goes_on)
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["answer"])


async def _must(connection: Connection, sql: LiteralString, params: tuple[object, ...]) -> None:
    cursor = await connection.execute(sql, params)
    row = await cursor.fetchone()
    if row is None or not row["done"]:
        raise _RefusedError
