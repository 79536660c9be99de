"""One run of the demo: feed the invented company's input, wait until nothing moves, tell what happened."""

import asyncio
import io
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bailiwick.connectors.importing import ImportReport
from bailiwick.connectors.intake import RecordSource
from bailiwick.demo.content import demo_issue_lines, demo_meter_rows
from bailiwick.demo.forge_server import RunningForge
from bailiwick.demo.outside import connect_outside
from bailiwick.demo.pulse import look, movement
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import NotFoundError

COMPANY = "Harbour Lane Bakeries"
_CALM_LOOKS = 3
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Fed:
    """What came in: issues and meter readings, as an import reports them."""

    issues: ImportReport
    readings: ImportReport

    @property
    def rejected(self) -> list[tuple[int, str]]:
        """Line and reason of every refused record."""
        return [*self.issues.rejected, *self.readings.rejected]


class DemoRun:
    """Feeds one organization and watches it until it is idle.

    Idle means, on three looks in a row: no task is available or executing, and
    none becomes due within ten seconds. Tasks that wait for a person, for an
    event or for longer than that are not waited for; the summary counts them.
    """

    def __init__(self, installation: Installation, organization: Organization) -> None:
        self.installation = installation
        self.organization = organization
        self._began = time.monotonic()
        self.fed: Fed | None = None

    @property
    def seconds(self) -> float:
        """How long the run has lasted."""
        return time.monotonic() - self._began

    async def prepare(self, forge: RunningForge) -> None:
        """Connect the forge that stands in for GitHub, and put the demo's policy in force."""
        await connect_outside(self.installation, self.organization.id, forge)

    async def feed(self) -> Fed:
        """Bring in the demo's issues, malformed ones among them, and a day of meter readings."""
        now = datetime.now(UTC)
        intake = self.installation.intake(self.organization.id)
        issues = await intake.take(RecordSource("github"), io.BytesIO(b"\n".join(demo_issue_lines(now))))
        lines = b"\n".join(encode(reading) for reading in demo_meter_rows(now))
        readings = await intake.take(RecordSource("meters"), io.BytesIO(lines))
        self.fed = Fed(issues, readings)
        return self.fed

    async def work(self, *, timeout_seconds: float) -> bool:
        """Feed the input unless it is there, wait until idle, have deadlines checked, wait until idle again.

        Says whether it became idle in time. The check of deadlines is the
        ordinary schedule, which would otherwise come within a minute.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                if "issue.opened" not in await self.installation.event_reader.counts(self.organization.id):
                    await self.feed()
                await self._until_idle()
                with suppress(NotFoundError):
                    await self.installation.schedules.fire_now(self.organization.id, "sla.sweep")
                    await self._until_idle()
        except TimeoutError:
            return False
        return True

    async def _until_idle(self) -> None:
        calm = 0
        while calm < _CALM_LOOKS:
            await asyncio.sleep(_LOOK_SECONDS)
            is_idle = (await movement(self.installation, self.organization.id)).is_idle
            calm = calm + 1 if is_idle else 0

    async def document(self, *, is_idle: bool) -> dict[str, Any]:
        """Return the run as the one JSON document of ``demo --headless --json``."""
        pulse = await look(self.installation, self.organization.id)
        fed = self.fed
        return {
            "organization": self.organization.slug,
            "events": sum(pulse.events.values()),
            "events_by_type": pulse.events,
            "tasks": pulse.tasks,
            "agents": [
                {
                    "name": agent.name,
                    "kind": agent.kind,
                    "tasks": agent.done,
                    # Of its tasks, the share that completed; whether what they did worked is said under "effects".
                    "success": agent.completed / agent.done if agent.done else None,
                    "p50_seconds": agent.p50_seconds,
                    "p95_seconds": agent.p95_seconds,
                }
                for agent in pulse.agents
            ],
            "sla": {"met": pulse.sla.met, "breached": pulse.sla.breached, "running": pulse.sla.running},
            "issues": {
                **pulse.issues,
                "blocked_because": {**pulse.blocked.families, "departments_not_in_release": pulse.blocked.departments},
            },
            "rejected": pulse.rejected,
            "rejections": [{"line": line, "reason": reason} for line, reason in fed.rejected] if fed else [],
            "effects": pulse.effects.to_json(),
            "waiting_for_people": pulse.movement.parked,
            "waiting_for_later": pulse.movement.later,
            "is_idle": is_idle,
            "wall_seconds": round(self.seconds, 3),
        }
