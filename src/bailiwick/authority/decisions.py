"""Decisions as they were recorded: everything that was considered, whether it was done or declined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from bailiwick.authority.given import Given, given_document, proposal_document
from bailiwick.authority.model import ApprovalTerms, Decision, Opinion, Outcome, Proposal, Voice
from bailiwick.authority.risk import risk_of, score_of
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, asked_of, checked_limit, page_of
from bailiwick.telemetry.redacting import redacted_json

_COLUMNS = (
    "id, task_id, agent_id, agent_kind, tool, effect_class, target, price, labels, risk, score, confidence, outcome, "
    "voice, rule, reason, policy_version, ceiling_version, level, terms, notice, is_shadow, considered, "
    "undetermined, proposed_because, decided_at"
)


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """One decision with what it was about."""

    id: str
    task_id: str
    agent_id: str | None
    agent_kind: str | None
    tool: str
    effect_class: str
    target: str
    price: Decimal
    labels: tuple[str, ...]
    risk: float | None
    score: float | None
    confidence: float | None
    outcome: Outcome
    voice: Voice
    rule: str
    reason: str
    policy_version: int
    ceiling_version: int
    level: int
    terms: ApprovalTerms | None
    notice: bool
    is_shadow: bool
    considered: tuple[Opinion, ...]
    undetermined: tuple[str, ...]
    proposed_because: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions are wanted; None asks for any."""

    task_id: str | None = None
    agent_id: str | None = None
    outcome: str | None = None
    tool: str | None = None
    target: str | None = None
    is_shadow: bool | None = None


class Decisions:
    """Reads what was decided, within one organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, decision_id: str) -> RecordedDecision:
        """Return a decision, or raise NotFoundError."""
        identifier = parse_id(decision_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {_COLUMNS} from decisions where organization_id = %s and id = %s",
            (organization_id, identifier),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(f"no decision {decision_id[:100]} in this organization")
        return _decision(row)

    async def list(
        self,
        organization_id: str,
        wanted: DecisionFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[RecordedDecision]:
        """Return a page of decisions, newest first."""
        limit = checked_limit(limit)
        asked = asked_of(wanted)
        after = after_cursor(cursor)
        conditions = ["organization_id = %(org)s", *(f"{name} = %({name})s" for name in asked)]
        if after is not None:
            conditions.append("id < %(after)s::uuid")
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from decisions where {' and '.join(conditions)} order by id desc limit %(limit)s",
            {**asked, "org": organization_id, "after": after, "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_decision(row) for row in rows], limit)

    async def of_tasks(self, organization_id: str, task_ids: Sequence[str]) -> Sequence[RecordedDecision]:
        """Return every decision made in tasks, oldest first."""
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from decisions where organization_id = %s and task_id = any(%s::uuid[]) order by id",
            (organization_id, list(task_ids)),
            organization_id=organization_id,
        )
        return [_decision(row) for row in rows]


async def record_decision(connection: Connection, proposal: Proposal, decision: Decision, given: Given) -> None:
    """Write a decision down with all it was made from, in a transaction of its organization."""
    values: Mapping[str, object] = {
        "id": decision.id,
        "org": proposal.organization_id,
        "task": proposal.task_id,
        "agent": proposal.agent_id,
        "agent_kind": proposal.agent_kind,
        "tool": proposal.tool,
        "class": str(proposal.effect_class),
        "target": proposal.target,
        "price": proposal.price,
        "labels": sorted(proposal.labels),
        "risk": risk_of(proposal),
        "score": score_of(proposal),
        "confidence": proposal.confidence,
        "outcome": decision.outcome,
        "voice": decision.voice,
        "rule": decision.rule,
        "reason": decision.reason,
        "version": decision.policy_version,
        "ceiling": decision.ceiling_version,
        "level": decision.level,
        "terms": None if decision.terms is None else _document(decision.terms),
        "notice": decision.notice,
        "shadow": decision.is_shadow,
        "considered": _document(decision.considered),
        "undetermined": list(decision.undetermined),
        "because": proposal.reason,
        # Without secrets, as all that is stored.
        "proposal": redacted_json(encode(proposal_document(proposal), what="a proposal")).decode(),
        "given": _document(given_document(given)),
        "at": proposal.at,
    }
    await connection.execute(
        "insert into decisions (id, organization_id, task_id, agent_id, agent_kind, tool, effect_class, target, price, "
        "labels, risk, score, confidence, outcome, voice, rule, reason, policy_version, ceiling_version, level, terms, "
        "notice, is_shadow, considered, undetermined, proposed_because, proposal, given, decided_at) values "
        "(%(id)s, %(org)s, %(task)s, %(agent)s, %(agent_kind)s, %(tool)s, %(class)s, %(target)s, %(price)s, "
        "%(labels)s, %(risk)s, %(score)s, %(confidence)s, %(outcome)s, %(voice)s, %(rule)s, %(reason)s, %(version)s, "
        "%(ceiling)s, %(level)s, %(terms)s::jsonb, %(notice)s, %(shadow)s, %(considered)s::jsonb, %(undetermined)s, "
        "%(because)s, %(proposal)s::jsonb, %(given)s::jsonb, %(at)s)",
        values,
    )


def _document(value: Any) -> str:
    return encode(value, what="a decision").decode()


def _decision(row: Row) -> RecordedDecision:
    terms: dict[str, Any] | None = row["terms"]
    if terms is not None:
        terms["roles"] = tuple(terms["roles"])
    fields: dict[str, Any] = {
        **row,
        "labels": tuple(row["labels"]),
        "terms": None if terms is None else ApprovalTerms(**terms),
        "undetermined": tuple(row["undetermined"]),
        "considered": tuple(Opinion(**one) for one in row["considered"]),
    }
    return RecordedDecision(**fields)
