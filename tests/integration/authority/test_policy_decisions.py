"""Decisions as the authority makes and records them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bailiwick.authority import Proposal
from bailiwick.authority.decisions import Decisions
from bailiwick.kernel.ids import new_id
from tests.integration.api.conftest import Premises, premises

__all__ = ["premises"]


async def _agent(premises: Premises, organization_id: str) -> str:
    premises.installation.authority.knows_tool = {"note.write", "note.erase"}.__contains__
    made = await premises.installation.directory.create(organization_id, "noter", "Nora")
    return made.id


def _proposal(organization_id: str, agent_id: str | None, **fields: Any) -> Proposal:
    given: dict[str, Any] = {
        "organization_id": organization_id, "task_id": new_id(), "tool": "note.write", "effect_class": "write",
        "arguments": {"text": "hello"}, "target": "note:1", "at": datetime.now(UTC), "agent_id": agent_id,
        "is_reversible": True, "price": Decimal("1.50"), "reason": "somebody asked for it",
    }  # fmt: skip
    return Proposal(**{**given, **fields})


async def test_without_a_policy_the_level_decides_and_the_decision_is_recorded(premises: Premises) -> None:
    acme = premises.acme.id
    proposal = _proposal(acme, await _agent(premises, acme))
    async with premises.installation.database.transaction(acme) as connection:
        decision = await premises.installation.authority.decide(proposal, connection=connection)
    assert (decision.outcome, decision.voice, decision.level) == ("approve", "level", 2)
    recorded = await Decisions(premises.installation.database).get(acme, decision.id)
    assert (recorded.rule, recorded.reason, recorded.considered) == (
        decision.rule, decision.reason, decision.considered,
    )  # fmt: skip
    assert recorded.price == Decimal("1.50")
    assert recorded.proposed_because == "somebody asked for it"


@pytest.mark.parametrize("whose", ["nobody", "a stranger", "another organization's"])
async def test_an_agent_that_nobody_knows_may_nothing(premises: Premises, whose: str) -> None:
    acme = premises.acme.id
    agents = {"nobody": None, "a stranger": new_id(), "another organization's": None}
    if whose == "another organization's":
        agents[whose] = await _agent(premises, premises.rival.id)
    proposal = _proposal(acme, agents[whose], effect_class="read")
    async with premises.installation.database.transaction(acme) as connection:
        decision = await premises.installation.authority.decide(proposal, connection=connection)
    assert (decision.outcome, decision.voice) == ("deny", "unknown")
