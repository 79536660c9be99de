"""How an agent earns to go further, and how it loses that."""

import pytest

from bailiwick.audit import SYSTEM, Actor
from bailiwick.authority.autonomy import AutonomyRules, Bar
from bailiwick.authority.model import EffectClass
from bailiwick.kernel.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id
from tests.support.autonomy import PERSON, School

QUICK = AutonomyRules(
    propose=Bar(bound=0.3, minimum_trials=2),
    notice=Bar(bound=0.5, minimum_trials=4),
    act=Bar(bound=0.6, minimum_trials=6, minimum_verified=2),
)


async def quick(school: School, *, is_automatic: bool = False) -> str:
    rules = QUICK.model_copy(update={"is_automatic": is_automatic})
    await school.autonomy.put_rules(school.organization_id, rules, actor=PERSON)
    return await school.agent()


async def test_everybody_begins_with_looking_and_proposing(school: School) -> None:
    agent = await school.agent()
    classes: tuple[EffectClass, ...] = ("read", "write", "external", "spend", "destructive")
    assert [await school.level(agent, one) for one in classes] == [4, 2, 2, 2, 2]


@pytest.mark.parametrize("agent_id", [None, "0199b6ff-b66f-7000-8000-0000000000a9"])
async def test_an_agent_nobody_knows_has_no_level(school: School, agent_id: str | None) -> None:
    assert await school.level(agent_id) == 0


async def test_a_promotion_is_a_proposal_that_a_person_confirms(school: School) -> None:
    agent = await quick(school)
    for _ in range(4):
        assert await school.level(agent) == 2
        await school.answered(agent, "approved")
    (promotion,) = await school.promotions()
    assert (promotion["from_level"], promotion["to_level"], promotion["state"]) == (2, 3, "proposed")
    assert promotion["evidence"]["trials"] == 4
    assert await school.level(agent) == 2
    confirmed = await school.autonomy.confirm(school.organization_id, promotion["id"], actor=PERSON)
    assert (confirmed.state, confirmed.answered_by) == ("confirmed", "user:u-1")
    assert await school.level(agent) == 3
    assert [event.type for event in await school.events()] == ["autonomy.promotion_proposed", "autonomy.changed"]
    assert [act.action for act in await school.acts()] == [
        "autonomy.rules_set", "autonomy.promotion_proposed", "autonomy.changed",
    ]  # fmt: skip


async def test_an_organization_may_allow_promotions_without_asking_and_they_end_at_four(school: School) -> None:
    agent = await quick(school, is_automatic=True)
    seen = [await school.level(agent)]
    for _ in range(12):
        effect = await school.answered(agent, "approved")
        await school.looked(agent, "verified", effect_id=effect)
        seen.append(await school.level(agent))
    assert seen == sorted(seen)
    assert seen[-1] == 4
    assert [promotion["state"] for promotion in await school.promotions()] == ["automatic", "automatic"]


@pytest.mark.parametrize("effect_class", ["destructive", "write"])
async def test_destructive_and_irreversible_acts_are_never_promoted_automatically(
    school: School, effect_class: EffectClass
) -> None:
    agent = await quick(school, is_automatic=True)
    for _ in range(6):
        await school.answered(agent, "approved", effect_class=effect_class, is_irreversible=effect_class == "write")
    assert await school.level(agent, effect_class) == 2
    assert [promotion["state"] for promotion in await school.promotions()] == ["proposed"]


async def test_one_act_is_one_trial_however_much_is_known_of_it(school: School) -> None:
    agent = await quick(school)
    effect = await school.answered(agent, "approved")
    for _ in range(5):
        await school.answered(agent, "approved", effect_id=effect)
        await school.looked(agent, "verified", effect_id=effect)
    assert await school.promotions() == []


async def test_a_refuted_outcome_outweighs_the_approval_of_the_same_act(school: School) -> None:
    agent = await quick(school)
    effects = [await school.answered(agent, "approved") for _ in range(4)]
    await school.looked(agent, "refuted", effect_id=effects[0])
    (promotion,) = await school.promotions()
    assert (promotion["state"], promotion["reason"]) == ("withdrawn", "the bound is no longer met")


