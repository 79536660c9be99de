"""Organizations, events, tasks, workers, schedules.

Revision ID: 0001
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("kernel",)
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"
_FILES = (
    "0000_tenancy.sql",
    "0001_organizations.sql",
    "0002_partitions.sql",
    "0003_events.sql",
    "0004_tasks.sql",
    "0005_task_queue.sql",
    "0006_task_moves.sql",
    "0007_workers.sql",
    "0008_agents.sql",
    "0009_hand_over.sql",
    "0009_schedules.sql",
    "0009_watching.sql",
)


def upgrade() -> None:
    """Create the kernel's tables and functions, and the first partitions."""
    connection = op.get_bind().connection
    for name in _FILES:
        connection.execute((_SQL / name).read_text(encoding="utf-8"))
    for parent in ("events", "finished_tasks", "steps"):
        connection.execute("select partitions_ensure(%s, now() - interval '1 month', 4)", (parent,))
