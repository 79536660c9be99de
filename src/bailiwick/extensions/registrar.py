"""What an extension may register, and the services its handlers may use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from bailiwick.agents import Agent, AgentDirectory, NewAgent
from bailiwick.agents.work import agent_task_kind
from bailiwick.audit import AuditLog
from bailiwick.audit.alarms import Alarms
from bailiwick.audit.roots import AuditRoots
from bailiwick.authority import Authority, Policies
from bailiwick.authority.approvals import Approvals
from bailiwick.authority.autonomy import AgentVersions, Autonomy
from bailiwick.authority.budgets import Budgets
from bailiwick.connectors.connections import Connections
from bailiwick.effects import Tool, ToolRegistry
from bailiwick.effects.ledger import Effects
from bailiwick.events import EventLog, EventRegistry, EventType
from bailiwick.events.reader import EventReader, Retention
from bailiwick.events.rejections import Rejections
from bailiwick.identity import Organizations, Sessions
from bailiwick.outbound import AllowList
from bailiwick.outcomes import Check, CheckRegistry, Outcomes
from bailiwick.outcomes.shadowing import ShadowRegistry, Watch
from bailiwick.privacy import Consents, DataMap, Location, Privacy
from bailiwick.privacy.platform import declare_platform
from bailiwick.recovery import Backups
from bailiwick.storage import Database
from bailiwick.tasks import KindRegistry, NewTask, TaskKind, TaskQueue
from bailiwick.tasks.limits import Limits
from bailiwick.tasks.reader import TaskReader
from bailiwick.tasks.schedules import NewSchedule, Schedules
from bailiwick.tasks.subscriptions import Subscription, Subscriptions

Scope = Literal["organization", "installation"]


@runtime_checkable
class Extension(Protocol):
    """The object behind an entry point of the group ``bailiwick.extensions``.

    ``migrations`` is a folder of Alembic versions of the extension's own
    tables, or None.
    """

    name: str
    version: str
    migrations: Path | None

    def register(self, registrar: "Registrar") -> None:
        """Register everything; called once per process, before any event or task."""
        ...


@dataclass(frozen=True, slots=True)
class Kernel:
    """The services of the platform, as handlers use them."""

    database: Database
    events: EventLog
    event_reader: EventReader
    retention: Retention
    queue: TaskQueue
    tasks: TaskReader
    limits: Limits
    schedules: Schedules
    directory: AgentDirectory
    organizations: Organizations
    rejections: Rejections
    connections: Connections
    registry: "Registry"
    # What may be reached over HTTP beside the public internet.
    outbound: AllowList
    backups: Backups
    audit: AuditLog
    audit_roots: AuditRoots
    alarms: Alarms
    privacy: Privacy
    sessions: Sessions
    policies: Policies
    authority: Authority
    autonomy: Autonomy
    outcomes: Outcomes
    budgets: Budgets
    effects: Effects
    approvals: Approvals

    @property
    def consents(self) -> Consents:
        """Whom to ask, by ``consents.require``, before a person's data is processed for a purpose."""
        return self.privacy.consents


@dataclass(slots=True)
class Registry:
    """All that was registered. Filled at start, read afterwards."""

    event_types: EventRegistry = field(default_factory=EventRegistry)
    kinds: KindRegistry = field(default_factory=KindRegistry)
    # From agent kind to the task kind it does.
    agent_kinds: dict[str, str] = field(default_factory=dict[str, str])
    # The code of each kind of agent, by the task kind it does.
    agents: dict[str, Agent[Any]] = field(default_factory=dict[str, Agent[Any]])
    # What makes an agent's version, by kind.
    agent_versions: AgentVersions = field(default_factory=AgentVersions)
    checks: CheckRegistry = field(default_factory=CheckRegistry)
    # Who can tell what people did while an agent only watched.
    shadows: ShadowRegistry = field(default_factory=ShadowRegistry)
    tools: ToolRegistry = field(default_factory=ToolRegistry)
    schedules: list[tuple[NewSchedule, Scope]] = field(default_factory=list[tuple[NewSchedule, Scope]])
    staff: list[NewAgent] = field(default_factory=list[NewAgent])
    # What is done ahead in every process that starts a worker.
    warmers: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])
    # Extensions that are not there, each with its error.
    failed: list[str] = field(default_factory=list[str])
    # Where there is personal data, by table; of the platform's own tables from the start.
    data_map: DataMap = field(default_factory=DataMap)
    # Told which organization's memory is void after an erasure; '' for all.
    forgetters: list[Callable[[str], None]] = field(default_factory=list[Callable[[str], None]])
    subscriptions: Subscriptions = field(init=False)

    def __post_init__(self) -> None:
        """Tie subscriptions to the kinds they make tasks of."""
        self.subscriptions = Subscriptions(self.kinds)
        declare_platform(self.data_map)


