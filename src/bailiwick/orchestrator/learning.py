"""Learning: refit what can be refitted, and tell how the estimates of the agents changed."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, LiteralString

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.agents.choice import PRIOR_STRENGTH, pooled_rate, shrunken_rate
from bailiwick.agents.directory import UNPROVEN
from bailiwick.events import NewEvent
from bailiwick.extensions import Kernel
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import BailiwickError, InvalidInputError, NotFoundError
from bailiwick.kernel.intervals import wilson_interval
from bailiwick.outcomes.lasting import LASTS_JSON
from bailiwick.tasks import Run

KIND = "system.learn"
EVENT = "learning.updated"
SUFFIX = ".learn"

_REPORTED = 50
# A step may return 1 MiB; a pair of agent and kind takes some 150 bytes of it.
_REMEMBERED = 5_000
_SHOWN_BYTES = 20_000

# From task kind to agent id to (successes, failures).
Outcomes = Mapping[str, Mapping[str, tuple[int, int]]]

# As the choice of agents counts: what was promised is a success once a later look found it kept.
_TOTALS: LiteralString = f"""
select o.kind, o.agent_id, a.name,
       greatest(0, coalesce(sum(o.tasks) filter (where o.state = 'completed'), 0)
                   - coalesce(e.unproven, 0))::bigint as successes,
       (coalesce(sum(o.tasks) filter (where o.state = 'discarded'), 0) + coalesce(e.refuted, 0))::bigint as failures
from task_totals o join agents a on a.id = o.agent_id and a.organization_id = o.organization_id
left join {UNPROVEN} as e on e.agent_id = a.id and o.kind = any(a.capabilities)
where o.organization_id = %(org)s and o.state in ('completed', 'discarded')
group by o.kind, o.agent_id, a.name, e.unproven, e.refuted
having sum(o.tasks) > 0
order by sum(o.tasks) desc limit %(limit)s"""


class LearnPayload(BaseModel):
    """``min_outcomes`` is how many tasks must have ended since the last time before anything is said."""

    model_config = ConfigDict(extra="forbid")

    min_outcomes: int = Field(default=10, ge=1)


class EstimateChange(BaseModel):
    """How the estimated success of an agent at a kind of task changed.

    ``low`` and ``high`` bound the new estimate (95 %); the change is ``clear``
    where the old estimate lies outside. A first estimate has none before it.
    """

    agent_id: str
    agent: str
    kind: str
    before: float | None
    after: float
    low: float
    high: float
    trials: int
    new_outcomes: int
    is_clear: bool


class LearningUpdated(BaseModel):
    """The payload of ``learning.updated``; ``task_id`` is the task whose result has all of it."""

    task_id: str
    new_outcomes: int
    learners: list[str]
    changes: list[EstimateChange]


class LearningJob:
    """The task kind ``system.learn``, of one organization.

    Kinds that end in ``.learn`` are learners: tasks of them are spawned with
    an empty payload and awaited.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def handle(self, run: Run, payload: LearnPayload) -> dict[str, object]:
        """Let the learners learn, then compare the agents' estimates with those of the last time."""
        learners = await self._let_learn(run)
        organization_id = run.task.organization_id
        before: dict[str, Any] = await run.step("last time", self._last_time, organization_id)
        now = await run.step("outcomes", self._outcomes, organization_id)
        new_outcomes = _new(before["outcomes"], now["outcomes"])
        result: dict[str, object] = {
            "learners": learners,
            "new_outcomes": new_outcomes,
            "needed": payload.min_outcomes,
            "since": before["at"],
        }
        if new_outcomes < payload.min_outcomes:
            return result | {"status": "too few new outcomes to say anything about the agents", "changes": []}
        changes = changes_between(before["outcomes"], now["outcomes"], now["names"])
        shown = changes[:_REPORTED]
        event = LearningUpdated(
            task_id=run.task.id,
            new_outcomes=new_outcomes,
            learners=[str(learner["kind"]) for learner in learners if learner["state"] == "completed"],
            changes=shown,
        )
        await run.publish(NewEvent(EVENT, event, run.task.organization_id))
        return result | {
            "status": _status(changes),
            "changes": [change.model_dump() for change in shown],
            "outcomes": now["outcomes"],
        }

    async def _let_learn(self, run: Run) -> list[dict[str, object]]:
        kinds = await run.step("learners", self._learners)
        spawned: dict[str, str] = {}
        refused: list[dict[str, object]] = []
        for kind in kinds:
            try:
                self._kernel.registry.kinds.encode_payload(kind, {})
            except InvalidInputError as error:
                refused.append({"kind": kind, "state": "not started", "result": None, "reason": str(error)})
                continue
            spawned[kind] = await run.spawn(kind, {})
        outcomes = await run.gather(list(spawned.values()))
        done: list[dict[str, object]] = [
            {"kind": kind, "state": outcome.state, "result": _shown(outcome.result), "reason": outcome.reason}
            for kind, outcome in zip(spawned, outcomes, strict=True)
        ]
        return done + refused

    def _learners(self) -> list[str]:
        return [kind for kind in self._kernel.registry.kinds.names() if kind.endswith(SUFFIX) and kind != KIND]

    async def _last_time(self, organization_id: str) -> dict[str, Any]:
        """Return the outcomes that the last report was about, and when it was."""
        page = await self._kernel.event_reader.list(organization_id, type_name=EVENT, limit=1)
        if not page.items:
            return {"at": None, "outcomes": {}}
        event = page.items[0]
        try:
            task = await self._kernel.tasks.get(organization_id, event.payload["task_id"])
        except NotFoundError:
            # Retention took it: what is known now counts as new once.
            return {"at": None, "outcomes": {}}
        return {"at": event.occurred_at, "outcomes": (task.result or {}).get("outcomes", {})}

    async def _outcomes(self, organization_id: str) -> dict[str, Any]:
        rows = await self._kernel.database.fetch_all(
            _TOTALS,
            {"org": organization_id, "limit": _REMEMBERED, "lasts": LASTS_JSON},
            organization_id=organization_id,
        )
        outcomes: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        for row in rows:
            outcomes[row["kind"]][row["agent_id"]] = (row["successes"], row["failures"])
        return {"outcomes": outcomes, "names": {row["agent_id"]: row["name"] for row in rows}}


