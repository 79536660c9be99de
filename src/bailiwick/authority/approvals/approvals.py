"""Approvals of all organizations: asked by runs, answered by people, ended by time."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import orjson

from bailiwick.audit import AuditLog
from bailiwick.authority.approvals.asking import Asking
from bailiwick.authority.approvals.errors import ApprovalChangedError, missing, refusal
from bailiwick.authority.approvals.facts import ANSWERED, moved
from bailiwick.authority.approvals.model import (
    COLUMNS,
    Answered,
    Answerer,
    AnswerRecord,
    ApprovalRecord,
    ApprovalState,
    Saying,
)
from bailiwick.authority.approvals.toolbox import Toolbox
from bailiwick.authority.model import EffectClass, Proposal
from bailiwick.events import EventLog
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of

MAX_REASON_CHARACTERS = 2000

_ANSWER = (
    "select * from approval_answer(%(approval)s, %(id)s, %(decision)s, %(digest)s, %(by)s, %(name)s, %(voice)s, "
    "%(reason)s, %(via)s, %(proof)s::jsonb, %(edited)s::jsonb, %(at)s)"
)
_ANSWER_COLUMNS = (
    "id, decision, voice, answered_by, answered_by_name, delegation_id, digest, reason, via, proof, answered_at"
)


class Learning(Protocol):
    """Who learns from what people say how far an agent may go by itself."""

    async def record_decision(
        self,
        organization_id: str,
        agent_id: str,
        effect_class: EffectClass,
        answer: Literal["approved", "rejected", "edited"],
        *,
        effect_id: str,
        is_irreversible: bool = False,
        connection: Connection,
    ) -> None:
        """Learn from one answer, in its transaction."""
        ...


_LEARNT: Mapping[str, Literal["approved", "rejected", "edited"]] = {
    "approve": "approved", "reject": "rejected", "edit": "edited",
}  # fmt: skip


class Approvals(Asking):
    """The approvals of all organizations.

    ``learning`` is set by whoever wires the platform.
    """

    def __init__(
        self, database: Database, events: EventLog, audit: AuditLog, toolbox: Toolbox, clock: Clock | None = None
    ) -> None:
        super().__init__(database, events, audit, toolbox, clock or SystemClock())
        self.learning: Learning | None = None

    async def get(self, organization_id: str, approval_id: str) -> ApprovalRecord:
        """Return an approval, or raise NotFoundError."""
        row = await self._database.fetch_one(
            f"select {COLUMNS} from approvals where organization_id = %s and id = %s::uuid",
            (organization_id, parse_id(approval_id)),
            organization_id=organization_id,
        )
        if row is None:
            raise missing(approval_id)
        return ApprovalRecord(**row)

    async def list(
        self, organization_id: str, *, state: ApprovalState | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[ApprovalRecord]:
        """Return a page of an organization's approvals, newest first; of one state, or of all."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {COLUMNS} from approvals where organization_id = %(org)s "
            "and (%(state)s::text is null or state = %(state)s) "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "state": state, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        found = [ApprovalRecord(**row) for row in rows[:limit]]
        return Page(found, cursor_of(found[-1].id) if len(rows) > limit else None)

    async def answers(self, organization_id: str, approval_id: str) -> "list[AnswerRecord]":
        """Return the answers to an approval, oldest first."""
        rows = await self._database.fetch_all(
            f"select {_ANSWER_COLUMNS} from approval_answers where organization_id = %s and approval_id = %s::uuid "
            "order by id",
            (organization_id, parse_id(approval_id)),
            organization_id=organization_id,
        )
        return [AnswerRecord(**row) for row in rows]

    async def answer(self, organization_id: str, approval_id: str, saying: Saying, answerer: Answerer) -> Answered:
        """Take a person's answer; where it settles the matter, the run that waits goes on.

        Raises:
            NotFoundError: there is no such approval here.
            ApprovalChangedError: the digest named is not the present one; look again.
            ApprovalOverError: it is settled, its time is over, or this person was heard.
            NoApproverError: this person asked for the work, or has not the role.
            SignatureNeededError: the account has a passkey, and nothing is signed by it.
        """
        if saying.reason is not None and len(saying.reason) > MAX_REASON_CHARACTERS:
            raise InvalidInputError(f"a reason has at most {MAX_REASON_CHARACTERS:,} characters")
        approval_id = parse_id(approval_id) or approval_id
        async with self._database.transaction(organization_id) as connection:
            approval = None if parse_id(approval_id) is None else await self._find(approval_id, connection)
            if approval is None:
                raise missing(approval_id)
            if approval.state == "waiting":
                self._check_untouched(approval)
            answered = await self._take(approval, saying, answerer, connection)
            await self._tell(approval, saying, answerer, answered, connection)
        if answered.state != "waiting":
            await self.wake(organization_id, approval_id)
        return answered

    async def remembered(self, proposal: Proposal, connection: Connection) -> str | None:
        """Return the name of a remembered rule that covers a proposal, if one does."""
        del proposal, connection
        return None

    def _check_untouched(self, approval: ApprovalRecord) -> None:
        """Refuse to take answers to a record that does not fit its digest any more."""
        if self.digest_of(approval) != approval.digest:
            raise ApprovalChangedError(
                "what is kept of this approval is not what was asked: somebody changed it, or erased a person from "
                "it; it cannot be answered and ends by its time"
            )

    async def _take(
        self, approval: ApprovalRecord, saying: Saying, answerer: Answerer, connection: Connection
    ) -> Answered:
        on_behalf_of = saying.on_behalf_of
        values = {
            "approval": approval.id, "id": new_id(), "decision": saying.decision, "digest": saying.digest,
            "by": answerer.word, "name": answerer.actor.name, "voice": on_behalf_of, "reason": saying.reason,
            "via": answerer.via, "proof": _json(saying.proof), "edited": _json(saying.arguments),
            "at": self._clock.now(),
        }  # fmt: skip
        row = await (await connection.execute(trusted(_ANSWER), values)).fetchone()
        assert row is not None
        if row["outcome"] != "recorded":
            raise refusal(row["outcome"])
        needed = max(0, approval.quorum - row["approvals"])
        return Answered(approval.id, row["state"], row["approvals"], row["rejections"], row["open"], needed)

    async def _tell(
        self, approval: ApprovalRecord, saying: Saying, answerer: Answerer, answered: Answered, connection: Connection
    ) -> None:
        if answered.state != "waiting":
            arguments = None if saying.arguments is None else dict(saying.arguments)
            fact = moved(
                ANSWERED, approval, answered.state, arguments=arguments,
                edited_by=None if arguments is None else answerer.word,
            )  # fmt: skip
            await self._events.append(connection, approval.organization_id, [fact])
        if self.learning is not None and approval.agent_id is not None:
            await self.learning.record_decision(
                approval.organization_id, approval.agent_id, approval.effect_class, _LEARNT[saying.decision],
                effect_id=approval.effect_id, is_irreversible=not approval.is_reversible, connection=connection,
            )  # fmt: skip
        after: dict[str, Any] = {
            "decision": saying.decision, "digest": approval.digest, "state": answered.state, "via": answerer.via,
            "for": saying.on_behalf_of, "signed": saying.proof is not None,
        }  # fmt: skip
        await self._record(
            approval, "approval.answered", answerer.actor, connection, before={"state": approval.state}, after=after,
            reason=saying.reason,
        )  # fmt: skip


def _json(document: Mapping[str, Any] | None) -> str | None:
    return None if document is None else orjson.dumps(document).decode()
