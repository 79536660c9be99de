"""What rewinding registers: the task that carries it out, and the agent that answers for it."""

from contextlib import suppress
from pathlib import Path

from bailiwick import __version__
from bailiwick.agents import AgentDirectory
from bailiwick.effects.rewinding import AGENT_KIND, KIND, AgentOf, Rewinding
from bailiwick.extensions.registrar import Registrar
from bailiwick.kernel.errors import ConflictError


def rewinder_of(staff: AgentDirectory) -> AgentOf:
    """Return what finds the agent of an organization that answers for rewinds; it is made at the first."""

    async def rewinder(organization_id: str) -> str:
        # Another may make it at the same moment.
        with suppress(ConflictError):
            return (await staff.create(organization_id, AGENT_KIND, AGENT_KIND)).id
        return (await staff.get(organization_id, AGENT_KIND)).id

    return rewinder


class RewindingExtension:
    """Rewinds, as tasks of an agent of their own."""

    name = "rewinding"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the kind of agent and its kind of task."""
        kernel = registrar.kernel
        kernel.registry.agent_kinds[AGENT_KIND] = KIND
        rewinding = Rewinding(
            kernel.database, kernel.effects, kernel.registry.tools, kernel.queue, kernel.audit,
            agent_of=rewinder_of(kernel.directory),
        )  # fmt: skip
        registrar.task_kind(rewinding.kind())


extension = RewindingExtension()
