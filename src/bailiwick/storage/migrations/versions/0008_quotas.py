"""Rate limits, plans, quotas, metering.

Revision ID: 0008
"""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"
_FILES = ("0015_plans.sql", "0015_usage.sql", "0015_quotas.sql", "0015_metering.sql", "0015_rates.sql")


def upgrade() -> None:
    """Run the SQL of this revision."""
    for name in _FILES:
        op.get_bind().connection.execute((_SQL / name).read_text(encoding="utf-8"))
