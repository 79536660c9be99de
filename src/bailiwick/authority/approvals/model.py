"""What an approval is, who answers it, and what they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from bailiwick.audit import ADMINISTRATOR, Actor
from bailiwick.authority.model import EffectClass, Silence

ApprovalState = Literal["waiting", "approved", "rejected", "expired", "stale", "edited"]
"""Only ``waiting`` moves on, and ``approved`` becomes ``stale`` where the target moves before it is used."""

APPROVAL_STATES: tuple[ApprovalState, ...] = ("waiting", "approved", "rejected", "expired", "stale", "edited")

AnswerDecision = Literal["approve", "reject", "edit"]

Via = Literal["api", "cli"]


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers: a person by ``user_id``, or the installation's administrator where it is None."""

    actor: Actor
    user_id: str | None
    via: Via

    @property
    def word(self) -> str:
        """Return who speaks, as answers name it."""
        return ADMINISTRATOR if self.user_id is None else f"user:{self.user_id}"


@dataclass(frozen=True, slots=True)
class Saying:
    """What somebody says to an approval whose ``digest`` they saw.

    ``on_behalf_of`` is the user id of the person who delegated the answer,
    ``arguments`` what an edit puts in the place of those asked about.
    """

    decision: AnswerDecision
    digest: str
    reason: str | None = None
    on_behalf_of: str | None = None
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer made of the approval: ``open_voters`` may still answer, ``missing`` are needed for the quorum."""

    approval_id: str
    state: ApprovalState
    approvals: int
    rejections: int
    open_voters: int
    missing: int


@dataclass(frozen=True, slots=True)
class Voter:
    """A member who may answer an approval in their own right, or whom it has heard."""

    user_id: str
    name: str
    email: str
    role: str
    has_answered: bool


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One answer. ``voice`` is whose word it is, ``answered_by`` who spoke; they differ for a delegate."""

    id: str
    decision: AnswerDecision
    voice: str
    answered_by: str
    answered_by_name: str
    delegation_id: str | None
    digest: str
    reason: str | None
    via: Via
    proof: Mapping[str, Any] | None
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """An approval with everything that its answerer has to see.

    ``observed`` is the target's state as it was seen, ``undo`` what can be taken
    back and until when (None: nothing), ``labels`` where the arguments come
    from and who asked, ``free_text`` the arguments that outsiders' words can
    fill. ``on_expiry`` follows when nobody has answered by ``expires_at``.
    """

    id: str
    organization_id: str
    effect_id: str
    task_id: str
    agent_id: str | None
    agent_name: str | None
    tool: str
    tool_version: str
    effect_class: EffectClass
    arguments: Mapping[str, Any]
    target: str
    observed: Any
    price: Decimal
    policy: str
    digest: str
    labels: list[str]
    free_text: list[str]
    reason: str
    rule: str
    rule_reason: str
    is_reversible: bool
    undo: str | None
    roles: list[str]
    quorum: int
    on_expiry: Silence
    escalate_to: str | None
    asked_at: datetime
    reminds_at: datetime | None
    escalates_at: datetime | None
    expires_at: datetime
    state: ApprovalState
    is_by_silence: bool
    reminded_at: datetime | None
    escalated_at: datetime | None
    ended_at: datetime | None
    edited: Mapping[str, Any] | None
    problem: str | None

    @property
    def is_rememberable(self) -> bool:
        """Tell whether a rule may be made of a yes to this: it can be undone, and one person's word is enough."""
        return self.is_reversible and self.effect_class != "destructive" and not self.free_text and self.quorum == 1


COLUMNS = (
    "id, organization_id, effect_id, task_id, agent_id, agent_name, tool, tool_version, effect_class, arguments, "
    "target, observed, price, policy, digest, labels, free_text, reason, rule, rule_reason, is_reversible, undo, "
    "roles, quorum, on_expiry, escalate_to, asked_at, reminds_at, escalates_at, expires_at, state, is_by_silence, "
    "reminded_at, escalated_at, ended_at, edited, problem"
)
