"""The server that benchmarks measure on: a fresh embedded one, or the external one that is set."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bailiwick.installation import Settings
from bailiwick.storage.embedded import EmbeddedServer


@dataclass(frozen=True)
class BenchServer:
    """A server whose role may create databases, and a folder on its disk if it is local."""

    url: str
    data_dir: Path | None


@asynccontextmanager
async def bench_server() -> AsyncGenerator[BenchServer]:
    """Start a server of the benchmark's own and remove it afterwards.

    With ``BAILIWICK_DATABASE_URL`` set, that server is used; its role needs
    the right to create databases.
    """
    configured = Settings().database_url
    if configured is not None:
        yield BenchServer(configured.get_secret_value(), None)
        return
    folder = await asyncio.to_thread(_folder_on_disk)
    server = EmbeddedServer(folder)
    try:
        await asyncio.to_thread(server.start)
        yield BenchServer(server.admin_url, folder)
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


def _folder_on_disk() -> Path:
    # Not under /tmp, which may be memory: commits must reach a disk.
    root = Path("/var/tmp")  # noqa: S108 - a private folder is made inside
    return Path(tempfile.mkdtemp(prefix="bailiwick-bench-", dir=root if root.is_dir() else None))
