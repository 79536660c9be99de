"""Authority: decides about proposals by what is in force, and records every decision."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from bailiwick.authority.deciding import decide
from bailiwick.authority.decisions import record_decision
from bailiwick.authority.given import Given
from bailiwick.authority.model import Budget, Decision, EffectClass, Proposal, Remembered
from bailiwick.authority.policies import Policies
from bailiwick.authority.voices import DEFAULT_LEVEL
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection

Consents = Callable[[str, str, str], Awaitable[bool | None]]
"""Whether a subject of an organization consents to a purpose; None where that cannot be told."""


class Levels(Protocol):
    """Who knows how far an agent may go by itself."""

    async def level(
        self, organization_id: str, agent_id: str | None, effect_class: EffectClass, *, connection: Connection
    ) -> int:
        """Return the level, from 1 to 5; any other where there is no such agent."""
        ...


class Memory(Protocol):
    """Who knows what people said yes to for good."""

    async def remembered(self, proposal: Proposal, connection: Connection) -> Remembered | None:
        """Return the remembered rule that covers a proposal, if one does."""
        ...


class Authority:
    """What agents of all organizations may do.

    ``levels``, ``memory`` and ``knows_tool`` are set by whoever wires the
    platform; without levels every agent proposes, and every tool is known.
    """

    def __init__(self, database: Database, policies: Policies, *, consents: Consents | None = None) -> None:
        self._database = database
        self._policies = policies
        self._consents = consents
        self.levels: Levels | None = None
        self.memory: Memory | None = None
        self.knows_tool: Callable[[str], bool] | None = None

    async def consent_of(self, proposal: Proposal) -> bool | None:
        """Tell whether the person concerned consents; None if there is none, or nobody can tell.

        Takes a connection of its own: ask before the transaction in which it is decided.
        """
        if proposal.subject is None or proposal.purpose is None or self._consents is None:
            return None
        return await self._consents(proposal.organization_id, proposal.subject, proposal.purpose)

    async def decide(
        self,
        proposal: Proposal,
        *,
        connection: Connection,
        budget: Budget | None = None,
        consent: bool | None = None,
    ) -> Decision:
        """Decide about a proposal and record the decision in the same transaction.

        The transaction must be the proposal's organization's. ``budget`` is
        what weighing its price answered, ``consent`` what ``consent_of`` did.
        Everything considered is recorded, whatever the outcome.
        """
        row = await self._row(proposal, connection)
        own, ceiling = await self._policies.compiled(proposal.organization_id, row["own"], row["ceiling"], connection)
        known = _with_agent(proposal, row)
        given = Given(
            await self._level(known, connection),
            consent=consent,
            budget=budget,
            remembered=None if self.memory is None else await self.memory.remembered(known, connection),
            stranger=self._stranger(known, row),
            organization=(proposal.organization_id, row["slug"] or ""),
        )
        decision = decide(
            own, known, given.level, ceiling=ceiling, consent=given.consent, budget=given.budget,
            remembered=given.remembered, stranger=given.stranger, organization=given.organization,
        )  # fmt: skip
        await record_decision(connection, known, decision, given)
        return decision

    def _stranger(self, proposal: Proposal, row: Row) -> str | None:
        if self.knows_tool is not None and not self.knows_tool(proposal.tool):
            return f"no tool {proposal.tool[:100]!r} is registered"
        if proposal.agent_id is not None and row["kind"] is None:
            return "the agent is not one of this organization"
        if row["is_enabled"] is False:
            return f"the agent {row['name']!r} is disabled"
        return None

    async def _row(self, proposal: Proposal, connection: Connection) -> Row:
        cursor = await connection.execute(
            "select v.own, v.ceiling, o.slug, a.kind, a.name, a.is_enabled from policy_versions() v "
            "left join organizations o on o.id = %(org)s "
            "left join agents a on a.id = %(agent)s and a.organization_id = %(org)s",
            {"org": proposal.organization_id, "agent": proposal.agent_id},
        )
        row = await cursor.fetchone()
        assert row is not None
        return row

    async def _level(self, proposal: Proposal, connection: Connection) -> int | None:
        if proposal.agent_id is None:
            return None
        if self.levels is None:
            return DEFAULT_LEVEL
        return await self.levels.level(
            proposal.organization_id, proposal.agent_id, proposal.effect_class, connection=connection
        )


def _with_agent(proposal: Proposal, row: Row) -> Proposal:
    if row["kind"] is None:
        return proposal
    return replace(proposal, agent_kind=row["kind"], agent_name=row["name"])
