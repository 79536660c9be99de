"""The timer behind an expectation, on a real engine: it looks when the time has come, and writes once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bailiwick.outcomes import Check, CheckRegistry, Expected, Expecting, Finding, Outcomes, Reading
from bailiwick.outcomes.checking import KIND, OutcomeCheck, OutcomePayload
from bailiwick.tasks import Expectation, Run, TaskKind
from bailiwick.tasks.services import EngineServices
from tests.support.engine import AnyPayload, Engine


class Lamp:
    """Something that can be looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_on = True

    async def look(self, organization_id: str, arguments: AnyPayload, expected: Expected) -> Finding:
        self.looks += 1
        readings = (Reading("the lamp", expected.check_at, {"on": self.is_on}),)
        return Finding("worked" if self.is_on else "did_not", readings)


@pytest.fixture
def lamp() -> Lamp:
    return Lamp()


@pytest.fixture
async def engine(login_url: str, lamp: Lamp) -> AsyncIterator[Engine]:
    engine = Engine(login_url)
    checks = CheckRegistry()
    checks.register(Check("lamp.is_on", AnyPayload, lamp.look))
    outcomes = Outcomes(engine.database)
    engine.services = EngineServices(
        engine.queue, engine.events, engine.database, expecting=Expecting(engine.database, checks)
    )
    engine.kinds.register(TaskKind(KIND, OutcomeCheck(outcomes, checks).handle, OutcomePayload))
    async with engine:
        yield engine


async def test_an_expectation_is_looked_at_and_the_verdict_has_its_evidence(engine: Engine, lamp: Lamp) -> None:
    async def handle(run: Run, _: Any) -> str:
        return await run.expect(Expectation("lamp.is_on", "the lamp is on", 0))

    engine.handles("light", handle)
    await engine.work()
    task = await engine.ended(await engine.add("light"))
    outcome_id = task["result"]
    ended = await engine.ended(outcome_id)
    assert ended["result"] == {"outcome_id": outcome_id, "verdict": "worked", "is_new": True}
    outcome = await Outcomes(engine.database).get(engine.organization_id, outcome_id)
    assert (outcome.state, outcome.claim, outcome.task_id) == ("worked", "the lamp is on", task["id"])
    assert outcome.evidence is not None
    assert outcome.evidence["readings"][0]["seen"] == {"on": True}
    assert lamp.looks == 1
