"""What the orchestrator registers: its jobs, when they run, and the events they give."""

from pathlib import Path

from pydantic import BaseModel

from bailiwick import __version__
from bailiwick.events import EventType
from bailiwick.extensions import Registrar
from bailiwick.orchestrator import (
    auditing,
    backup,
    health,
    learning,
    performance,
    quotas,
    removal,
    retention,
    sessions,
    sync,
)
from bailiwick.tasks import RetryPolicy, TaskKind
from bailiwick.tasks.model import Handler
from bailiwick.tasks.schedules import NewSchedule

_RETRY = RetryPolicy(max_attempts=3, first_delay_seconds=2)
# The other jobs work on all organizations, whichever they are asked for.
_OF_ONE_ORGANIZATION = frozenset((sync.KIND, learning.KIND, performance.KIND))


class OrchestratorExtension:
    """The jobs that keep an installation healthy, fed, learning, measured and small.

    Each is a schedule that people can pause, resume, run now and change; an
    overlapping firing is skipped, of missed ones the latest is made up for.
    """

    name = "orchestrator"
    version = __version__
    migrations: Path | None = None

    def __init__(
        self,
        *,
        health_seconds: float = 60.0,
        retention_months: int = 12,
        data_folder: Path | None = None,
        backs_up: bool = False,
    ) -> None:
        """Take what is set for the installation; ``data_folder`` is None with an external database.

        ``backs_up``: whether there is a place for backups, so that they are made.
        """
        self._backs_up = backs_up
        self._health_seconds = health_seconds
        self._retention_months = retention_months
        self._data_folder = data_folder

    def register(self, registrar: Registrar) -> None:
        """Register the events the jobs give, the jobs, and when they run."""
        self._register_events(registrar)
        self._register_kinds(registrar)
        registrar.kernel.sessions.on_replay.append(sessions.ReplayTeller(registrar.kernel).tell)
        schedules = registrar.schedule
        each = self._health_seconds
        schedules(_every(each, health.KIND, jitter_seconds=each / 30, priority=1), scope="installation")
        months = {"months": self._retention_months}
        for kind, cron in ((retention.KIND, "30 3 * * *"), (removal.KIND, "30 4 * * *")):
            schedules(NewSchedule(kind, kind, months, cron=cron, jitter_seconds=1800, priority=3), scope="installation")
        schedules(
            NewSchedule(sessions.KIND, sessions.KIND, cron="45 3 * * *", jitter_seconds=600, priority=3),
            scope="installation",
        )
        schedules(_every(3600, auditing.KIND, jitter_seconds=60, priority=1), scope="installation")
        if self._backs_up:
            for kind, cron in ((backup.KIND, "15 2 * * *"), (backup.DRILL_KIND, "15 4 * * 0")):
                schedules(NewSchedule(kind, kind, cron=cron, jitter_seconds=600, priority=3), scope="installation")
        schedules(_every(300, sync.KIND, jitter_seconds=30))
        # Half an hour is what one of the requirements says, a quarter the other: change the schedule to have that.
        schedules(_every(1800, learning.KIND, jitter_seconds=180, priority=3))
        schedules(_every(3600, performance.KIND, jitter_seconds=360, priority=3))

    def _register_events(self, registrar: Registrar) -> None:
        registrar.event_type(auditing.TYPE)
        registrar.event_type(sessions.TYPE)
        for event_type in quotas.TYPES:
            registrar.event_type(event_type)
        registrar.event_type(EventType(health.EVENT, 1, health.HealthChecked, is_internal=True))
        registrar.event_type(EventType(learning.EVENT, 1, learning.LearningUpdated, is_internal=True))
        registrar.event_type(EventType(performance.EVENT, 1, performance.PerformanceAnalysed, is_internal=True))

    def _register_kinds(self, registrar: Registrar) -> None:
        kernel = registrar.kernel
        check = health.HealthCheck(kernel, self._data_folder)
        jobs: tuple[tuple[str, Handler, type[BaseModel], float], ...] = (
            (health.KIND, check.handle, health.HealthPayload, 60),
            (auditing.KIND, auditing.AuditJob(kernel).handle, auditing.AuditPayload, 600),
            (sessions.KIND, sessions.SessionsJob(kernel).handle, sessions.SessionsPayload, 600),
            (sync.KIND, sync.SyncJob(kernel).handle, sync.SyncPayload, 1800),
            (learning.KIND, learning.LearningJob(kernel).handle, learning.LearnPayload, 300),
            (performance.KIND, performance.PerformanceJob(kernel).handle, performance.PerformancePayload, 300),
            (backup.KIND, backup.BackupJob(kernel).handle, backup.BackupPayload, 6 * 3600),
            (backup.DRILL_KIND, backup.DrillJob(kernel).handle, backup.BackupPayload, 6 * 3600),
            (retention.KIND, retention.RetentionJob(kernel).handle, retention.RetainPayload, 3600),
            (removal.KIND, removal.RemovalJob(kernel).handle, removal.RemovePayload, 6 * 3600),
        )
        for kind, handler, payload, timeout_seconds in jobs:
            needs = None if kind in _OF_ONE_ORGANIZATION else "installation"
            registrar.task_kind(
                TaskKind(kind, handler, payload, _RETRY, timeout_seconds, needs=needs, is_metered=False)
            )


def _every(seconds: float, kind: str, *, jitter_seconds: float, priority: int = 2) -> NewSchedule:
    """Return the schedule of a job: named like its kind, at most one at a time, made up for once."""
    return NewSchedule(
        kind, kind, interval_seconds=seconds, jitter_seconds=jitter_seconds, priority=priority,
        overlap="skip", catch_up="latest",
    )  # fmt: skip
