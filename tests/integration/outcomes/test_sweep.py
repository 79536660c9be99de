"""No promise stays pending for ever: what lost its timer becomes unknown."""

from bailiwick.outcomes.checking import OutcomeSweep, SweepPayload
from bailiwick.tasks import TaskKind
from tests.integration.outcomes.conftest import RETRY, ExpectingEngine
from tests.integration.outcomes.test_timer import acted, effect_state


async def test_what_lost_its_timer_becomes_unknown_an_hour_after_its_time(engine: ExpectingEngine) -> None:
    sweep = OutcomeSweep(engine.outcomes, clock=engine.clock)
    engine.kinds.register(TaskKind("outcome.sweep", sweep.handle, SweepPayload, RETRY))
    await engine.work()
    outcome = await acted(engine, after_seconds=3600)
    kept = await acted(engine, after_seconds=3600)
    await engine.control.cancel(engine.organization_id, [outcome.id])
    for hours, settled in ((1.5, 0), (1, 1), (1, 0)):
        engine.clock.advance(seconds=hours * 3600)
        assert (await engine.ended(await engine.add("outcome.sweep")))["result"] == {"settled": settled}
    found = await engine.outcomes.get(engine.organization_id, outcome.id)
    assert (found.state, found.missing) == (
        "unknown",
        "a look: its timer was cancelled, or given up after its worker died often",
    )
    assert await effect_state(engine, found) == "unverifiable"
    assert (await engine.outcomes.get(engine.organization_id, kept.id)).state == "pending"
