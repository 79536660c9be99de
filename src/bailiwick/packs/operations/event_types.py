"""The facts that the operations pack publishes, each with its schema. Their key is the issue's, or the meter's."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from bailiwick.events import EventType

PriorityName = Literal["P0", "P1", "P2", "P3"]


class IssueFact(BaseModel):
    """Something that became of an issue; ``key`` is ``owner/name#number``."""

    model_config = ConfigDict(frozen=True)

    key: str


class IssueClassified(IssueFact):
    """Whose work it is and how urgent; ``evidence`` are the words that said so."""

    department: str
    operation: str | None
    confidence: float
    source: str
    evidence: tuple[str, ...]
    priority: PriorityName
    priority_source: str
    deadline_at: AwareDatetime
    set_aside: int


class IssueDuplicate(IssueFact):
    """The same as an older open issue: ``likely`` rests on it, ``possible`` is worked on and shown to people."""

    duplicate_of: str
    certainty: Literal["likely", "possible"]
    score: float
    shared_terms: tuple[str, ...]


class IssueAssigned(IssueFact):
    """An agent was chosen; ``reason`` is that of the choice."""

    agent_id: str
    agent: str
    department: str
    operation: str
    reason: str


class IssueOverseen(IssueFact):
    """The project manager judged urgent work before it began."""

    decision: Literal["proceed", "hold", "reassign", "escalate"]
    reasons: tuple[str, ...]
    agent: str


class IssueStarted(IssueFact):
    """An agent began to work on it."""

    agent_id: str
    task_id: str


class IssueResultRecorded(IssueFact):
    """An operation answered; ``cannot_determine`` names what it lacked in ``summary``."""

    result_id: str
    operation: str
    status: Literal["done", "cannot_determine"]
    summary: str


class IssueGated(IssueFact):
    """The quality gates judged a result; those without a measurement are listed as such."""

    result_id: str
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    not_measured: tuple[str, ...]


class IssueSettled(IssueFact):
    """The lifecycle came to rest: ``issue.done``, ``issue.in_review``, ``issue.blocked``, ``issue.failed``."""

    reason: str


class IssueEscalated(IssueFact):
    """Brought to those who can act; ``after`` is the new priority, the same when it was not raised."""

    before: PriorityName
    after: PriorityName
    by: str
    reason: str
    deadline_at: AwareDatetime | None = None


class IssueReleased(IssueFact):
    """A person decided on an issue that was held for one."""

    decision: Literal["proceed", "stop"]
    person: str
    reason: str = ""


class ServiceLevelFact(IssueFact):
    """A deadline is near (``sla.at_risk``) or was missed (``sla.breached``)."""

    priority: PriorityName
    deadline_at: AwareDatetime
    reason: str


class EmergencyDeclared(IssueFact):
    """A P0 was not done in time."""

    reason: str


class MeterAnomaly(BaseModel):
    """A reading, or a run of them, that cannot be right or stands out."""

    model_config = ConfigDict(frozen=True)

    meter_id: str
    kind: str
    detail: str
    value: float
    unit: str
    started_at: AwareDatetime
    ended_at: AwareDatetime


_ISSUE_FACTS: tuple[tuple[str, type[IssueFact]], ...] = (
    ("issue.classified", IssueClassified),
    ("issue.duplicate_found", IssueDuplicate),
    ("issue.assigned", IssueAssigned),
    ("issue.overseen", IssueOverseen),
    ("issue.started", IssueStarted),
    ("issue.result_recorded", IssueResultRecorded),
    ("issue.gated", IssueGated),
    ("issue.done", IssueSettled),
    ("issue.in_review", IssueSettled),
    ("issue.blocked", IssueSettled),
    ("issue.failed", IssueSettled),
    ("issue.escalated", IssueEscalated),
    ("issue.released", IssueReleased),
    ("sla.at_risk", ServiceLevelFact),
    ("sla.breached", ServiceLevelFact),
    ("emergency.declared", EmergencyDeclared),
)

EVENT_TYPES: tuple[EventType, ...] = (
    *(EventType(name, 1, payload, key=lambda fact: fact.key) for name, payload in _ISSUE_FACTS),
    EventType("meter.anomaly_found", 1, MeterAnomaly, key=lambda anomaly: anomaly.meter_id),
)
