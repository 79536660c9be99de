"""The event of a look."""

from pydantic import BaseModel

from bailiwick.events import EventType
from bailiwick.outcomes.checks import Verdict

CHECKED = "outcome.checked"


class OutcomeChecked(BaseModel):
    """Somebody looked whether a promise was kept."""

    outcome_id: str
    effect_id: str | None
    task_id: str
    agent_id: str | None
    effect_class: str | None
    check: str
    claim: str
    verdict: Verdict
    missing: str | None
    late_seconds: float | None


EVENT_TYPES = (
    EventType(CHECKED, 1, OutcomeChecked, key=lambda checked: checked.outcome_id, is_internal=True, outside="checks"),
)
