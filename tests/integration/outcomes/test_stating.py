"""An expectation that nobody could look at is refused where it is stated."""

import pytest

from bailiwick.effects.acting import EffectActing
from bailiwick.kernel.errors import InvalidInputError, UnknownKindError
from bailiwick.outcomes import Expecting
from bailiwick.tasks import Expectation
from tests.integration.outcomes.conftest import ExpectingEngine


@pytest.mark.parametrize(
    ("expectation", "error"),
    [
        (Expectation("lamp.is_off", "it is dark", 0), UnknownKindError),
        (Expectation("lamp.is_on", "", 0), InvalidInputError),
        (Expectation("lamp.is_on", "it is light", -1), InvalidInputError),
        (Expectation("lamp.is_on", "it is light", 400 * 24 * 3600), InvalidInputError),
        (Expectation("lamp.is_on", "it is light", float("nan")), InvalidInputError),
    ],
)
def test_what_makes_no_sense_is_refused(engine: ExpectingEngine, expectation: Expectation, error: type) -> None:
    with pytest.raises(error):
        Expecting(engine.database, engine.checks).validate(expectation)


async def test_an_effect_that_promises_what_nobody_can_look_at_is_not_proposed(engine: ExpectingEngine) -> None:
    engine.services.acting = EffectActing(
        engine.database, engine.tools, engine.effects, authority=engine.authority, approvals=engine.approvals,
        budgets=engine.budgets, validate=Expecting(engine.database, engine.checks).validate,
    )  # fmt: skip
    await engine.work()
    payload = {"check": "lamp.is_off", "after_seconds": 0}
    ended = await engine.ended(await engine.add("act", payload, agent_id=engine.agent_id))
    assert ended["state"] == "discarded"
    assert "no check 'lamp.is_off'; there are: lamp.is_on" in ended["reason"]
    assert await engine.inspector.fetch_all("select 1 from effects") == []
