"""Remembered rules: "always allow this tool for this target up to this price", until somebody revokes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import psycopg

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.authority.approvals.bounds import checked_bounds, within
from bailiwick.authority.approvals.errors import NoApproverError, SignatureNeededError
from bailiwick.authority.approvals.model import Answerer, ApprovalRecord
from bailiwick.authority.model import Proposal, Remembered
from bailiwick.kernel.clock import Clock
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

_COLUMNS = (
    "id, name, approval_id, tool, target, agent_id, max_price, bounds, made_by, made_by_name, made_at, ends_at, "
    "revoked_at, revoked_by"
)
_INSERT = """
insert into approval_rules (
    id, organization_id, name, approval_id, tool, target, agent_id, max_price, bounds, roles, made_by, made_by_name,
    proof, ends_at)
values (
    %(id)s, %(org)s, %(name)s, %(approval)s, %(tool)s, %(target)s, %(agent)s, %(price)s, %(bounds)s::jsonb, %(roles)s,
    %(by)s, %(by_name)s, %(proof)s::jsonb, %(ends)s)
on conflict (organization_id, name) do nothing returning """


@dataclass(frozen=True, slots=True)
class NewRule:
    """What of an approved effect is allowed from now on.

    ``max_price`` is that of the effect unless given, ``bounds`` limit arguments
    (``{"amount": {"max": 100}}``), ``any_agent`` lets every agent use the rule
    and not only the one that asked.
    """

    name: str | None = None
    max_price: Decimal | None = None
    bounds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    any_agent: bool = False
    ends_at: datetime | None = None

    def document(self) -> dict[str, Any]:
        """Return it as plain data, as it is signed."""
        return {
            "any_agent": self.any_agent,
            "bounds": {name: dict(bound) for name, bound in self.bounds.items()},
            "ends_at": None if self.ends_at is None else self.ends_at.isoformat(),
            "max_price": None if self.max_price is None else str(self.max_price),
            "name": self.name,
        }


@dataclass(frozen=True, slots=True)
class RememberedRule:
    """A rule as it is kept; ``agent_id`` None: of whichever agent."""

    id: str
    name: str
    approval_id: str
    tool: str
    target: str
    agent_id: str | None
    max_price: Decimal
    bounds: Mapping[str, Mapping[str, Any]]
    made_by: str
    made_by_name: str
    made_at: datetime
    ends_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


class RememberedRules:
    """The remembered rules of all organizations.

    One comes from a yes that its maker gave. It rests while the maker lacks the
    role the approval asked for, and never covers what cannot be undone or holds
    words from outside.
    """

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def remember(
        self, approval: ApprovalRecord, wanted: NewRule, answerer: Answerer, proof: Mapping[str, Any] | None
    ) -> RememberedRule:
        """Allow from now on what was approved, within bounds.

        Raises:
            ConflictError: it is not approved, may not be remembered, or the name is taken.
            NoApproverError: this person did not say yes to it.
            InvalidInputError: bounds of no argument, or an end that is over.
        """
        self._check(approval, wanted)
        rule_id = new_id()
        values = {
            "id": rule_id, "org": approval.organization_id, "name": wanted.name or f"{approval.tool} {rule_id[-6:]}",
            "approval": approval.id, "tool": approval.tool, "target": approval.target,
            "agent": None if wanted.any_agent else approval.agent_id,
            "price": approval.price if wanted.max_price is None else wanted.max_price,
            "bounds": encode(wanted.document()["bounds"], what="bounds").decode(), "roles": approval.roles,
            "by": answerer.word, "by_name": answerer.actor.name,
            "proof": None if proof is None else orjson.dumps(proof).decode(), "ends": wanted.ends_at,
        }  # fmt: skip
        async with self._database.transaction(approval.organization_id) as connection:
            await _check_said_yes(approval, answerer, proof, connection)
            try:
                row = await (await connection.execute(_INSERT + _COLUMNS, values)).fetchone()
            except psycopg.errors.InsufficientPrivilege as error:
                raise ConflictError("this approval cannot be remembered as a rule") from error
            if row is None:
                raise ConflictError(f"a rule called {str(values['name'])[:50]!r} was made before; choose another name")
            rule = RememberedRule(**row)
            after = {
                "approval": approval.id, "tool": rule.tool, "target": rule.target, "agent": rule.agent_id,
                "max_price": str(rule.max_price), "bounds": rule.bounds, "ends_at": rule.ends_at,
            }  # fmt: skip
            act = Act(approval.organization_id, "approval.remembered", answerer.actor, _target(rule.id), after=after)
            await self._audit.record(act, connection=connection)
        return rule

    async def matching(self, proposal: Proposal, connection: Connection) -> Remembered | None:
        """Return a rule that covers a proposal, in its transaction; None if there is none."""
        if not proposal.is_reversible or proposal.effect_class == "destructive" or proposal.free_text:
            return None
        cursor = await connection.execute(
            "select name, roles, agent_id, max_price, bounds from approval_rules_in_force(%s, %s, %s, %s)",
            (proposal.tool, proposal.target, sorted(proposal.labels), self._clock.now()),
        )
        for row in await cursor.fetchall():
            is_theirs = row["agent_id"] is None or row["agent_id"] == proposal.agent_id
            if is_theirs and proposal.price <= row["max_price"] and within(row["bounds"], proposal.arguments):
                return Remembered(row["name"], tuple(row["roles"]))
        return None

    async def list(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[RememberedRule]:
        """Return a page of an organization's remembered rules, newest first, revoked ones too."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from approval_rules where organization_id = %(org)s "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"org": organization_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([RememberedRule(**row) for row in rows], limit)

    async def revoke(self, organization_id: str, rule: str, *, actor: Actor) -> RememberedRule:
        """End a rule, by its name or id; what it allowed before stays done.

        Raises:
            NotFoundError: there is none in force.
        """
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "update approval_rules set revoked_at = now(), revoked_by = %s where organization_id = %s "
                "and (name = %s or id = %s::uuid) and revoked_at is null returning " + _COLUMNS,
                (f"{actor.kind}:{actor.id}", organization_id, rule, parse_id(rule)),
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFoundError(f"no remembered rule {rule[:50]!r} in force in this organization")
            ended = RememberedRule(**row)
            await self._audit.record(
                Act(organization_id, "approval.rule_revoked", actor, _target(ended.id)), connection=connection
            )
        return ended

    def _check(self, approval: ApprovalRecord, wanted: NewRule) -> None:
        if approval.state != "approved" or approval.is_by_silence:
            raise ConflictError("only what people have approved is remembered; answer the approval first")
        if not approval.is_rememberable:
            raise ConflictError(
                "this is asked about every time: it cannot be undone, holds words from outside, or needs several people"
            )
        if wanted.max_price is not None and not 0 <= wanted.max_price < Decimal("1e15"):
            raise InvalidInputError("the highest price is a number from 0 on")
        if wanted.name is not None and not 1 <= len(wanted.name) <= 100:
            raise InvalidInputError("a rule's name has 1 to 100 characters")
        if wanted.ends_at is not None and wanted.ends_at <= self._clock.now():
            raise InvalidInputError("a rule ends in the future, or never")
        checked_bounds(wanted.bounds, approval.arguments)


async def _check_said_yes(
    approval: ApprovalRecord, answerer: Answerer, proof: Mapping[str, Any] | None, connection: Connection
) -> None:
    cursor = await connection.execute(
        "select exists (select from passkeys k where k.user_id = %s::uuid) as signs from approval_answers "
        "where approval_id = %s and decision = 'approve' and answered_by = %s and voice = %s",
        (answerer.user_id, approval.id, answerer.word, answerer.word),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NoApproverError("a rule is made by whoever said yes in their own name; answer the approval first")
    if row["signs"] and proof is None:
        raise SignatureNeededError(
            "your account has a passkey, so the rule needs its signature: ask for options to sign"
        )


def _target(rule_id: str) -> str:
    return f"approval_rule:{rule_id}"
