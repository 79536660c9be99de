"""Connections to outside systems; the context of rejected records.

Revision ID: 0002
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Create the table of connections."""
    op.get_bind().connection.execute((_SQL / "0009_connections.sql").read_text(encoding="utf-8"))
