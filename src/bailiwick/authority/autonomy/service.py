"""How far agents may go by themselves."""

from bailiwick.authority.autonomy.model import START, UNKNOWN
from bailiwick.authority.autonomy.versions import AgentVersions
from bailiwick.authority.model import EffectClass
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection

_LEVEL = """
select a.kind, a.configuration, l.level
from agents a
left join autonomy_levels l on l.organization_id = a.organization_id and l.agent_id = a.id
    and l.effect_class = %(class)s
where a.organization_id = %(org)s and a.id = %(agent)s"""


class Autonomy:
    """The levels of agents: read by every decision, moved by evidence and by people."""

    def __init__(self, database: Database, versions: AgentVersions | None = None) -> None:
        self._database = database
        self.versions = versions or AgentVersions()

    async def level(
        self, organization_id: str, agent_id: str | None, effect_class: EffectClass, *, connection: Connection
    ) -> int:
        """Return an agent's level in a class of effects, 1 to 5; 0 where there is no such agent: it may nothing."""
        cursor = await connection.execute(_LEVEL, {"org": organization_id, "agent": agent_id, "class": effect_class})
        row = await cursor.fetchone()
        if row is None:
            return UNKNOWN
        return START[effect_class] if row["level"] is None else int(row["level"])
