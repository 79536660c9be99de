"""An engine whose runs act and expect, and a lamp that can be looked at."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bailiwick.kernel.clock import ManualClock
from bailiwick.outcomes import Check, CheckRegistry, Expected, Expecting, Finding, Outcomes, Reading
from bailiwick.outcomes.checking import KIND, OutcomeCheck, OutcomePayload
from bailiwick.outcomes.facts import EVENT_TYPES
from bailiwick.outcomes.learning import Learning
from bailiwick.tasks import Expectation, RetryPolicy, Run, TaskKind
from bailiwick.tasks.acting import Effect
from tests.support.acting import ActingEngine
from tests.support.engine import AnyPayload

RETRY = RetryPolicy(max_attempts=3, first_delay_seconds=0.001, factor=1)


class Lamp:
    """Something that can be looked at; ``faults`` are raised first, one at each look."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_on = True
        self.faults: list[Exception] = []

    async def look(self, organization_id: str, arguments: AnyPayload, expected: Expected) -> Finding:
        """Look whether it is on."""
        del organization_id, arguments
        self.looks += 1
        if self.faults:
            raise self.faults.pop(0)
        readings = (Reading("the lamp", expected.check_at, {"on": self.is_on}),)
        return Finding("worked" if self.is_on else "did_not", readings)


class ExpectingEngine(ActingEngine):
    """An engine that looks later."""

    def __init__(self, login_url: str, folder: Path, lamp: Lamp) -> None:
        super().__init__(login_url, folder)
        checks = CheckRegistry()
        checks.register(Check("lamp.is_on", AnyPayload, lamp.look))
        # Looks are late by what a test moves it, the engine's own waits are not.
        self.clock = ManualClock(datetime.now(UTC))
        self.effects.moves.judged.append(Learning(self.autonomy).hear)
        self.outcomes = Outcomes(self.database, self.effects, self.events, self.audit)
        self.checks = checks
        self.services.expecting = Expecting(self.database, checks)
        check = OutcomeCheck(self.outcomes, checks, retry=RETRY, clock=self.clock)
        self.kinds.register(TaskKind(KIND, check.handle, OutcomePayload, RETRY))
        for event_type in EVENT_TYPES:
            self.types.register(event_type)
        self.handles("light", expect_light)
        self.handles("act", act_and_expect)


async def expect_light(run: Run, payload: AnyPayload) -> str:
    """Expect light of the task's own result."""
    del payload
    return await run.expect(Expectation("lamp.is_on", "the lamp is on", 0))


async def act_and_expect(run: Run, payload: AnyPayload) -> str:
    """Change something and expect light of it."""
    expectation = Expectation(payload.check, "the lamp is on", payload.after_seconds)
    note = {"name": "file", "text": "hello"}
    return (await run.act(Effect("folder.append", note, "a test wants it", expectation))).effect_id


@pytest.fixture
def lamp() -> Lamp:
    """A lamp that is on."""
    return Lamp()


@pytest.fixture
async def engine(login_url: str, lamp: Lamp, tmp_path: Path) -> AsyncIterator[ExpectingEngine]:
    """The engine, with an agent that acts."""
    async with ExpectingEngine(login_url, tmp_path, lamp) as engine:
        await engine.employ()
        yield engine
