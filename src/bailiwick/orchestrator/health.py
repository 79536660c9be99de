"""The health check: what was measured against its thresholds, and what to do about it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.events import NewEvent
from bailiwick.extensions import Kernel
from bailiwick.kernel.labels import untrusted
from bailiwick.orchestrator.measures import Measured, measure
from bailiwick.tasks import Run

KIND = "system.health"
EVENT = "health.checked"
KEY = "installation"

Status = Literal["ok", "warn", "fail"]
_REPORTED = 300


class Thresholds(BaseModel):
    """From where on something is told. Part of the schedule's payload, so each can be changed there.

    Processor, memory, disk, response and errors are those of the requirements;
    the others are ours. ``min_ended`` is how many tasks must have ended before
    a share of errors means anything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_percent: float = Field(default=80.0, gt=0)
    memory_percent: float = Field(default=85.0, gt=0)
    disk_percent: float = Field(default=90.0, gt=0)
    disk_fail_percent: float = Field(default=97.0, gt=0)
    response_seconds: float = Field(default=5.0, gt=0)
    error_percent: float = Field(default=5.0, gt=0)
    error_fail_percent: float = Field(default=50.0, gt=0)
    min_ended: int = Field(default=20, ge=1)
    worker_load_percent: float = Field(default=95.0, gt=0)
    oldest_ready_seconds: float = Field(default=60.0, gt=0)
    oldest_ready_fail_seconds: float = Field(default=3600.0, gt=0)
    schedule_lag_seconds: float = Field(default=5.0, gt=0)


class HealthPayload(BaseModel):
    """What a health check is asked with."""

    model_config = ConfigDict(extra="forbid")

    thresholds: Thresholds = Thresholds()


class Finding(BaseModel):
    """Something beyond its threshold, and what to do next."""

    model_config = ConfigDict(frozen=True)

    what: str
    level: Literal["warn", "fail"]
    measured: float
    threshold: float
    unit: str
    next_step: str


class HealthChecked(BaseModel):
    """The payload of ``health.checked``: the installation's status changed."""

    status: Status
    previous: Status | None
    findings: list[Finding]


class HealthCheck:
    """The task kind ``system.health``."""

    def __init__(self, kernel: Kernel, data_folder: Path | None) -> None:
        self._kernel = kernel
        self._data_folder = data_folder

    async def handle(self, run: Run, payload: HealthPayload) -> dict[str, object]:
        """Measure, judge, and record an event where the status is another than the last time."""
        measured = Measured.model_validate(await run.step("measure", self._measure))
        # Examples of what was refused and of what failed are told in words that came with them.
        run.label(untrusted("records"))
        findings = list(judge(measured, payload.thresholds))
        status = status_of(findings)
        previous = await run.step("previous", self._previous_status, run.task.organization_id)
        if status != previous:
            await run.publish(NewEvent(EVENT, HealthChecked(status=status, previous=previous, findings=findings), KEY))
        return {
            "status": status,
            "previous": previous,
            "findings": [finding.model_dump() for finding in findings],
            "measured": measured.model_dump(mode="json"),
        }

    async def _measure(self) -> Measured:
        return await measure(self._kernel.database, self._data_folder, self._kernel.registry.failed)

    async def _previous_status(self, organization_id: str) -> Status | None:
        page = await self._kernel.event_reader.list(organization_id, type_name=EVENT, key=KEY, limit=1)
        return HealthChecked.model_validate(page.items[0].payload).status if page.items else None


def status_of(findings: list[Finding]) -> Status:
    """Return the worst level among findings."""
    levels = {finding.level for finding in findings}
    if "fail" in levels:
        return "fail"
    return "warn" if levels else "ok"


def judge(measured: Measured, limits: Thresholds) -> Iterator[Finding]:
    """Yield what is beyond its threshold, the installation's own state first, then the machine's."""
    yield from _judge_engine(measured, limits)
    yield from _judge_work(measured, limits)
    yield from _judge_recovery(measured)
    yield from _judge_machine(measured, limits)


def _judge_engine(measured: Measured, limits: Thresholds) -> Iterator[Finding]:
    yield from _above(
        "database round trip", measured.database_round_trip_seconds, (limits.response_seconds, None), "s",
        "look for long transactions in pg_stat_activity, and at the load of the database's disk",
    )  # fmt: skip
    yield from _counted(
        "workers lost in the last hour", measured.workers_lapsed + measured.workers_died_last_hour, "workers",
        "read the last log lines of those workers; their tasks went on elsewhere",
    )  # fmt: skip
    yield from _above(
        "worker load", measured.worker_load_percent, (limits.worker_load_percent, None), "%",
        "start another worker (bailiwick worker), or raise BAILIWICK_WORKER_CONCURRENCY",
    )  # fmt: skip
    yield from _above(
        f"lag of {measured.schedules_late} schedules ({measured.schedule_example})", measured.schedule_lag_seconds,
        (limits.schedule_lag_seconds, None), "s", "check that a worker with a scheduler runs and is not overloaded",
    )  # fmt: skip
    for failed in measured.extensions_failed:
        yield from _counted(
            f"extension failed: {failed[:_REPORTED]}", 1, "extensions",
            "mend or remove the extension and start again; its task kinds are not served meanwhile",
        )  # fmt: skip


