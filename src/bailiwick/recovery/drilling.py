"""The drill: a backup is proven by starting it, comparing what it holds, and removing it again."""

import shutil
import tempfile
import time
from pathlib import Path

import psycopg
from pydantic import BaseModel

from bailiwick.audit import AuditLog
from bailiwick.audit.keys import AuditKeys
from bailiwick.audit.live import verify_chain
from bailiwick.audit.roots import AuditRoots
from bailiwick.kernel import loops
from bailiwick.kernel.errors import BailiwickError
from bailiwick.recovery.contents import differences, look, prepare
from bailiwick.recovery.folder import BackupFolder
from bailiwick.recovery.manifest import Contents, Progress, read_manifest
from bailiwick.recovery.programs import Halt
from bailiwick.recovery.restoring import Wanted, checked, load
from bailiwick.recovery.rewinding import rewind
from bailiwick.storage import Database
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.vault import Vault
from bailiwick.vault.key_file import NoSource


class DrillReport(BaseModel):
    """What a drill found; ``problems`` is empty where the backup is good."""

    backup: str
    kind: str
    problems: list[str]
    tables: int
    rows: int
    audit_chains: int
    audit_entries: int
    seconds: float

    @property
    def is_good(self) -> bool:
        """Tell whether nothing was found."""
        return not self.problems


def drill(backup: Path, *, migrations: tuple[Path, ...] = (), progress: Progress, halt: Halt) -> DrillReport:
    """Restore a backup into a folder of its own, start it, compare and verify it, and remove all of that.

    Needs room for the database beside the temporary files (TMPDIR). A backup
    that cannot be restored is a problem in the report, not an error.

    Raises:
        DiskFullError, DatabaseUnavailableError: the drill itself could not be made here.
    """
    began = time.monotonic()
    problems: list[str] = []
    found, entries, kind = Contents(revisions=[], tables={}, chains=[], master_keys=[]), 0, "unknown"
    scratch = Path(tempfile.mkdtemp(prefix="bailiwick-drill-"))
    try:
        manifest = read_manifest(backup)
        kind = manifest.kind
        wanted = Wanted(migrations=migrations, without_key=True, progress=progress, halt=halt)
        if manifest.kind == "base":
            rewind(BackupFolder(backup.parent), scratch, None, wanted, base=backup)
        else:
            checked(backup, "dump", wanted)
        with EmbeddedServer(scratch) as server:
            if manifest.kind == "dump":
                load(backup, server.admin_url, wanted)
            found, chain_problems, entries = _examine(server, progress)
            if manifest.kind == "dump":
                problems += differences(manifest.contents, found)
            problems += chain_problems
    except BailiwickError as error:
        if error.retryable:
            raise
        problems.append(str(error))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return DrillReport(
        backup=backup.name,
        kind=kind,
        problems=problems,
        tables=len(found.tables),
        rows=sum(table.rows for table in found.tables.values()),
        audit_chains=len(found.chains),
        audit_entries=entries,
        seconds=round(time.monotonic() - began, 2),
    )


def _examine(server: EmbeddedServer, progress: Progress) -> tuple[Contents, list[str], int]:
    with psycopg.connect(server.admin_url, autocommit=True) as guard:
        prepare(guard)
        found = look(guard, progress)
    progress("verifying the audit log", 0.9)
    problems, entries = loops.run(_verify_chains(server.admin_url)) if found.chains else ([], 0)
    return found, problems, entries


async def _verify_chains(admin_url: str) -> tuple[list[str], int]:
    # As who sees everything: the copy has no tenants yet, only an examiner.
    database = Database(admin_url, max_connections=2)
    await database.open()
    try:
        roots = AuditRoots(database, AuditKeys(database, Vault(database, NoSource())))
        log = AuditLog(database)
        problems: list[str] = []
        entries = 0
        for head in await roots.heads():
            verdict = await verify_chain(log, roots, head, organization=head["organization_id"])
            entries += verdict.entries
            if verdict.error is not None:
                problems.append(f"audit chain of organization {head['organization_id']}: {verdict.error}")
        return problems, entries
    finally:
        await database.close()
