"""Effects and their lives.

Revision ID: 0011
"""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Run the SQL of this revision."""
    op.get_bind().connection.execute((_SQL / "0018_effects.sql").read_text(encoding="utf-8"))
