"""What the doctor looks at: the machine, the data folder, the database, the work in it."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from bailiwick.api.serving import claim_port
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import BailiwickError
from bailiwick.orchestrator.health import Thresholds, judge
from bailiwick.orchestrator.measures import measure
from bailiwick.storage.binaries import find_postgres_binaries
from bailiwick.storage.embedded_folder import default_data_dir
from bailiwick.vault import MasterKeyError

State = Literal["ok", "warn", "fail"]

_GIB = 1024**3
_LOW_DISK_BYTES = 2 * _GIB
_FULL_DISK_BYTES = _GIB // 4
# Leases and schedules go by the database's clock, people and logs by this machine's.
_CLOCK_WARN_SECONDS = 2.0
_CLOCK_FAIL_SECONDS = 60.0
_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; ``next_step`` says what to do unless it is ok."""

    name: str
    state: State
    detail: str
    next_step: str = ""


def check_machine(settings: Settings) -> Iterator[Check]:
    """Yield what can be told before the database is opened."""
    version = platform.python_version()
    is_recent = sys.version_info[:2] >= _OLDEST_PYTHON
    yield Check("python", "ok" if is_recent else "fail", version, "" if is_recent else "use Python 3.11 or newer")
    if settings.database_url is None:
        yield _binaries()
        folder = settings.data_dir or default_data_dir()
        yield _folder(folder)
        yield _disk(folder)
    yield _port(settings)


async def check_installation(installation: Installation) -> list[Check]:
    """Return what the open installation tells: database, schema, clock, extensions, workers, work."""
    checks = [await _server(installation), await _schema(installation), await _clock(installation)]
    checks += [await _master_key(installation), *_extensions(installation)]
    settings = installation.settings
    folder = (settings.data_dir or default_data_dir()) if settings.database_url is None else None
    failed = [f"{one.name}: {one.error}" for one in installation.extensions if one.state == "failed"]
    measured = await measure(installation.database, folder, failed)
    alive = measured.workers_alive
    checks.append(
        Check("workers", "ok", f"{alive} alive, {measured.worker_slots} tasks at once")
        if alive
        else Check("workers", "warn", "none is running", "start one: bailiwick up, or bailiwick worker")
    )
    open_tasks = ", ".join(f"{n:,} {state}" for state, n in sorted(measured.tasks_by_state.items())) or "nothing to do"
    checks.append(Check("queue", "ok", open_tasks))
    # The extensions have been told above, and a stopped platform is no fault of its schedules.
    findings = [
        finding
        for finding in judge(measured, Thresholds())
        if not finding.what.startswith("extension") and (alive or not finding.what.startswith("lag of"))
    ]
    checks += [
        Check(finding.what, finding.level, f"{finding.measured:g} {finding.unit}", finding.next_step)
        for finding in findings
    ]
    return checks


def unreachable(error: BailiwickError) -> Check:
    """Return the check of a database that could not be opened."""
    return Check("database", "fail", str(error), "mend this first; everything else needs the database")


def _binaries() -> Check:
    try:
        binaries = find_postgres_binaries()
    except BailiwickError as error:
        return Check("postgresql programs", "fail", str(error), "install again, or set BAILIWICK_DATABASE_URL")
    return Check("postgresql programs", "ok", str(binaries.program("postgres")))


def _folder(folder: Path) -> Check:
    if not folder.exists():
        parent = next(above for above in folder.absolute().parents if above.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Check("data folder", "ok", f"{folder} (will be made at the first start)")
        return Check("data folder", "fail", f"{parent} may not be written", "set BAILIWICK_DATA_DIR to another folder")
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "data folder", "fail", f"{folder} may not be used by this user",
            "correct its owner and mode, or set BAILIWICK_DATA_DIR",
        )  # fmt: skip
    return Check("data folder", "ok", str(folder))


def _disk(folder: Path) -> Check:
    place = folder if folder.exists() else next(above for above in folder.absolute().parents if above.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / _GIB:.1f} GiB free"
    if free >= _LOW_DISK_BYTES:
        return Check("disk", "ok", detail)
    state: State = "warn" if free >= _FULL_DISK_BYTES else "fail"
    return Check("disk", state, detail, "free some space; a full disk stops work, but loses nothing acknowledged")


def _port(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    try:
        claim_port(settings.host, settings.port).close()
    except BailiwickError as error:
        if _is_bailiwick(where):
            return Check("port", "ok", f"a running `bailiwick up` answers on {where}")
        return Check("port", "warn", str(error), "choose another with BAILIWICK_PORT, or stop what listens there")
    return Check("port", "ok", f"{where} is free")


def _is_bailiwick(where: str) -> bool:
    """Tell whether what listens there answers as ours does, with or without TLS."""
    for scheme in ("http", "https"):
        try:
            # The certificate is not what is asked about.
            answer = httpx.get(f"{scheme}://{where}/healthz", timeout=2, verify=False, trust_env=False)  # noqa: S501
            return answer.json() == {"status": "alive"}
        except (httpx.HTTPError, ValueError):
            continue
    return False


async def _server(installation: Installation) -> Check:
    row = await installation.database.fetch_one(
        "select current_setting('server_version') as version, current_setting('fsync') as fsync"
    )
    version, fsync = (row["version"], row["fsync"]) if row else ("?", "?")
    if fsync != "on":
        return Check("database", "warn", f"PostgreSQL {version}, fsync is off", "set fsync = on, or a crash loses work")
    return Check("database", "ok", f"PostgreSQL {version}")


async def _schema(installation: Installation) -> Check:
    rows = await installation.database.fetch_all("select version_num from alembic_version order by version_num")
    return Check("schema", "ok", f"up to date ({', '.join(row['version_num'] for row in rows)})")


async def _clock(installation: Installation) -> Check:
    before = time.time()
    row = await installation.database.fetch_one("select extract(epoch from clock_timestamp())::float8 as now")
    after = time.time()
    skew = (row["now"] if row else after) - (before + after) / 2
    detail = f"{skew * 1000:+.0f} ms between this machine and the database"
    if abs(skew) < _CLOCK_WARN_SECONDS:
        return Check("clock", "ok", detail)
    state: State = "warn" if abs(skew) < _CLOCK_FAIL_SECONDS else "fail"
    return Check("clock", state, detail, "let both machines take their time from NTP")


async def _master_key(installation: Installation) -> Check:
    current = await installation.vault.keys.current_master()
    if current is None:
        return Check("master key", "ok", "nothing is sealed yet")
    try:
        await installation.vault.master(current)
    except MasterKeyError as error:
        return Check("master key", "fail", str(error), "put the master key back; without it nothing sealed opens")
    return Check("master key", "ok", current)


def _extensions(installation: Installation) -> Iterator[Check]:
    for extension in installation.extensions:
        name = f"extension {extension.name}"
        if extension.state == "loaded":
            yield Check(name, "ok", extension.version)
        else:
            yield Check(name, "fail", str(extension.error), "mend or remove it; its tasks are not served meanwhile")
