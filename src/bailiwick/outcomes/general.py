"""Checks that need nothing but the platform's own data: events, what is measured in them, and the tools themselves."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.effects.ledger import Effects
from bailiwick.effects.registry import ToolRegistry
from bailiwick.effects.tool import Call
from bailiwick.kernel.errors import CannotDetermineError
from bailiwick.outcomes.checks import Check, CheckRegistry, Expected, Finding, Reading, Verdict
from bailiwick.outcomes.metrics import MetricAbove, MetricCheck, MetricExpected
from bailiwick.storage import Database

_NAMED = 10

_EVENTS = """
select id, occurred_at from events
where organization_id = %(org)s and type = %(type)s and key = %(key)s
  and occurred_at > %(after)s and occurred_at <= %(until)s
  and (not %(of_others)s or cause_id is null or not is_own_word(cause_id, %(task)s, %(agent)s))
order by id limit %(limit)s"""


class EventExpected(BaseModel):
    """Which event should come, or should not, between the expectation and the look."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(min_length=1, max_length=200, description="Of the event: issue.reopened.")
    key: str = Field(min_length=1, max_length=500, description="What it is about: owner/name#7.")
    heard_by: str | None = Field(
        default=None, min_length=1, max_length=200,
        description="A type of event, about anything, that must have come too: else the source may have been silent.",
    )  # fmt: skip


class StillStands(BaseModel):
    """The check asks the tool of the effect itself; there is nothing to say."""

    model_config = ConfigDict(extra="forbid")


class EventChecks:
    """``event.absent`` and ``event.present``: whether an event came after the expectation was stated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def absent(self, organization_id: str, arguments: EventExpected, expected: Expected) -> Finding:
        """Worked if no such event occurred up to the time of the look, though the source was heard."""
        reading = await self._read(organization_id, arguments, expected)
        if reading.seen["events"]:
            return Finding("did_not", (reading,))
        return await self._if_heard("worked", reading, organization_id, arguments, expected)

    async def present(self, organization_id: str, arguments: EventExpected, expected: Expected) -> Finding:
        """Worked if such an event occurred up to the time of the look; the run's and its agent's word is no proof."""
        reading = await self._read(organization_id, arguments, expected, of_others=True)
        if reading.seen["events"]:
            return Finding("worked", (reading,))
        return await self._if_heard("did_not", reading, organization_id, arguments, expected)

    async def _if_heard(
        self, verdict: Verdict, reading: Reading, organization_id: str, arguments: EventExpected, expected: Expected
    ) -> Finding:
        """Tell silence about one thing from silence altogether."""
        if arguments.heard_by is None:
            return Finding(verdict, (reading,))
        row = await self._database.fetch_one(
            "select id, occurred_at from events where organization_id = %s and type = %s "
            "and occurred_at > %s and occurred_at <= %s "
            "and (cause_id is null or not is_own_word(cause_id, %s, %s)) limit 1",
            (organization_id, arguments.heard_by, expected.expected_at, expected.check_at, expected.task_id,
             expected.agent_id),
            organization_id=organization_id,
        )  # fmt: skip
        heard = Reading("the event log", datetime.now(UTC), {"type": arguments.heard_by, "event": row})
        if row is None:
            return Finding("unknown", (reading, heard), f"any sign of the source: no {arguments.heard_by} came")
        return Finding(verdict, (reading, heard))

    async def _read(
        self, organization_id: str, arguments: EventExpected, expected: Expected, *, of_others: bool = False
    ) -> Reading:
        window = {"after": expected.expected_at, "until": expected.check_at}
        named = {"type": arguments.type, "key": arguments.key}
        rows = await self._database.fetch_all(
            _EVENTS,
            {"org": organization_id, "limit": _NAMED, "of_others": of_others, "task": expected.task_id,
             "agent": expected.agent_id, **window, **named},
            organization_id=organization_id,
        )  # fmt: skip
        return Reading("the event log", datetime.now(UTC), {**named, **window, "events": rows})


class StandingCheck:
    """``effect.still_stands``: the tool that made the change looks at it once more."""

    def __init__(self, effects: Effects, tools: ToolRegistry) -> None:
        self._effects = effects
        self._tools = tools

    async def look(self, organization_id: str, arguments: StillStands, expected: Expected) -> Finding:
        """Worked if the tool sees the change as its result says.

        Raises:
            CannotDetermineError: it is expected of no effect.
        """
        del arguments
        if expected.effect_id is None:
            raise CannotDetermineError("an effect: a task's own result is no change that a tool could look at")
        effect = await self._effects.get(organization_id, expected.effect_id)
        tool = self._tools.get(effect.tool)
        given: Any = self._tools.arguments(tool, effect.arguments)
        call: Call[Any] = Call(organization_id, given, effect.id, effect.began_at or effect.proposed_at)
        seen = await tool.verify(call, effect.result)
        reading = Reading(f"{effect.tool} at {effect.target}", datetime.now(UTC), dict(seen.evidence))
        verdict: Verdict = {"verified": "worked", "refuted": "did_not", "unverifiable": "unknown"}[seen.outcome]  # pyright: ignore[reportAssignmentType] - all three are
        missing = f"what {effect.tool} needs to look at {effect.target}" if verdict == "unknown" else None
        return Finding(verdict, (reading,), missing)


def register_general(checks: CheckRegistry, database: Database, effects: Effects, tools: ToolRegistry) -> None:
    """Add the checks that every installation has."""
    events, metrics = EventChecks(database), MetricCheck(database)
    checks.register(Check("event.absent", EventExpected, events.absent, "No such event came in the meantime."))
    checks.register(Check("event.present", EventExpected, events.present, "Such an event came in the meantime."))
    checks.register(Check("metric.below_baseline", MetricExpected, metrics.below, "A metric is lower than before."))
    checks.register(Check("metric.above", MetricAbove, metrics.above, "A metric is higher than before."))
    standing = StandingCheck(effects, tools)
    checks.register(Check("effect.still_stands", StillStands, standing.look, "The change is still there."))
