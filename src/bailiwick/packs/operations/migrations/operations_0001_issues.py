# ruff: noqa: D103 - Alembic's function names; it loads the file by path
"""Issues, their transitions, results, proposed effects, classifiers; meter findings.

Revision ID: operations_0001
"""

from pathlib import Path

from alembic import op

revision = "operations_0001"
down_revision = None
branch_labels = ("operations",)
depends_on = "0001"

_SQL = Path(__file__).parent / "sql"
_FILES = (
    "0001_issues.sql",
    "0002_issue_moves.sql",
    "0003_meters.sql",
    "0004_issue_history.sql",
    "0005_issue_writes.sql",
)


def upgrade() -> None:
    connection = op.get_bind().connection
    for name in _FILES:
        connection.execute((_SQL / name).read_text(encoding="utf-8"))