class Registrar:
    """Handed to every extension, built-in or not."""

    def __init__(self, registry: Registry, kernel: Kernel) -> None:
        self._registry = registry
        self.kernel = kernel

    def event_type(self, event_type: EventType) -> None:
        """Add a type of event."""
        self._registry.event_types.register(event_type)

    def task_kind(self, kind: TaskKind) -> None:
        """Add a kind of task and its handler."""
        self._registry.kinds.register(kind)

    def subscription(self, event_type: str, task_kind: str, build: Callable[[Any], NewTask | None]) -> None:
        """Let a task follow from every event of a type; ``build`` returns it, or None for none.

        Both must be registered before; they are looked up here, so a typing
        error shows at start and not at the first event.
        """
        self._registry.event_types.get(event_type)
        self._registry.kinds.get(task_kind)
        self._registry.subscriptions.add(Subscription(event_type, task_kind, build))

    def agent(self, agent_class: type[Agent[Any]]) -> None:
        """Add a kind of agent; its work becomes the task kind ``<kind>.work``."""
        made = self._registry.agents[agent_class.task_kind()] = agent_class(self.kernel.database)
        self._registry.agent_kinds[agent_class.kind] = agent_class.task_kind()
        self._registry.agent_versions.register(agent_class.kind, agent_class.behaviour)
        self._registry.kinds.register(agent_task_kind(made, self.kernel.directory))

    def check(self, check: Check[Any]) -> None:
        """Add a way to look later whether something worked."""
        self._registry.checks.register(check)

    def counterparts(self, name: str, watch: Watch) -> None:
        """Add somebody who can tell what people did to the target of an act that an agent was not let do.

        Shadow mode compares the two: the same tool with equal arguments agrees,
        anything else differs.
        """
        self._registry.shadows.register(name, watch)

    def tool(self, tool: Tool[Any]) -> None:
        """Add a tool: one thing that agents can do outside, once there is authority for it."""
        self._registry.tools.register(tool)

    def staff(self, agent: NewAgent) -> None:
        """Give every new organization an agent."""
        self._registry.staff.append(agent)

    def schedule(self, schedule: NewSchedule, *, scope: Scope = "organization") -> None:
        """Give every organization, or the installation as a whole, a schedule."""
        self._registry.schedules.append((schedule, scope))

    def warm(self, function: Callable[[], object]) -> None:
        """Do something ahead once a worker is ready, so that its first work need not wait: load a heavy library, say.

        A plain function, called in a thread, after those registered before it
        and never in a process without a worker. It may be called again and may
        not be called at all; its failure is logged and stops nothing. A process
        that exits waits for it, so split what takes longer than a second.
        """
        self._registry.warmers.append(function)

    def personal_data(self, *locations: Location) -> None:
        """Declare tables of the extension's that hold personal data: where in them, and what erasure does there."""
        self._registry.data_map.declare(*locations)

    def no_personal_data(self, table: str, reason: str) -> None:
        """Declare that a table of the extension's holds no personal data, and why; every table is declared."""
        self._registry.data_map.declare_none(table, reason)

    def forgetting(self, function: Callable[[str], None]) -> None:
        """Have a function called after an erasure, with the organization's id, to drop what this process remembers.

        Called with '' it drops everything: an erasure may have been missed. Keep
        it quick; it runs on the event loop, and must do no harm when it comes often.
        """
        self._registry.forgetters.append(function)
