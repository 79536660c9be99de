"""Why something happened, and why it did not: from the event or task to what came of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.authority.policy.facts import EVENT_TYPES
from bailiwick.installation.explaining import Explainer
from bailiwick.installation.explanation import Explanation, lines_of
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.tasks import Run
from tests.support.acting import PERSON, ActingEngine, act_once
from tests.support.engine import AnyPayload

POLICY = """\
rules:
  - name: no-shouting
    because: readers have ears
    when:
      tool: folder.append
      arguments: {text: [HELLO, HEY]}
    then: deny
  - name: greetings
    because: greetings are harmless
    when: {tool: folder.append, arguments: {text: hello}}
    then: allow
tests:
  - proposal: {tool: folder.append, arguments: {text: HEY}}
    expect: {outcome: deny, rule: no-shouting}
"""


@pytest.fixture
async def engine(login_url: str, tmp_path: Path) -> AsyncIterator[ActingEngine]:
    """With one worker, an agent that proposes, and the policy above."""
    async with ActingEngine(login_url, tmp_path) as running:
        running.handles("act", act_once)
        running.handles("look", _look)
        for event_type in EVENT_TYPES:
            running.types.register(event_type)
        await running.employ(level=2)
        await running.policies.put(running.organization_id, POLICY, actor=SYSTEM)
        await running.work()
        yield running


async def _look(run: Run, payload: AnyPayload) -> dict[str, Any]:
    return {"saw": await run.step("look", lambda: "nothing to do")}


async def _why(engine: ActingEngine, about: str) -> Explanation:
    return await Explainer(engine.database, engine.policies).explain(engine.organization_id, about)


def _text(explanation: Explanation) -> str:
    lines = [f"{line.label} {line.text}" for chain in explanation.chains for line in lines_of(chain)]
    return "\n".join([*explanation.answer, *lines])


async def test_what_was_done_is_explained_with_rule_version_execution_and_verification(engine: ActingEngine) -> None:
    task = await engine.act()
    await engine.ended(task)
    effect = await engine.effect_of(task)
    found = await _why(engine, effect.id)
    assert found.kind == "effect"
    assert found.answer == ["folder.append on file:file was done, allowed by greetings; it is verified."]
    text = _text(found)
    for said in (
        "allow by greetings: greetings are harmless", "policy version 1, line 8", "- name: greetings",
        "executing", "applied", "verified",
    ):  # fmt: skip
        assert said in text, text
    (proposal,) = found.chains[0].proposals
    rule = proposal.decisions[0].rule_text
    assert rule is not None
    assert rule.text.splitlines() == [
        "- name: greetings",
        "  because: greetings are harmless",
        "  when: {tool: folder.append, arguments: {text: hello}}",
        "  then: allow",
    ]


async def test_what_was_not_done_is_explained_with_the_rule_that_denied_it(engine: ActingEngine) -> None:
    task = await engine.act(text="HELLO")
    await engine.ended(task)
    found = await _why(engine, task)
    assert found.kind == "task"
    assert found.answer == [
        "folder.append on file:file was not done: no-shouting denies it, readers have ears."
    ]  # fmt: skip
    assert "    arguments: {text: [HELLO, HEY]}" in _text(found)


async def test_an_approval_is_explained_with_who_said_what(engine: ActingEngine) -> None:
    task = await engine.act(text="good evening")
    approval = await engine.asked(task)
    waiting = await _why(engine, approval.id)
    assert waiting.kind == "approval"
    assert waiting.answer == ["folder.append on file:file waits for an approval (decided: approve by level:2)."]
    await engine.answer(approval, "reject", reason="not today")
    await engine.ended(task)
    text = _text(await _why(engine, approval.id))
    assert "people said no" in text
    assert "not today" in text


async def test_a_decision_leads_to_its_effect(engine: ActingEngine) -> None:
    task = await engine.act()
    await engine.ended(task)
    effect = await engine.effect_of(task)
    assert effect.decision_id is not None
    found = await _why(engine, effect.decision_id)
    assert found.kind == "decision"
    assert [proposal.effect and proposal.effect["id"] for proposal in found.chains[0].proposals] == [effect.id]


async def test_where_nothing_was_proposed_it_says_so_and_how_the_task_ended(engine: ActingEngine) -> None:
    task = await engine.add("look", {}, agent_id=engine.agent_id)
    await engine.ended(task)
    (answer,) = (await _why(engine, task)).answer
    assert answer.startswith("Nothing was proposed: look of ")
    assert answer.endswith("completed and wanted no change.")


async def test_the_ceiling_is_shown_as_the_ceiling(engine: ActingEngine) -> None:
    await engine.policies.put(
        INSTALLATION, "rules:\n  - {name: nothing, because: holidays, then: deny}\n", actor=SYSTEM
    )
    task = await engine.act()
    await engine.ended(task)
    text = _text(await _why(engine, task))
    assert "ceiling/nothing denies it, holidays" in text
    assert "ceiling version 1, line 2" in text
    assert "considered greetings: allow, greetings are harmless" in text


async def test_an_observer_is_explained_as_one(engine: ActingEngine) -> None:
    for effect_class in ("read", "write"):
        await engine.autonomy.set_level(
            engine.organization_id, engine.agent_id, effect_class, 1, actor=PERSON, reason="a test"
        )
    task = await engine.act()
    await engine.ended(task)
    (answer,) = (await _why(engine, task)).answer
    assert answer == (
        "folder.append on file:file was not done, its agent observes only: it was recorded what it would have done."
    )


async def test_nothing_of_that_id_or_of_another_organization_is_not_found(engine: ActingEngine) -> None:
    task = await engine.act()
    await engine.ended(task)
    with pytest.raises(NotFoundError, match="no effect, decision, approval, task, event or issue"):
        await _why(engine, new_id())
    with pytest.raises(NotFoundError):
        await Explainer(engine.database, engine.policies).explain(new_id(), task)


async def test_an_explanation_is_plain_data(engine: ActingEngine) -> None:
    task = await engine.act()
    await engine.ended(task)
    document = (await _why(engine, task)).document()
    (chain,) = document["chains"]
    (proposal,) = chain["proposals"]
    assert proposal["verdict"] == document["answer"][0]
    assert proposal["decisions"][0]["decision"]["rule"] == "greetings"
    assert chain["task"]["id"] == task
