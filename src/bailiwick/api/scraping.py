"""Metrics in Prometheus' text format: what this process counted, and what the database says now."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from bailiwick.api.access import Admin, Platform
from bailiwick.api.rest.pages import problems
from bailiwick.storage import Row
from bailiwick.tasks import TaskState
from bailiwick.telemetry.metrics import REGISTRY

router = APIRouter(tags=["health"])

# Of the whole installation; the live tasks are few, so counting them is cheap.
_LOOK = """
select (select coalesce(jsonb_object_agg(state, n), '{}') from (
            select state, n from installation_tasks()) as x) as tasks,
       installation_oldest_available() as oldest_available_seconds,
       (select count(*) from workers where state in ('active', 'draining') and lease_until > now()) as workers,
       (select count(*) from installation_open_breakers()) as open_breakers,
       (select lag_seconds from installation_late_schedules()) as schedule_lateness_seconds"""


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "Metrics in Prometheus' text format.",
            "content": {"text/plain": {"example": 'bailiwick_tasks{state="executing"} 12.0\n'}},
        },
        **problems(403),
    },
)
async def get_metrics(platform: Platform, _: Admin) -> PlainTextResponse:
    """Return counters of this process and gauges of the whole installation; needs an administrator's key."""
    row = await platform.database.fetch_one(_LOOK)
    assert row is not None
    text = generate_latest(REGISTRY) + generate_latest(_gauges(row))
    return PlainTextResponse(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _gauges(row: Row) -> CollectorRegistry:
    registry = CollectorRegistry()
    tasks = Gauge("bailiwick_tasks", "Live tasks of all organizations, by state", ["state"], registry=registry)
    for state in TaskState:
        if not state.is_final:
            tasks.labels(state.value).set(row["tasks"].get(state.value, 0))
    for name, what, value in (
        ("oldest_available_task_seconds", "Age of the oldest task that waits for a worker", "oldest_available_seconds"),
        ("workers_alive", "Workers whose lease holds", "workers"),
        ("open_breakers", "Circuit breakers that are open", "open_breakers"),
        ("schedule_lateness_seconds", "How late the latest due schedule is", "schedule_lateness_seconds"),
    ):
        Gauge(f"bailiwick_{name}", what, registry=registry).set(row[value] or 0)
    return registry
