"""Autonomy on a real database, with agents whose effects are put there by hand."""

from typing import Any

import psycopg

from bailiwick.agents import AgentDirectory
from bailiwick.audit import Actor, AuditLog
from bailiwick.audit.model import Entry, EntryFilter
from bailiwick.authority.autonomy import AgentVersions, Autonomy
from bailiwick.authority.autonomy.facts import EVENT_TYPES
from bailiwick.authority.autonomy.service import Answer, Compared, Looked
from bailiwick.authority.model import EffectClass
from bailiwick.events import EventLog, EventRegistry
from bailiwick.events.model import Event
from bailiwick.events.reader import EventReader
from bailiwick.identity import Organizations
from bailiwick.kernel.clock import ManualClock
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.rows import RowFields
from bailiwick.storage.waking import Wakeups

PERSON = Actor("user", "u-1", "Ada")

_EFFECT = """
insert into effects (id, organization_id, task_id, seq, fence, agent_id, agent_kind, tool, tool_version, effect_class,
                     arguments, target, digest, state, reason, began_at, ended_at)
values (%(id)s, %(org)s, %(task)s, 0, 1, %(agent)s, 'noter', %(tool)s, '1', %(class)s, %(arguments)s::jsonb, %(target)s,
        repeat('0', 64), %(state)s, 'because',
        case when %(state)s not in ('proposed', 'waiting', 'declined') then now() end,
        case when %(state)s not in ('proposed', 'waiting', 'executing') then now() end)"""


def _nothing_follows(*_: object) -> list[RowFields]:
    return []


def put_effect(login_url: str, **fields: Any) -> str:
    """Put an effect into the ledger past everything that guards it, and return its id."""
    effect_id = new_id()
    given = {
        "id": effect_id, "task": new_id(), "agent": None, "tool": "note.write", "class": "write", "arguments": "{}",
        "target": "note:1", "state": "applied",
    }  # fmt: skip
    with psycopg.connect(login_url) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(_EFFECT, {**given, **fields})
    return effect_id


class School:
    """One organization with agents that are learned about."""

    def __init__(self, database: Database, login_url: str, clock: ManualClock) -> None:
        self.database = database
        self.login_url = login_url
        self.clock = clock
        self.code = {"noter": "1"}
        self.organization_id = ""
        types = EventRegistry()
        for event_type in EVENT_TYPES:
            types.register(event_type)
        self.audit = AuditLog(database)
        self.log = EventLog(database.url, types, Wakeups(database.url), _nothing_follows)
        versions = AgentVersions()
        versions.register("noter", lambda given: {"code": self.code["noter"], "configuration": dict(given)})
        self.autonomy = Autonomy(database, self.audit, self.log, versions, clock=clock)
        self.directory = AgentDirectory(database, {"noter": "noter.work"})

    async def open(self) -> None:
        """Found the organization."""
        self.organization_id = (await Organizations(self.database).create("Acme")).id

    async def agent(self, name: str = "Nora", **configuration: Any) -> str:
        """Add an agent and return its id."""
        return (await self.directory.create(self.organization_id, "noter", name, configuration=configuration)).id

    async def level(self, agent_id: str | None, effect_class: EffectClass = "write") -> int:
        """Ask for a level as a decision does."""
        async with self.database.transaction(self.organization_id) as connection:
            return await self.autonomy.level(self.organization_id, agent_id, effect_class, connection=connection)

    async def proposed(self, agent_id: str, effect_class: EffectClass = "write") -> str:
        """Have the agent propose an effect, decided by its level, and return its id."""
        await self.level(agent_id, effect_class)
        return put_effect(self.login_url, org=self.organization_id, agent=agent_id, **{"class": effect_class})

    async def answered(
        self,
        agent_id: str,
        answer: Answer,
        *,
        effect_id: str | None = None,
        effect_class: EffectClass = "write",
        is_irreversible: bool = False,
    ) -> str:
        """Have a person answer a proposal."""
        effect_id = effect_id or await self.proposed(agent_id, effect_class)
        async with self.database.transaction(self.organization_id) as connection:
            await self.autonomy.record_decision(
                self.organization_id, agent_id, effect_class, answer, effect_id=effect_id,
                is_irreversible=is_irreversible, connection=connection,
            )  # fmt: skip
        return effect_id

    async def looked(
        self, agent_id: str, looked: Looked, *, effect_id: str | None = None, effect_class: EffectClass = "write"
    ) -> str:
        """Have a later look find something."""
        effect_id = effect_id or await self.proposed(agent_id, effect_class)
        async with self.database.transaction(self.organization_id) as connection:
            await self.autonomy.record_outcome(
                self.organization_id, agent_id, effect_class, looked, effect_id=effect_id, connection=connection
            )
        return effect_id

    async def compared(self, agent_id: str, compared: Compared) -> str:
        """Have people do something while the agent watches."""
        effect_id = await self.proposed(agent_id)
        async with self.database.transaction(self.organization_id) as connection:
            await self.autonomy.record_comparison(
                self.organization_id, agent_id, "write", compared, effect_id=effect_id, connection=connection
            )
        return effect_id

    async def events(self) -> list[Event]:
        """Return what was told, oldest first."""
        page = await EventReader(self.database).list(self.organization_id)
        return page.items[::-1]

    async def acts(self) -> list[Entry]:
        """Return what was audited about autonomy, oldest first."""
        page = await self.audit.list(self.organization_id, EntryFilter(action="autonomy.*"))
        return page.items[::-1]

    async def promotions(self) -> list[dict[str, Any]]:
        """Return the promotions, oldest first."""
        return await self.database.fetch_all(
            "select * from autonomy_promotions order by id", organization_id=self.organization_id
        )
