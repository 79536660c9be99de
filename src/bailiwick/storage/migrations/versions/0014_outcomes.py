"""Expectations and verdicts.

Revision ID: 0014
"""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Run the SQL of this revision."""
    op.get_bind().connection.execute((_SQL / "0021_outcomes.sql").read_text(encoding="utf-8"))
