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
_FILES = ("0020_approvals.sql", "0020_approval_voters.sql", "0020_approval_rules.sql", "0020_approval_links.sql")


def upgrade() -> None:
    """Run the SQL of this revision."""
    for name in _FILES:
        op.get_bind().connection.execute((_SQL / name).read_text(encoding="utf-8"))
