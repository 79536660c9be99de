"""Reached quotas: the events that tell of them, and how one is told."""

from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel, Field

from bailiwick.audit import SYSTEM, Act, AuditLog
from bailiwick.events import EventLog, EventType, NewEvent
from bailiwick.identity.quotas import Crossing, Metering
from bailiwick.storage import Database


class QuotaReached(BaseModel):
    """An organization reached a limit of a resource for the first time in a month."""

    resource: str = Field(examples=["tasks"])
    level: str = Field(examples=["soft"])
    month: date = Field(description="The first day of the UTC month.", examples=["2026-11-01"])
    limit: Decimal = Field(description="The limit.", examples=["1000"])
    used: Decimal = Field(description="What was used when it was reached.", examples=["1000"])
    reached_at: datetime


TYPES = tuple(
    EventType(f"quota.{level}_limit_reached", 1, QuotaReached, key=lambda reached: reached.resource, is_internal=True)
    for level in ("soft", "hard")
)


class QuotaTeller:
    """Tells of reached limits: an event and an audit entry, once, in one transaction."""

    def __init__(self, database: Database, metering: Metering, events: EventLog, audit: AuditLog) -> None:
        self._database = database
        self._metering = metering
        self._events = events
        self._audit = audit

    async def tell(self, crossing: Crossing) -> None:
        """Tell of one; nothing happens if it was told before."""
        name = f"quota.{crossing.level}_limit_reached"
        reached = QuotaReached(
            resource=crossing.resource, level=crossing.level, month=crossing.month, limit=crossing.bound,
            used=crossing.used, reached_at=crossing.reached_at,
        )  # fmt: skip
        key = f"quota:{crossing.resource}:{crossing.level}:{crossing.month:%Y-%m}"
        event = NewEvent(name, reached, key=crossing.resource, dedupe_key=key, occurred_at=crossing.reached_at)
        async with self._database.transaction(crossing.organization_id) as connection:
            if not await self._metering.mark_told(connection, crossing):
                return
            await self._events.append(connection, crossing.organization_id, [event])
            await self._audit.record(
                Act(
                    crossing.organization_id, name, SYSTEM, f"quota:{crossing.resource}",
                    after=reached.model_dump(mode="json"),
                ),
                connection=connection,
            )  # fmt: skip
