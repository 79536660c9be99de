"""Budgets.

Revision ID: 0016
"""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"
_FILES = ("0023_budgets.sql", "0023_budget_reservations.sql")


def upgrade() -> None:
    """Run the SQL of this revision."""
    for name in _FILES:
        op.get_bind().connection.execute((_SQL / name).read_text(encoding="utf-8"))
