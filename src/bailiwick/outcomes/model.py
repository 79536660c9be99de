"""What is expected, and what a later look found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

OutcomeState = Literal["pending", "worked", "did_not", "unknown"]


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """One expectation, of an effect or of a task's own result, and the verdict once there is one.

    ``evidence`` holds what was read, when and from where; ``missing`` what an
    unknown one lacks. ``late_seconds`` says how much later than it should the
    look came, None for in time. The id is also that of the task that looks.
    """

    id: str
    organization_id: str
    effect_id: str | None
    task_id: str
    agent_id: str | None
    effect_class: str | None
    check: str
    claim: str
    arguments: dict[str, Any]
    check_at: datetime
    state: OutcomeState
    evidence: dict[str, Any] | None
    missing: str | None
    checked_at: datetime | None
    late_seconds: float | None
    expected_at: datetime


COLUMNS = (
    'id, organization_id, effect_id, task_id, agent_id, effect_class, "check", claim, arguments, check_at, state, '
    "evidence, missing, checked_at, late_seconds, expected_at"
)
