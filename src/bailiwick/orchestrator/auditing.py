"""The audit job: signs where every chain of the audit log stands, and sees that alarms were told."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.audit.alarms import Alarm, describe
from bailiwick.events import EventType, NewEvent
from bailiwick.extensions import Kernel
from bailiwick.tasks import Run

KIND = "system.audit"
EVENT = "security.alarm"


class AuditPayload(BaseModel):
    """The job is asked with nothing."""

    model_config = ConfigDict(extra="forbid")


class SecurityAlarm(BaseModel):
    """Something happened more often than its rule allows; ``subject`` is who or where from."""

    alarm_id: str
    # The installation itself, for logins.
    organization_id: str
    rule: str = Field(examples=["login_failures"])
    subject: str = Field(examples=["account:anna@example.org"])
    count: int
    threshold: int
    window_seconds: float
    raised_at: datetime
    description: str


TYPE = EventType(EVENT, 1, SecurityAlarm, key=lambda alarm: alarm.subject, is_internal=True)


def event_of(alarm: Alarm) -> NewEvent:
    """Return the event that tells of an alarm; the same alarm twice is one event."""
    payload = SecurityAlarm(
        alarm_id=alarm.id, organization_id=alarm.organization_id, rule=alarm.rule, subject=alarm.subject,
        count=alarm.count, threshold=alarm.threshold, window_seconds=alarm.window_seconds,
        raised_at=alarm.raised_at, description=describe(alarm),
    )  # fmt: skip
    return NewEvent(EVENT, payload, key=alarm.subject, dedupe_key=f"alarm:{alarm.id}", occurred_at=alarm.raised_at)


class AuditJob:
    """The task kind ``system.audit``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def handle(self, run: Run, _: AuditPayload) -> dict[str, Any]:
        """Sign every chain that went on; tell the alarms that nobody was told of."""
        return {
            "roots_signed": await run.step("sign", self._sign),
            "alarms_told": await run.step("alarms", self._kernel.alarms.sweep),
        }

    async def _sign(self) -> int:
        return len(await self._kernel.audit_roots.sign())
