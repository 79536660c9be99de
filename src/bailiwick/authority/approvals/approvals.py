"""Approvals of all organizations: asked by runs, answered by people, ended by time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol

import orjson

from bailiwick.audit import AuditLog
from bailiwick.audit.canonical import canonical, digest
from bailiwick.authority.approvals.asking import Asking
from bailiwick.authority.approvals.delegating import Delegations
from bailiwick.authority.approvals.errors import ApprovalChangedError, missing, refusal
from bailiwick.authority.approvals.facts import ANSWERED, moved
from bailiwick.authority.approvals.key_roles import check_key
from bailiwick.authority.approvals.linking import ApprovalLinks
from bailiwick.authority.approvals.model import (
    COLUMNS,
    Answered,
    Answerer,
    AnswerRecord,
    ApprovalRecord,
    ApprovalState,
    Saying,
    Voter,
)
from bailiwick.authority.approvals.remembering import NewRule, RememberedRule, RememberedRules
from bailiwick.authority.approvals.signing import Signature, Signing, Statement, details_of
from bailiwick.authority.approvals.toolbox import Toolbox
from bailiwick.authority.model import EffectClass, Proposal, Remembered
from bailiwick.events import EventLog
from bailiwick.identity.factors.passkeys import PasskeyOptions
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.kernel.labels import NO_LABELS, by
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

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

    ``learning`` and ``signing`` are set by whoever wires the platform.
    """

    def __init__(
        self, database: Database, events: EventLog, audit: AuditLog, toolbox: Toolbox, clock: Clock | None = None
    ) -> None:
        super().__init__(database, events, audit, toolbox, clock or SystemClock())
        self.delegations = Delegations(database, audit, self._clock)
        self.rules = RememberedRules(database, audit, self._clock)
        self.links = ApprovalLinks(database, audit, self._clock)
        self.learning: Learning | None = None
        self.signing: Signing | None = None

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
        return page_of([ApprovalRecord(**row) for row in rows], limit)

    async def answers(self, organization_id: str, approval_id: str) -> "list[AnswerRecord]":
        """Return the answers to an approval, oldest first."""
        rows = await self._database.fetch_all(
            f"select {_ANSWER_COLUMNS} from approval_answers where organization_id = %s and approval_id = %s::uuid "
            "order by id",
            (organization_id, parse_id(approval_id)),
            organization_id=organization_id,
        )
        return [AnswerRecord(**row) for row in rows]

    async def electorate(self, organization_id: str, approval_id: str) -> "list[Voter]":
        """Return the members who may answer an approval in their own right, as things stand now, by name.

        Administrators of the installation may, too, and are not listed.
        """
        rows = await self._database.fetch_all(
            "select u.id as user_id, u.name, u.email, m.role, exists (select from approval_answers x "
            "where x.approval_id = %(approval)s::uuid and x.voice = 'user:' || u.id) as has_answered "
            "from approval_electorate(%(approval)s::uuid) e join users u on u.id = e "
            "join memberships m on m.user_id = u.id order by u.name, u.id",
            {"approval": parse_id(approval_id)},
            organization_id=organization_id,
        )
        return [Voter(**row) for row in rows]

    async def begin_signature(
        self, organization_id: str, approval_id: str, saying: Saying, answerer: Answerer
    ) -> PasskeyOptions:
        """Return what a browser needs to sign exactly this answer with the person's passkey, within five minutes.

        Raises:
            NotFoundError: there is no such approval here.
            ApprovalChangedError: the digest named is not the present one.
            ConflictError: the account has no passkey, so nothing is to be signed.
        """
        approval = await self.get(organization_id, approval_id)
        if approval.digest != saying.digest:
            raise refusal("changed")
        return await self._signer().begin(
            _user_of(answerer), self._statement(approval, self._checked(approval, saying))
        )

    async def begin_rule_signature(self, approval: ApprovalRecord, rule: NewRule, answerer: Answerer) -> PasskeyOptions:
        """Return what a browser needs to sign a rule that is made of an approval."""
        return await self._signer().begin(_user_of(answerer), _rule_statement(approval, rule))

    async def answer(
        self,
        organization_id: str,
        approval_id: str,
        saying: Saying,
        answerer: Answerer,
        *,
        signature: Signature | None = None,
    ) -> Answered:
        """Take a person's answer; where it settles the matter, the run that waits goes on.

        An edit ends the approval: the run makes a fresh proposal of the new
        arguments, with a digest of its own that nobody has answered yet.

        Raises:
            NotFoundError: there is no such approval here.
            ApprovalChangedError: the digest named is not the present one; look again.
            ApprovalOverError: it is settled, its time is over, or this person was heard.
            NoApproverError: this person asked for the work, or has not the role.
            SignatureNeededError: the account has a passkey, and nothing is signed by it.
            UnauthorizedError: the signature proves nothing, or is over something else.
            InvalidPayloadError: the edited arguments do not fit the tool.
        """
        if saying.reason is not None and len(saying.reason) > MAX_REASON_CHARACTERS:
            raise InvalidInputError(f"a reason has at most {MAX_REASON_CHARACTERS:,} characters")
        seen = await self.get(organization_id, approval_id)
        saying = self._checked(seen, saying)
        proof = None
        if signature is not None:
            proof = await self._signer().finish(_user_of(answerer), self._statement(seen, saying), signature)
        async with self._database.transaction(organization_id) as connection:
            approval = await self._find(seen.id, connection)
            assert approval is not None
            if approval.state == "waiting":
                self._check_untouched(approval)
            answered = await self._take(approval, saying, answerer, proof, connection)
            await self._tell(approval, saying, answerer, answered, connection)
        if answered.state != "waiting":
            await self.wake(organization_id, approval.id)
        return answered

    async def remember(
        self,
        organization_id: str,
        approval_id: str,
        rule: NewRule,
        answerer: Answerer,
        *,
        signature: Signature | None = None,
    ) -> RememberedRule:
        """Make a rule of an approval that the same person said yes to; see ``RememberedRules``."""
        approval = await self.get(organization_id, approval_id)
        proof = None
        if signature is not None:
            proof = await self._signer().finish(_user_of(answerer), _rule_statement(approval, rule), signature)
        return await self.rules.remember(approval, rule, answerer, proof)

    async def remembered(self, proposal: Proposal, connection: Connection) -> Remembered | None:
        """Return a remembered rule that covers a proposal, if one does; in its transaction."""
        return await self.rules.matching(proposal, connection)

    async def sweep(self, organization_id: str) -> dict[str, int]:
        """Expire, escalate and remind what is due in an organization; return how many of each.

        Each in a transaction of its own: what is done stays done, and again does nothing.
        """
        now = self._clock.now()
        rows = await self._database.fetch_all(
            "select id, expires_at <= %(now)s as is_over from approvals where organization_id = %(org)s "
            "and state = 'waiting' and (expires_at <= %(now)s or (escalated_at is null and escalates_at <= %(now)s) "
            "or (reminded_at is null and reminds_at <= %(now)s)) order by expires_at limit 1000",
            {"org": organization_id, "now": now},
            organization_id=organization_id,
        )
        done = {"expired": 0, "escalated": 0, "reminded": 0}
        for row in rows:
            if row["is_over"]:
                done["expired"] += await self.expire(organization_id, row["id"]) != "waiting"
            else:
                done["escalated"] += await self.escalate(organization_id, row["id"])
                done["reminded"] += await self.remind(organization_id, row["id"])
        return done

    def _signer(self) -> Signing:
        if self.signing is None:
            raise InvalidInputError("passkeys do not sign here; answer without a signature")
        return self.signing

    def _checked(self, approval: ApprovalRecord, saying: Saying) -> Saying:
        """Return what is said with the arguments of an edit as the tool takes them."""
        if saying.decision != "edit":
            if saying.arguments is not None:
                raise InvalidInputError("only an edit brings arguments")
            return saying
        if saying.arguments is None:
            raise InvalidInputError("an edit brings the arguments it wants instead")
        encode(dict(saying.arguments), what="the arguments of an edit")
        arguments = self._toolbox.checked(approval.tool, saying.arguments)
        if arguments == approval.arguments:
            raise InvalidInputError("these are the arguments that are asked about; approve or reject them")
        return replace(saying, arguments=arguments)

    def _statement(self, approval: ApprovalRecord, saying: Saying) -> Statement:
        return Statement(
            approval.organization_id, approval.id, approval.digest, saying.decision,
            details_of(saying.on_behalf_of, saying.arguments),
        )  # fmt: skip

    def _check_untouched(self, approval: ApprovalRecord) -> None:
        """Refuse to take answers to a record that does not fit its digest any more."""
        if self.digest_of(approval) != approval.digest:
            raise ApprovalChangedError(
                "what is kept of this approval is not what was asked: somebody changed it, or erased a person from "
                "it; it cannot be answered and ends by its time"
            )

    async def _take(
        self,
        approval: ApprovalRecord,
        saying: Saying,
        answerer: Answerer,
        proof: Mapping[str, Any] | None,
        connection: Connection,
    ) -> Answered:
        values = {
            "approval": approval.id, "id": new_id(), "decision": saying.decision, "digest": saying.digest,
            "by": answerer.word, "name": answerer.actor.name, "voice": saying.on_behalf_of, "reason": saying.reason,
            "via": answerer.via, "proof": _json(proof), "edited": _json(saying.arguments),
            "at": self._clock.now(),
        }  # fmt: skip
        await check_key(approval, saying, answerer, connection)
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
                # Who writes what is proposed next asks for it, and does not approve it, too.
                labels=NO_LABELS if arguments is None else _authors(answerer, saying),
            )  # fmt: skip
            await self._events.append(connection, approval.organization_id, [fact])
        if self.learning is not None and approval.agent_id is not None:
            await self.learning.record_decision(
                approval.organization_id, approval.agent_id, approval.effect_class, _LEARNT[saying.decision],
                effect_id=approval.effect_id, is_irreversible=not approval.is_reversible, connection=connection,
            )  # fmt: skip
        after: dict[str, Any] = {
            "decision": saying.decision, "digest": approval.digest, "state": answered.state, "via": answerer.via,
            "for": saying.on_behalf_of,
            # Their hash: the log is kept for years, and arguments may be about people.
            "arguments": None if saying.arguments is None else digest(canonical(dict(saying.arguments))),
        }  # fmt: skip
        await self._record(
            approval, "approval.answered", answerer.actor, connection, before={"state": approval.state}, after=after,
            reason=saying.reason,
        )  # fmt: skip


def _authors(answerer: Answerer, saying: Saying) -> frozenset[str]:
    people = {one for one in (answerer.user_id, saying.on_behalf_of) if one is not None}
    return answerer.actor.labels | {by("user", one) for one in people}


def _user_of(answerer: Answerer) -> str:
    if answerer.user_id is None:
        raise InvalidInputError("the installation's administrator has no passkey to sign with; answer without")
    return answerer.user_id


def _rule_statement(approval: ApprovalRecord, rule: NewRule) -> Statement:
    encode(rule.document(), what="a rule")
    return Statement(approval.organization_id, approval.id, approval.digest, "remember", rule.document())


def _json(document: Mapping[str, Any] | None) -> str | None:
    return None if document is None else orjson.dumps(document).decode()