def _judge_work(measured: Measured, limits: Thresholds) -> Iterator[Finding]:
    yield from _above(
        f"oldest task that could run ({measured.oldest_ready_kind})", measured.oldest_ready_seconds,
        (limits.oldest_ready_seconds, limits.oldest_ready_fail_seconds), "s",
        "if workers are busy, add one; if they are idle, none of them knows this kind: check the extensions",
    )  # fmt: skip
    yield from _counted(
        "waits that nothing can end", measured.stuck_waits, "tasks",
        f"look at it with bailiwick tasks show {measured.stuck_example}; cancel it or fork it before the wait",
    )  # fmt: skip
    for breaker in measured.breakers_open:
        yield from _counted(
            f"circuit open: {breaker[:_REPORTED]}", 1, "breakers",
            "it probes again by itself after its cool-down; mend the cause, or resume it (bailiwick limits)",
        )  # fmt: skip
    yield from _judge_failures(measured, limits)
    example = (measured.rejected_example or "")[:_REPORTED]
    yield from _counted(
        f"records rejected in the last hour, for example: {example}", measured.rejected_last_hour, "records",
        "mend and redrive them (bailiwick rejected)",
    )  # fmt: skip


def _judge_recovery(measured: Measured) -> Iterator[Finding]:
    if measured.archive_failing is not None:
        yield from _counted(
            f"write-ahead log is not archived: {measured.archive_failing[:_REPORTED]}", 1, "archives",
            "free space in the folder of backups (BAILIWICK_BACKUP_DIR) or let the server write there (server.log says "
            "why); until then the log fills the data folder's disk, and recent moments cannot be gone back to",
        )  # fmt: skip
    for problem in measured.backup_problems:
        yield from _counted(
            f"backup failed: {problem[:_REPORTED]}", 1, "backups",
            "mend the cause and try again: bailiwick backup, then bailiwick backup drill",
        )  # fmt: skip


def _judge_failures(measured: Measured, limits: Thresholds) -> Iterator[Finding]:
    next_step = "read the reasons (bailiwick tasks list --state discarded), mend the cause, then redrive them"
    given_up = measured.dead_letters_last_hour
    if measured.ended_last_hour < limits.min_ended:
        # Too few for a share to mean anything.
        example = (measured.dead_letter_example or "")[:_REPORTED]
        what = f"tasks given up in the last hour, for example: {example}"
        yield from _counted(what, sum(given_up.values()), "tasks", next_step)
        return
    kinds = ", ".join(f"{kind} {count}" for kind, count in given_up.items())
    share = 100.0 * measured.discarded_last_hour / measured.ended_last_hour
    what = f"share of tasks given up in the last hour ({kinds})"
    yield from _above(what, share, (limits.error_percent, limits.error_fail_percent), "%", next_step)


def _judge_machine(measured: Measured, limits: Thresholds) -> Iterator[Finding]:
    yield from _above(
        "processor of the machine that checked", measured.cpu_percent, (limits.cpu_percent, None), "%",
        "see what else runs there, or move workers to another machine",
    )  # fmt: skip
    yield from _above(
        "memory of the machine that checked", measured.memory_percent, (limits.memory_percent, None), "%",
        "lower BAILIWICK_WORKER_CONCURRENCY, or give the machine more memory",
    )  # fmt: skip
    yield from _above(
        "disk of the data folder", measured.disk_percent, (limits.disk_percent, limits.disk_fail_percent), "%",
        "free some space, or keep fewer months (BAILIWICK_RETENTION_MONTHS)",
    )  # fmt: skip


def _above(
    what: str, value: float | None, limits: tuple[float, float | None], unit: str, next_step: str
) -> Iterator[Finding]:
    """Yield a finding where a value is above the first limit: a failure where it is above the second, too."""
    warn, fail = limits
    if value is None or value <= warn:
        return
    is_failure = fail is not None and value > fail
    yield Finding(
        what=what,
        level="fail" if is_failure else "warn",
        measured=round(value, 3),
        threshold=fail if is_failure and fail is not None else warn,
        unit=unit,
        next_step=next_step,
    )


def _counted(what: str, count: int, unit: str, next_step: str) -> Iterator[Finding]:
    """Yield a warning about something of which there should be none."""
    if count:
        yield Finding(what=what, level="warn", measured=count, threshold=0, unit=unit, next_step=next_step)
