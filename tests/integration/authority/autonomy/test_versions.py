"""A new version of an agent begins anew, and what an earlier one has shown never counts for it."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailiwick.authority.autonomy.ledger import Ledger, Place
from bailiwick.kernel.errors import ConflictError
from tests.integration.authority.autonomy.test_earning import quick
from tests.support.autonomy import PERSON, School


async def test_new_code_resets_the_level_and_says_what_changed(school: School) -> None:
    agent = await school.agent()
    await school.autonomy.set_level(school.organization_id, agent, "write", 4, actor=PERSON, reason="we know it")
    await school.autonomy.set_level(school.organization_id, agent, "spend", 1, actor=PERSON, reason="not with money")
    school.code["noter"] = "2"
    assert await school.level(agent) == 2
    assert await school.level(agent, "spend") == 1
    event = (await school.events())[-1]
    assert (event.type, event.payload["reason"]) == ("autonomy.reset", "a new version of the agent: code changed")
    assert (await school.acts())[-1].action == "autonomy.reset"


@pytest.mark.parametrize("setting", ["model", "prompt", "threshold"])
async def test_another_model_prompt_or_setting_is_another_version(school: School, setting: str) -> None:
    agent = await school.agent(**{setting: "a"})
    await school.autonomy.set_level(school.organization_id, agent, "write", 4, actor=PERSON, reason="we know it")
    await school.database.execute(
        "update agents set configuration = jsonb_set(configuration, %s, '\"b\"')",
        ([setting],),
        organization_id=school.organization_id,
    )
    assert await school.level(agent) == 2
    assert (await school.events())[-1].payload["reason"].endswith(f": configuration.{setting} changed")


async def test_what_comes_late_about_an_earlier_version_moves_nothing(school: School) -> None:
    agent = await quick(school)
    old = [await school.proposed(agent) for _ in range(10)]
    school.code["noter"] = "2"
    assert await school.level(agent) == 2
    for effect in old[:5]:
        await school.answered(agent, "rejected", effect_id=effect)
    for effect in old[5:]:
        await school.looked(agent, "verified", effect_id=effect)
    assert await school.level(agent) == 2
    assert await school.promotions() == []


async def test_going_back_to_an_earlier_version_begins_anew_too(school: School) -> None:
    agent = await quick(school)
    for _ in range(3):
        await school.answered(agent, "approved")
    for code in ("2", "1"):
        school.code["noter"] = code
        await school.level(agent)
    await school.answered(agent, "approved")
    assert await school.promotions() == []


async def test_a_promotion_of_an_earlier_version_cannot_be_confirmed(school: School) -> None:
    agent = await quick(school)
    for _ in range(4):
        await school.answered(agent, "approved")
    (promotion,) = await school.promotions()
    school.code["noter"] = "2"
    with pytest.raises(ConflictError, match="withdrawn already: a new version of the agent: code changed"):
        await school.autonomy.confirm(school.organization_id, promotion["id"], actor=PERSON)
    assert await school.level(agent) == 2


async def test_decisions_at_once_notice_a_new_version_once(school: School) -> None:
    agent = await school.agent()
    await school.autonomy.set_level(school.organization_id, agent, "write", 4, actor=PERSON, reason="we know it")
    school.code["noter"] = "2"
    assert await asyncio.gather(*(school.level(agent) for _ in range(6))) == [2] * 6
    assert [event.type for event in await school.events()].count("autonomy.reset") == 1


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["approved", "rejected", "verified", "refuted", "new version"]), max_size=12))
async def test_evidence_of_one_version_never_counts_for_another(school: School, story: list[str]) -> None:
    agent = await school.agent(f"agent {id(story)} {len(story)} {'-'.join(story)}")
    await school.level(agent)
    shown: list[list[str]] = [[]]
    for what in story:
        if what == "new version":
            school.code["noter"] += "+"
            shown.append([])
        elif what in ("approved", "rejected"):
            await school.answered(agent, what)  # type: ignore[arg-type]
        else:
            await school.looked(agent, what)  # type: ignore[arg-type]
        if what != "new version":
            shown[-1].append(what)
        await school.level(agent)
    async with school.database.transaction(school.organization_id) as connection:
        rows = Ledger(connection, Place(school.organization_id, agent, "write"), school.clock.now())
        for number, whats in enumerate(shown, start=1):
            found, _ = await rows.counts(number)
            right = sum(what in ("approved", "verified") for what in whats)
            assert (found.successes, found.failures) == (right, len(whats) - right)
