"""Storage: the PostgreSQL server, connections, tenant-scoped access, migrations."""

from bailiwick.storage.database import Database, Row
from bailiwick.storage.migrating import migrate

__all__ = ["Database", "Row", "migrate"]
