"""Issues, rows and desks that the tests of the departments begin from."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.desk import IssueRow
from bailiwick.packs.operations.departments.memory_desk import MemoryDesk

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

# Invented values, put together here so that no scanner takes this file for a leak.
AWS = "AKIA" + "Q3EGRZ7XKPL2MNVB"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def an_issue(title: str = "Something", body: str = "", **fields: Any) -> IssueRecord:
    """An issue of the test repository, number 100, opened an hour ago."""
    given: dict[str, Any] = {
        "source": "demo",
        "repository": "acme/shop",
        "number": 100,
        "author": "dana",
        "created_at": NOW - timedelta(hours=1),
    }
    return IssueRecord(title=title, body=body, **(given | fields))


def a_row(number: int, *, hours_ago: float = 24.0, took_hours: float | None = None, **fields: Any) -> IssueRow:
    """A row opened ``hours_ago``; closed and done when ``took_hours`` is given."""
    opened = NOW - timedelta(hours=hours_ago)
    given: dict[str, Any] = {
        "title": f"Issue {number}",
        "state": "open" if took_hours is None else "closed",
        "status": "todo" if took_hours is None else "done",
        "closed_at": None if took_hours is None else opened + timedelta(hours=took_hours),
        "created_at": opened,
        "priority": "P2",
    }
    return IssueRow(key=f"acme/shop#{number}", number=number, **(given | fields))


def a_desk(**fields: Any) -> MemoryDesk:
    """A desk at ``NOW`` that holds what is given."""
    return MemoryDesk(NOW, **fields)
