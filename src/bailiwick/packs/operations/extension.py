"""The operations pack as an extension: what it registers with the platform."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bailiwick import __version__
from bailiwick.agents import NewAgent
from bailiwick.connectors.github.access import GitHubAccess
from bailiwick.connectors.github.deeds import IssueDeeds
from bailiwick.connectors.github.label_names import GIVEN_LABELS
from bailiwick.connectors.issues import ISSUES, IssueRecord
from bailiwick.connectors.meters import METERS
from bailiwick.extensions import Registrar
from bailiwick.kernel.loading import load
from bailiwick.packs.operations.agents import AGENT_CLASSES, WORKING_DEPARTMENTS, WORKROOM
from bailiwick.packs.operations.dispatch import Dispatch
from bailiwick.packs.operations.event_types import EVENT_TYPES, IssueSettled
from bailiwick.packs.operations.hands import HandsOnIssues
from bailiwick.packs.operations.history import IssueHistory
from bailiwick.packs.operations.issue_text import stem
from bailiwick.packs.operations.label_list import GIVEN
from bailiwick.packs.operations.learning import Learn, learn
from bailiwick.packs.operations.lifecycle import IssueLifecycle
from bailiwick.packs.operations.likeness import likenesses_of
from bailiwick.packs.operations.meters import MeterCheck, MeterChecks, check_of
from bailiwick.packs.operations.people import declare_people
from bailiwick.packs.operations.priority import DEFAULT_PRIORITY, priority_of_label
from bailiwick.packs.operations.proposals import ProposalRun
from bailiwick.packs.operations.reopening import NotReopened
from bailiwick.packs.operations.roster import match_label
from bailiwick.packs.operations.sla import deadline
from bailiwick.packs.operations.sweep import SlaSweep, Sweep
from bailiwick.tasks import NewTask, Run, TaskKind
from bailiwick.tasks.schedules import NewSchedule

STAFF: tuple[NewAgent, ...] = (
    NewAgent("project-manager", "Project office", {}, price=0.05, capacity=8),
    NewAgent("project-manager", "Program lead", {}, price=0.10, capacity=4),
    NewAgent("support", "Support desk", {}, price=0.02, capacity=8),
    NewAgent("support", "Support specialist", {}, price=0.06, capacity=4),
    NewAgent("security", "Security desk", {}, price=0.05, capacity=6),
    NewAgent("security", "Security specialist", {}, price=0.12, capacity=3),
    NewAgent("qa", "Quality desk", {}, price=0.04, capacity=6),
    NewAgent("analytics", "Analytics desk", {}, price=0.04, capacity=6),
    NewAgent("analytics", "Analytics specialist", {}, price=0.10, capacity=3),
)
"""Whom every new organization begins with. Prices are per task, in its currency, and
proposals like the capacities: a person sets what they really are."""

HEAVY_MODULES: tuple[str, ...] = (
    "numpy",
    "bailiwick.packs.operations.likeness_index",
    "scipy.sparse",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.base",
    "sklearn.cluster",
    "sklearn.feature_extraction.text",
    WORKROOM,
)
"""What the first work needs, libraries in slices so that none takes long; the departments last."""


class OperationsExtension:
    """Issues, their lifecycle, the departments' agents, service levels and meters."""

    name = "operations"
    version = __version__
    migrations: Path | None = Path(__file__).parent / "migrations"

    def register(self, registrar: Registrar) -> None:
        """Register everything of the pack."""
        for event_type in EVENT_TYPES:
            registrar.event_type(event_type)
        for agent_class in AGENT_CLASSES:
            registrar.agent(agent_class)
        for agent in STAFF:
            registrar.staff(agent)
        declare_people(registrar)
        registrar.forgetting(likenesses_of(registrar.kernel.database).forget)
        registrar.forgetting(_forget_words)
        GIVEN_LABELS.declare(GIVEN)
        registrar.check(NotReopened(registrar.kernel.database).check())
        registrar.task_kind(ProposalRun(registrar.kernel.effects).kind())
        kernel = registrar.kernel
        access = GitHubAccess(kernel.connections, kernel.limits, allow=kernel.outbound)
        registrar.counterparts("people at GitHub", HandsOnIssues(IssueDeeds(access)).watch)
        _register_issues(registrar)
        _register_routine(registrar)
        for module in HEAVY_MODULES:
            registrar.warm(partial(load, module))


def _forget_words(_: str) -> None:
    """Drop the words and labels that were looked up, whosever they are: they are cheap to look up again."""
    stem.cache_clear()
    match_label.cache_clear()


def _register_issues(registrar: Registrar) -> None:
    kernel = registrar.kernel
    dispatch = Dispatch(kernel.directory, WORKING_DEPARTMENTS)
    lifecycle = IssueLifecycle(kernel.database, dispatch, likenesses_of(kernel.database))
    history = IssueHistory(kernel.database)
    for event_type, kind, handler in (
        ("issue.opened", "issue.handle", lifecycle.open),
        ("issue.reopened", "issue.reopen", lifecycle.reopen),
        ("issue.changed", "issue.change", lifecycle.change),
    ):
        registrar.task_kind(TaskKind(kind, handler, IssueRecord, outside=ISSUES))
        registrar.subscription(event_type, kind, _urgent_task(kind))
    for event_type, kind, handler in (
        ("issue.imported", "issue.record", history.record),
        ("issue.closed", "issue.close", history.close),
    ):
        registrar.task_kind(TaskKind(kind, handler, IssueRecord, outside=ISSUES))
        registrar.subscription(event_type, kind, _background_task(kind))
    registrar.task_kind(TaskKind("issue.wake_duplicates", history.wake_duplicates, IssueSettled, outside=ISSUES))
    registrar.subscription("issue.done", "issue.wake_duplicates", _wake_duplicates)


def _register_routine(registrar: Registrar) -> None:
    kernel = registrar.kernel
    sweep = SlaSweep(kernel.database, kernel.directory)
    registrar.task_kind(TaskKind("sla.sweep", sweep.sweep, Sweep, is_metered=False))
    registrar.schedule(NewSchedule("sla.sweep", "sla.sweep", interval_seconds=60, overlap="skip", priority=1))

    async def learn_from_labels(run: Run, _: Learn) -> object:
        return await learn(run, kernel.database)

    registrar.task_kind(TaskKind("operations.learn", learn_from_labels, Learn, is_metered=False, outside=ISSUES))
    meters = MeterChecks(kernel.database)
    registrar.task_kind(TaskKind("meter.check", meters.check, MeterCheck, outside=METERS))
    registrar.subscription("meter.read", "meter.check", check_of)


def _urgent_task(kind: str) -> Callable[[IssueRecord], NewTask]:
    def build(issue: IssueRecord) -> NewTask:
        # What the labels say is enough to put the queue in order; the handler reads the text.
        levels = [level for label in issue.labels if (level := priority_of_label(label)) is not None]
        priority = min(levels, default=DEFAULT_PRIORITY)
        return NewTask(kind, issue, priority=int(priority), deadline_at=deadline(issue.created_at, priority))

    return build


def _wake_duplicates(settled: IssueSettled) -> NewTask:
    return NewTask("issue.wake_duplicates", settled, priority=3)


def _background_task(kind: str) -> Callable[[IssueRecord], NewTask]:
    def build(issue: IssueRecord) -> NewTask:
        return NewTask(kind, issue, priority=3)

    return build


extension = OperationsExtension()
