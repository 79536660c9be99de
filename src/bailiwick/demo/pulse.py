"""What the demo looks at while the agents work: what still moves, what became of the issues, how each agent did."""

from dataclasses import dataclass, field

from bailiwick.agents import AgentStatistics
from bailiwick.demo.effects import EffectsSeen, effects_seen
from bailiwick.installation import Installation
from bailiwick.packs.operations.blocked import BlockedBecause, blocked_because
from bailiwick.packs.operations.reader import IssueReader, SlaCounts

# A retry or sleep that ends later than this is not waited for.
HORIZON_SECONDS = 10.0

_MOVING = """
select count(*) filter (where state in ('available', 'executing') and not is_paused) as at_work,
       count(*) filter (where state in ('scheduled', 'retryable', 'waiting') and not is_paused
                        and run_at <= now() + make_interval(secs => %(horizon)s)) as soon,
       count(*) filter (where is_paused or wait_event is not null) as parked,
       count(*) filter (where not is_paused and wait_event is null
                        and run_at > now() + make_interval(secs => %(horizon)s)) as later
from tasks where organization_id = %(org)s"""


@dataclass(frozen=True, slots=True)
class Movement:
    """How many tasks move on by themselves within the horizon, wait for a person or an event, or for a later time."""

    at_work: int
    soon: int
    parked: int
    later: int = 0

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing will happen within the horizon without someone from outside."""
        return not self.at_work and not self.soon


@dataclass(frozen=True, slots=True)
class Pulse:
    """One look at an organization."""

    movement: Movement
    tasks: dict[str, int]
    events: dict[str, int]
    agents: tuple[AgentStatistics, ...]
    issues: dict[str, dict[str, int]]
    sla: SlaCounts
    rejected: int
    blocked: BlockedBecause
    effects: EffectsSeen = field(default_factory=EffectsSeen)

    @property
    def finished(self) -> int:
        """How many tasks have ended, in whatever way."""
        return sum(self.tasks[state] for state in ("completed", "cancelled", "discarded"))

    @property
    def total(self) -> int:
        """How many tasks there are or were."""
        return sum(self.tasks.values())


async def movement(installation: Installation, organization_id: str) -> Movement:
    """Return what still moves."""
    row = await installation.database.fetch_one(
        _MOVING, {"org": organization_id, "horizon": HORIZON_SECONDS}, organization_id=organization_id
    )
    return Movement(0, 0, 0) if row is None else Movement(row["at_work"], row["soon"], row["parked"], row["later"])


async def look(installation: Installation, organization_id: str) -> Pulse:
    """Return one look at an organization; some short reads."""
    issues = IssueReader(installation.database)
    agents = await installation.directory.statistics(organization_id, limit=100)
    return Pulse(
        movement=await movement(installation, organization_id),
        tasks=await installation.tasks.counts(organization_id),
        events=await installation.event_reader.counts(organization_id),
        agents=tuple(sorted(agents.items, key=lambda agent: (-agent.done, agent.name))),
        issues=await issues.counts(organization_id),
        sla=await issues.sla_counts(organization_id),
        rejected=await installation.rejections.count(organization_id),
        blocked=await blocked_because(installation.database, organization_id),
        effects=await effects_seen(installation.database, organization_id),
    )