async def test_refuted_outcomes_within_the_window_demote_at_once(school: School) -> None:
    agent = await school.agent()
    await school.autonomy.set_level(school.organization_id, agent, "write", 4, actor=PERSON, reason="we know it")
    for _ in range(60):
        await school.looked(agent, "verified")
    await school.looked(agent, "refuted")
    school.clock.advance(seconds=31 * 24 * 3600)
    await school.looked(agent, "refuted")
    assert await school.level(agent) == 4
    await school.looked(agent, "refuted")
    assert await school.level(agent) == 3
    demoted = (await school.acts())[-1]
    assert (demoted.action, demoted.actor.id) == ("autonomy.demoted", SYSTEM.id)
    assert demoted.reason == "2 outcomes were refuted within 30 days"
    assert (await school.events())[-1].type == "autonomy.demoted"


async def test_destructive_harm_leads_to_observing(school: School) -> None:
    agent = await school.agent()
    await school.autonomy.set_level(school.organization_id, agent, "destructive", 5, actor=PERSON, reason="trusted")
    await school.looked(agent, "refuted", effect_class="destructive")
    assert await school.level(agent, "destructive") == 1
    assert await school.level(agent, "write") == 2


async def test_rejections_send_a_beginner_back_to_watching_and_agreement_brings_it_back(school: School) -> None:
    agent = await quick(school)
    for _ in range(8):
        await school.answered(agent, "rejected")
    assert await school.level(agent) == 1
    for _ in range(20):
        await school.compared(agent, "agreed")
    (promotion,) = await school.promotions()
    assert (promotion["from_level"], promotion["to_level"]) == (1, 2)


async def test_a_refused_promotion_is_proposed_again_only_after_as_much_evidence_again(school: School) -> None:
    agent = await quick(school)
    for _ in range(4):
        await school.answered(agent, "approved")
    (promotion,) = await school.promotions()
    await school.autonomy.refuse(school.organization_id, promotion["id"], actor=PERSON, reason="not yet")
    for count in range(4):
        assert len(await school.promotions()) == 1, count
        await school.answered(agent, "approved")
    assert [one["state"] for one in await school.promotions()] == ["refused", "proposed"]
    assert (await school.acts())[-2].action == "autonomy.promotion_refused"


async def test_a_promotion_is_answered_once(school: School) -> None:
    agent = await quick(school)
    for _ in range(4):
        await school.answered(agent, "approved")
    (promotion,) = await school.promotions()
    await school.autonomy.confirm(school.organization_id, promotion["id"], actor=PERSON)
    with pytest.raises(ConflictError, match="confirmed already"):
        await school.autonomy.refuse(school.organization_id, promotion["id"], actor=PERSON, reason="too late")
    assert await school.level(agent) == 3


@pytest.mark.parametrize(
    ("actor", "level"),
    [
        (Actor("agent", "a-1", "Nora"), 3),
        (Actor("service", "s-1", "a program"), 3),
        (SYSTEM, 3),
        (Actor("system", "task:7", "a task without an agent"), 3),
        (Actor("key", "k-1", "a key that is nobody's"), 3),
        (Actor("key", "k-1", "a key", holder_id="u-1"), 5),
    ],
)
async def test_how_far_agents_may_go_is_for_people_to_say(school: School, actor: Actor, level: int) -> None:
    agent = await school.agent()
    with pytest.raises(ForbiddenError):
        await school.autonomy.set_level(school.organization_id, agent, "write", level, actor=actor, reason="because")
    assert await school.level(agent) == 2


async def test_a_person_sets_a_level_with_a_reason_and_it_is_audited(school: School) -> None:
    agent = await school.agent()
    with pytest.raises(InvalidInputError):
        await school.autonomy.set_level(school.organization_id, agent, "write", 3, actor=PERSON, reason=" ")
    with pytest.raises(NotFoundError):
        await school.autonomy.set_level(school.organization_id, new_id(), "write", 3, actor=PERSON, reason="why not")
    await school.autonomy.set_level(school.organization_id, agent, "write", 5, actor=PERSON, reason="a test bed")
    (act,) = await school.acts()
    assert (act.action, act.actor.name, act.reason) == ("autonomy.changed", "Ada", "a test bed")
    assert act.before == {"effect_class": "write", "level": 2}
    assert act.after == {"effect_class": "write", "level": 5, "set_by": "person", "version": 1}


async def test_what_is_rolled_back_leaves_neither_level_nor_event_nor_audit_entry(school: School) -> None:
    agent = await school.agent()
    effect = await school.proposed(agent, "destructive")

    async def fail_afterwards() -> None:
        async with school.database.transaction(school.organization_id) as connection:
            await school.autonomy.record_outcome(
                school.organization_id, agent, "destructive", "refuted", effect_id=effect, connection=connection
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_afterwards()
    assert await school.level(agent, "destructive") == 2
    assert (await school.events(), await school.acts()) == ([], [])
