"""Backups and their drills.

Revision ID: 0010
"""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Run the SQL of this revision."""
    op.get_bind().connection.execute((_SQL / "0017_recovery.sql").read_text(encoding="utf-8"))
