"""One kind of task done by one agent: its figures, and their comparison with the period before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from bailiwick.kernel.intervals import wilson_interval
from bailiwick.orchestrator.comparisons import fisher_exact, holm, mann_whitney, percentile

# Below this a change is small even where it is certain (Vargha and Delaney 2000: A = 0.56).
_SMALL_EFFECT = 0.06

_NEXT_STEPS = {
    "execution": "open the slowest of its tasks and see which step takes the time (bailiwick tasks show)",
    "wait": "see whether workers were full or a limit was closed (bailiwick limits); another worker helps the former",
    "failures": "read why they were given up (bailiwick tasks list --state discarded); redrive them once it is mended",
}


@dataclass
class Sample:
    """Tasks that ended in one period. Seconds from creation to first start, and from there to the end."""

    tasks: int = 0
    failures: int = 0
    cost: float = 0.0
    deadlines_met: int = 0
    with_deadline: int = 0
    waits: Sequence[float] = ()
    executions: Sequence[float] = ()


@dataclass
class Group:
    """What one agent (or none) did of one kind, in a period and in the one before."""

    kind: str
    agent_id: str | None
    agent: str | None
    period_seconds: float
    now: Sample = field(default_factory=Sample)
    before: Sample = field(default_factory=Sample)

    def is_comparable(self, min_tasks: int) -> bool:
        """Tell whether both periods have enough tasks."""
        return min(self.now.tasks, self.before.tasks) >= min_tasks


class Change(BaseModel):
    """A difference that is hardly chance: medians in seconds, or shares of failures.

    ``probability`` is how likely a task now takes longer than one before;
    ``p_value`` is adjusted for the number of comparisons.
    """

    kind: str
    agent: str | None
    measure: str
    before: float
    now: float
    probability: float | None
    p_value: float
    period_seconds: float
    is_worse: bool
    next_step: str


@dataclass
class _Test:
    group: Group
    measure: str
    before: float
    now: float
    probability: float | None
    p_value: float

    @property
    def is_large_enough(self) -> bool:
        return self.probability is None or abs(self.probability - 0.5) >= _SMALL_EFFECT

    @property
    def is_worse(self) -> bool:
        return self.now > self.before if self.probability is None else self.probability > 0.5

    @property
    def size(self) -> float:
        """How large it is, from 0 to 1, so that durations and shares can be ordered together."""
        return abs(self.now - self.before) if self.probability is None else 2 * abs(self.probability - 0.5)


def compare(groups: Sequence[Group], *, alpha: float) -> list[Change]:
    """Return the changes that are certain enough and large enough, the largest first.

    Durations are compared by Mann and Whitney's test, failures by Fisher's;
    Holm's correction runs over all of them together.
    """
    tests = [test for group in groups for test in _tests(group)]
    adjusted = holm([test.p_value for test in tests])
    found = [
        (test, p_value)
        for test, p_value in zip(tests, adjusted, strict=True)
        if p_value < alpha and test.is_large_enough
    ]
    found.sort(key=lambda pair: (-pair[0].size, pair[1]))
    return [_change(test, p_value) for test, p_value in found]


def describe(group: Group) -> dict[str, object]:
    """Return the figures of a group's present period, with those of the one before where there are some."""
    now, before = group.now, group.before
    low, high = wilson_interval(now.failures, now.tasks)
    return {
        "kind": group.kind,
        "agent_id": group.agent_id,
        "agent": group.agent,
        "period_seconds": group.period_seconds,
        "tasks": now.tasks,
        "tasks_before": before.tasks,
        "failure_share": now.failures / now.tasks if now.tasks else None,
        "failure_low": round(low, 6) if now.tasks else None,
        "failure_high": round(high, 6) if now.tasks else None,
        "wait_p50_seconds": _at(now.waits, 0.5),
        "wait_p95_seconds": _at(now.waits, 0.95),
        "execution_p50_seconds": _at(now.executions, 0.5),
        "execution_p95_seconds": _at(now.executions, 0.95),
        "cost": now.cost,
        "deadlines_met_share": now.deadlines_met / now.with_deadline if now.with_deadline else None,
        "with_deadline": now.with_deadline,
    }


def _tests(group: Group) -> Iterator[_Test]:
    now, before = group.now, group.before
    p_value = fisher_exact(now.failures, now.tasks, before.failures, before.tasks)
    yield _Test(group, "failures", before.failures / before.tasks, now.failures / now.tasks, None, p_value)
    for measure, earlier, later in (
        ("wait", before.waits, now.waits),
        ("execution", before.executions, now.executions),
    ):
        # Where many failed few durations are left; they say too little for the approximation.
        if min(len(earlier), len(later)) * 2 >= min(before.tasks, now.tasks):
            probability, p_value = mann_whitney(earlier, later)
            yield _Test(group, measure, percentile(earlier, 0.5), percentile(later, 0.5), probability, p_value)


def _change(test: _Test, p_value: float) -> Change:
    return Change(
        kind=test.group.kind,
        agent=test.group.agent,
        measure=test.measure,
        before=round(test.before, 6),
        now=round(test.now, 6),
        probability=None if test.probability is None else round(test.probability, 4),
        p_value=p_value,
        period_seconds=test.group.period_seconds,
        is_worse=test.is_worse,
        next_step=_NEXT_STEPS[test.measure] if test.is_worse else "nothing to do",
    )


def _at(values: Sequence[float], share: float) -> float | None:
    return percentile(values, share) if values else None
