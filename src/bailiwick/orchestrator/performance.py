"""Performance analysis: how long tasks wait and take, how often they fail, and whether that changed."""

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.events import NewEvent
from bailiwick.extensions import Kernel
from bailiwick.orchestrator.performance_groups import Change, Group, Sample, compare, describe
from bailiwick.tasks import Run

KIND = "system.analyse_performance"
EVENT = "performance.analysed"

_REPORTED = 10
_SHOWN_GROUPS = 300
# The newest tasks of an organization that one analysis looks at.
_LOOKED_AT = 50_000

# One row for each kind and agent; of each measure an array for the period and one for the period before.
_GROUPS = """
select f.kind, f.agent_id, a.name as agent,
       f.is_now, count(*) as n,
       count(*) filter (where f.state = 'discarded') as failures,
       coalesce(sum(f.cost), 0)::float8 as cost,
       count(*) filter (where f.finished_at <= f.deadline_at) as met,
       count(*) filter (where f.deadline_at is not null) as with_deadline,
       coalesce(array_agg(extract(epoch from f.started_at - f.inserted_at)::float8)
                filter (where f.started_at is not null), '{}') as waits,
       coalesce(array_agg(extract(epoch from f.finished_at - f.started_at)::float8)
                filter (where f.started_at is not null and f.state = 'completed'), '{}') as executions
from (
    select r.*, r.finished_at > %(until)s::timestamptz - make_interval(secs => %(period)s) as is_now
    from (
        select kind, agent_id, state, cost, inserted_at, started_at, finished_at, deadline_at
        from finished_tasks where organization_id = %(org)s order by id desc limit %(looked_at)s) as r
    where r.state <> 'cancelled' and r.finished_at <= %(until)s::timestamptz
      and r.finished_at > %(until)s::timestamptz - make_interval(secs => 2 * %(period)s)) as f
left join agents a on a.id = f.agent_id and a.organization_id = %(org)s
group by f.kind, f.agent_id, a.name, f.is_now"""


class PerformancePayload(BaseModel):
    """How the analysis compares.

    The first of ``periods_seconds`` in which and before which a group ended
    ``min_tasks`` tasks is the one it is compared over. Which it is depends on
    numbers only, never on how they look. ``alpha`` bounds the chance that one
    analysis reports any change where there is none.
    """

    model_config = ConfigDict(extra="forbid")

    periods_seconds: tuple[float, ...] = Field(default=(3600.0, 21_600.0, 86_400.0, 604_800.0), min_length=1)
    min_tasks: int = Field(default=20, ge=5)
    alpha: float = Field(default=0.05, gt=0, lt=1)


class PerformanceAnalysed(BaseModel):
    """The payload of ``performance.analysed``; the result of task ``task_id`` has every group."""

    task_id: str
    verdict: str
    tasks: int
    compared_groups: int
    regressions: list[Change]
    improvements: list[Change]


class PerformanceJob:
    """The task kind ``system.analyse_performance``, of one organization."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def handle(self, run: Run, payload: PerformancePayload) -> dict[str, object]:
        """Measure every kind and agent, compare each with its own past, report what got worse and better."""
        until = await run.step("until", self._now)
        analysis: dict[str, object] = await run.step(
            "analyse", self._analyse, run.task.organization_id, until, payload.model_dump()
        )
        if analysis["tasks"]:
            event = PerformanceAnalysed.model_validate(analysis | {"task_id": run.task.id})
            await run.publish(NewEvent(EVENT, event, run.task.organization_id))
        return analysis | {"until": until}

    async def _now(self) -> str:
        row = await self._kernel.database.fetch_one("select now() as now")
        return "" if row is None else row["now"].isoformat()

    async def _analyse(self, organization_id: str, until: str, settings: dict[str, Any]) -> dict[str, Any]:
        payload = PerformancePayload.model_validate(settings)
        chosen: dict[tuple[str, str | None], Group] = {}
        for period in payload.periods_seconds:
            for key, group in (await self._groups(organization_id, until, period)).items():
                known = chosen.setdefault(key, group)
                # Where no period is long enough the shortest stands, so that recent figures are shown.
                if not known.is_comparable(payload.min_tasks) and group.is_comparable(payload.min_tasks):
                    chosen[key] = group
        # Away from the event loop: ranking fifty thousand durations takes a moment.
        return await asyncio.to_thread(_report, list(chosen.values()), payload)

    async def _groups(self, organization_id: str, until: str, period: float) -> dict[tuple[str, str | None], Group]:
        rows = await self._kernel.database.fetch_all(
            _GROUPS,
            {"org": organization_id, "until": until, "period": period, "looked_at": _LOOKED_AT},
            organization_id=organization_id,
        )
        groups: dict[tuple[str, str | None], Group] = {}
        for row in rows:
            key = (row["kind"], row["agent_id"])
            group = groups.setdefault(key, Group(row["kind"], row["agent_id"], row["agent"], period))
            sample = Sample(
                row["n"], row["failures"], row["cost"], row["met"], row["with_deadline"],
                row["waits"], row["executions"],
            )  # fmt: skip
            if row["is_now"]:
                group.now = sample
            else:
                group.before = sample
        return groups


def _report(found: list[Group], payload: PerformancePayload) -> dict[str, Any]:
    groups = sorted(found, key=lambda group: -group.now.tasks)
    comparable = [group for group in groups if group.is_comparable(payload.min_tasks)]
    changes = compare(comparable, alpha=payload.alpha)
    worse = [change for change in changes if change.is_worse]
    better = [change for change in changes if not change.is_worse]
    return {
        "verdict": _verdict(groups, comparable, worse, better, payload),
        "tasks": sum(group.now.tasks for group in groups),
        "compared_groups": len(comparable),
        "looked_at_newest": _LOOKED_AT,
        "regressions": [change.model_dump() for change in worse[:_REPORTED]],
        "improvements": [change.model_dump() for change in better[:_REPORTED]],
        "groups": [describe(group) for group in groups[:_SHOWN_GROUPS]],
    }


def _verdict(
    groups: list[Group], comparable: list[Group], worse: list[Change], better: list[Change], payload: PerformancePayload
) -> str:
    if not any(group.now.tasks for group in groups):
        return "no task ended in this time"
    if not comparable:
        return f"too few tasks to compare: {payload.min_tasks} of one kind and agent are needed in a period and before"
    if not worse and not better:
        return "no evidence of change"
    return f"{len(worse)} got worse, {len(better)} got better"
