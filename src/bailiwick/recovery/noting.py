"""Notes in a restored installation's audit log that it was restored, so that a jump in time is no riddle."""

from datetime import datetime

import psycopg

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.kernel import loops
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.recovery.manifest import Manifest
from bailiwick.storage import Database

_APPEND = "audit_append(uuid[], uuid[], text[])"


def note_restored(admin_url: str, manifest: Manifest, actor: Actor, *, moment: datetime | None = None) -> None:
    """Append the act to the installation's chain; a schema from before there was one is left as it is."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        row = admin.execute("select to_regprocedure(%s) is not null", (_APPEND,)).fetchone()
    if row is None or not row[0]:
        return
    told = {"backup": manifest.id, "kind": manifest.kind, "made_at": manifest.made_at, "to_time": moment}
    loops.run(
        _record(admin_url, Act(INSTALLATION, "installation.restored", actor, f"backup:{manifest.id}", after=told))
    )


async def _record(admin_url: str, act: Act) -> None:
    database = Database(admin_url, max_connections=1)
    await database.open()
    try:
        await AuditLog(database).record(act)
    finally:
        await database.close()
