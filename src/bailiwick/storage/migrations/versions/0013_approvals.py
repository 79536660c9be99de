"""Approvals.

Revision ID: 0013
"""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Run the SQL of this revision."""
    op.get_bind().connection.execute((_SQL / "0020_approvals.sql").read_text(encoding="utf-8"))
