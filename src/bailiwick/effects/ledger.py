"""The effects of organizations: found, listed, judged, settled by people, taken back."""

from typing import Any, Literal

from bailiwick.audit import Actor, AuditLog
from bailiwick.authority.approvals import Approvals
from bailiwick.authority.budgets import Budgets
from bailiwick.effects.model import Verdict
from bailiwick.effects.moves import Moves
from bailiwick.effects.record import COLUMNS, EffectFilter, EffectMove, EffectRecord, effect_of
from bailiwick.events import EventLog
from bailiwick.identity.people.persons import check_person
from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, asked_of, checked_limit, page_of
from bailiwick.tasks.acting import DONE_STATES, Effect


class Effects:
    """What was proposed, decided, done outside, and what became of it. Nothing here calls a tool."""

    def __init__(
        self, database: Database, events: EventLog, audit: AuditLog, *, approvals: Approvals, budgets: Budgets
    ) -> None:
        self._database = database
        self.moves = Moves(database, events, audit, approvals=approvals, budgets=budgets)

    async def find(self, organization_id: str, effect_id: str) -> EffectRecord | None:
        """Return an effect, or None."""
        identifier = parse_id(effect_id)
        if identifier is None:
            return None
        row = await self._database.fetch_one(
            f"select {COLUMNS} from effects where organization_id = %s and id = %s",
            (organization_id, identifier),
            organization_id=organization_id,
        )
        return None if row is None else effect_of(row)

    async def get(self, organization_id: str, effect_id: str) -> EffectRecord:
        """Return an effect.

        Raises:
            NotFoundError: there is none of that id in the organization.
        """
        found = await self.find(organization_id, effect_id)
        if found is None:
            raise NotFoundError(f"no effect {effect_id!r}; list them with: bailiwick effects list")
        return found

    async def list(
        self, organization_id: str, wanted: EffectFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[EffectRecord]:
        """Return a page of an organization's effects, newest first."""
        limit = checked_limit(limit)
        given = asked_of(wanted)
        conditions = "".join(f" and {name}::text = %({name})s" for name in given)
        after = after_cursor(cursor)
        if after is not None:
            conditions += " and id < %(after)s"
        rows = await self._database.fetch_all(
            f"select {COLUMNS} from effects where organization_id = %(org)s{conditions} "
            "order by id desc limit %(limit)s",
            {**given, "org": organization_id, "after": after, "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([effect_of(row) for row in rows], limit)

    async def history(self, organization_id: str, effect_id: str) -> "list[EffectMove]":
        """Return every state an effect was in, in order.

        Raises:
            NotFoundError: there is no such effect.
        """
        effect = await self.get(organization_id, effect_id)
        rows = await self._database.fetch_all(
            "select seq, state, at, note from effect_moves where effect_id = %s order by seq",
            (effect.id,),
            organization_id=organization_id,
        )
        return [EffectMove(**row) for row in rows]

    async def settle(self, effect_id: str, verdict: Verdict, *, connection: Connection) -> bool:
        """Write what a later look found of an applied effect, in a transaction of its organization.

        False, and nothing is written, where it has a verdict already, is taken back or never was applied.
        """
        cursor = await connection.execute(trusted(f"select {COLUMNS} from effects where id = %s"), (effect_id,))
        row = await cursor.fetchone()
        return row is not None and await self.moves.judge(effect_of(row), verdict, connection=connection)

    async def settle_unknown(
        self,
        organization_id: str,
        effect_id: str,
        state: Literal["applied", "failed"],
        *,
        actor: Actor,
        reason: str,
    ) -> EffectRecord:
        """Say, as a person who looked, what became of an effect of which nobody can tell; the run goes on with it.

        ``state`` is ``applied`` or ``failed``. Audited.

        Raises:
            NotFoundError: there is no such effect.
            ConflictError: its outcome is known.
            ForbiddenError: a program says it.
        """
        check_person(actor, "what became of an effect is said by a person who looked")
        effect = await self.get(organization_id, effect_id)
        if effect.state != "unknown" or not await self.moves.settle_unknown(effect, state, actor=actor, reason=reason):
            raise ConflictError(
                f"effect {effect.id} is {effect.state}; only one that is unknown waits for a person; "
                "list those with: bailiwick effects list --state unknown"
            )
        return await self.get(organization_id, effect_id)

    async def undo(self, organization_id: str, effect_id: str, *, reason: str) -> Effect:
        """Return the effect that takes another back, to be given to ``run.act``; nothing is done yet.

        Raises:
            NotFoundError: there is no such effect.
            ConflictError: it does not stand outside, has no inverse, or its time is over.
        """
        effect = await self.get(organization_id, effect_id)
        if effect.state not in DONE_STATES:
            raise ConflictError(
                f"effect {effect.id} is {effect.state}; only what stands outside can be taken back; "
                f"see what became of it: bailiwick effects show {effect.id}"
            )
        if effect.undo is None:
            raise ConflictError(
                f"nothing takes back what {effect.tool} did to {effect.target}; take it back outside by "
                "hand, and see what was done: bailiwick effects show " + effect.id
            )
        if effect.undo_until is not None and effect.undo_until <= await self._now():
            raise ConflictError(
                f"what {effect.tool} did to {effect.target} could be taken back until {effect.undo_until:%F %T} UTC"
            )
        return Effect(effect.undo["tool"], effect.undo["arguments"], reason, reverts=effect.id)

    async def _now(self) -> Any:
        row = await self._database.fetch_one("select clock_timestamp() as now")
        return None if row is None else row["now"]
