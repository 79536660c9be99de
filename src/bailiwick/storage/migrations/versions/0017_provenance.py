"""Where text came from.

Revision ID: 0017
"""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Run the SQL of this revision."""
    op.get_bind().connection.execute((_SQL / "0024_provenance.sql").read_text(encoding="utf-8"))