def changes_between(before: Outcomes, now: Outcomes, names: Mapping[str, str]) -> list[EstimateChange]:
    """Return what moved, the largest change first.

    Estimates are the ones that the choice of agents uses: success rates shrunken
    towards that of all agents of the kind. The interval is Wilson's, with the
    prior counted as the outcomes it stands for.
    """
    changes: list[EstimateChange] = []
    for kind, agents in now.items():
        earlier = before.get(kind, {})
        pooled, pooled_before = _pooled(agents), _pooled(earlier)
        for agent_id, (successes, failures) in agents.items():
            had = earlier.get(agent_id, (0, 0))
            old = shrunken_rate(had[0], had[1], pooled_before)[0] if sum(had) else None
            rate, _ = shrunken_rate(successes, failures, pooled)
            if rate == old:
                continue
            mass = successes + failures + PRIOR_STRENGTH
            low, high = wilson_interval(rate * mass, mass)
            changes.append(
                EstimateChange(
                    agent_id=agent_id, agent=names.get(agent_id, agent_id), kind=kind,
                    before=None if old is None else round(old, 4), after=round(rate, 4), low=round(low, 4),
                    high=round(high, 4), trials=successes + failures,
                    new_outcomes=max(0, successes + failures - had[0] - had[1]),
                    is_clear=old is not None and not low <= old <= high,
                )
            )  # fmt: skip
    return sorted(changes, key=lambda change: (-_size(change), change.kind, change.agent_id))


def _size(change: EstimateChange) -> float:
    """Return how far an estimate moved; a first one moved from nowhere, which is further than all others."""
    return 1.0 if change.before is None else abs(change.after - change.before)


def _status(changes: list[EstimateChange]) -> str:
    first = sum(1 for change in changes if change.before is None)
    clear = sum(1 for change in changes if change.is_clear)
    return f"{first} first estimates, {len(changes) - first} changed, {clear} of them clearly"


def _pooled(agents: Mapping[str, tuple[int, int]]) -> float:
    return pooled_rate([(successes, failures) for successes, failures in agents.values()])


def _new(before: Outcomes, now: Outcomes) -> int:
    new = 0
    for kind, agents in now.items():
        for agent_id, outcomes in agents.items():
            had = before.get(kind, {}).get(agent_id, (0, 0))
            # A redriven task takes its old outcome back; that is no outcome less.
            new += max(0, sum(outcomes) - sum(had))
    return new


def _shown(result: object) -> object:
    """Return a learner's result, unless it is too long to be repeated here."""
    try:
        encode(result, limit=_SHOWN_BYTES)
    except BailiwickError:
        return "see the learner's own task"
    return result
