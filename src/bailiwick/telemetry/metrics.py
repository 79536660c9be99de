"""What ``/metrics`` shows, in Prometheus' words and units."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

TASKS_CLAIMED = Counter("bailiwick_tasks_claimed_total", "Tasks this process started or resumed", registry=REGISTRY)
ATTEMPTS = Counter(
    "bailiwick_task_attempts_total", "Executions by kind and how they ended", ["kind", "outcome"], registry=REGISTRY
)
TASK_SECONDS = Histogram(
    "bailiwick_task_execution_seconds",
    "Time from claim to end or wait",
    ["kind"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
    registry=REGISTRY,
)
TASKS_EXECUTING = Gauge("bailiwick_tasks_executing", "Tasks this process executes now", registry=REGISTRY)
LEASES_LOST = Counter("bailiwick_leases_lost_total", "Times this process was declared dead", registry=REGISTRY)
SCHEDULE_LAG_SECONDS = Histogram(
    "bailiwick_schedule_lag_seconds",
    "Time from when a schedule was due to when its task existed",
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 30, 300),
    registry=REGISTRY,
)
EVENTS_RECORDED = Counter("bailiwick_events_recorded_total", "Events recorded, by type", ["type"], registry=REGISTRY)


@cache
def attempts_of(kind: str, outcome: str) -> Counter:
    """Return the counter of one kind and outcome; finding it anew costs more than counting."""
    return ATTEMPTS.labels(kind, outcome)


@cache
def seconds_of(kind: str) -> Histogram:
    """Return the execution times of one kind."""
    return TASK_SECONDS.labels(kind)
