"""``bailiwick up``: the whole platform in one process."""

import os
import socket
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import psutil
import typer
from psycopg.conninfo import conninfo_to_dict
from rich.table import Table
from rich.text import Text

from bailiwick import __version__
from bailiwick.api.encryption import tls_context
from bailiwick.api.serving import Server, claim_port
from bailiwick.cli.output import note, screen
from bailiwick.cli.session import read_settings, say_when_watched
from bailiwick.cli.stopping import stop_signals
from bailiwick.cli.supervising import WorkerProcesses
from bailiwick.installation import Installation, Settings
from bailiwick.kernel import loops
from bailiwick.storage.embedded_folder import default_data_dir
from bailiwick.telemetry.logs import configure_logs

app = typer.Typer()

# Of /proc/self/stat, counted behind the program's name: see proc(5), starttime.
_START_FIELD = 19


@app.command()
def up(
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="The port; default 8700, 0 takes a free one.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=64, help="How many worker processes to run beside this one.")
    ] = 0,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Do tasks in this process too.")] = True,
) -> None:
    """Run the platform until Ctrl-C: the database if it is the embedded one, API, scheduler and a worker.

    The first Ctrl-C (or SIGTERM) lets tasks under way finish, the second ends at once.
    """
    settings = read_settings(host=host, port=port)
    configure_logs(settings.log_level)
    # Before anything that takes time: a port in use or a certificate without its key is told at once.
    if settings.tls_certificate is not None or settings.tls_key is not None:
        tls_context(settings.tls_certificate, settings.tls_key)
    listener = claim_port(settings.host, settings.port)
    with listener:
        loops.run(_run(settings, listener, workers, is_worker=worker))


async def _run(settings: Settings, listener: socket.socket, workers: int, *, is_worker: bool) -> None:
    others = WorkerProcesses(workers, patience_seconds=settings.drain_seconds)
    meanwhile = f"stopping: finishing what is under way, at most {settings.drain_seconds:g} s; again to end at once"
    with stop_signals(meanwhile=meanwhile, at_once=others.kill) as stopping:
        async with AsyncExitStack() as running:
            installation = await running.enter_async_context(Installation.open(settings, progress=say_when_watched))
            key = await installation.first_start()
            if is_worker:
                await running.enter_async_context(installation.run_worker())
            await running.enter_async_context(others)
            server = await running.enter_async_context(Server(installation, listener=listener))
            _announce(installation, server.url, workers, is_worker=is_worker)
            if key is not None:
                _show_key(key)
                await _show_owner_link(installation, server.url)
            screen().print(f"ready in {_seconds_since_start():.1f} s", style="bold green")
            await stopping.wait()
    note("stopped")


def _announce(installation: Installation, url: str, workers: int, *, is_worker: bool) -> None:
    settings = installation.settings
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("API", f"{url}/api/v1")
    table.add_row("health", f"{url}/healthz  {url}/readyz")
    table.add_row("database", _database_text(settings))
    here = f"this process, {settings.worker_concurrency} tasks at once" if is_worker else "none in this process"
    table.add_row("workers", f"{here}, {workers} beside it" if workers else here)
    for extension in installation.extensions:
        if extension.state == "failed":
            table.add_row("skipped", Text(f"extension {extension.name}: {extension.error}", style="yellow"))
    console = screen()
    console.print(f"[bold]Bailiwick[/] {__version__}")
    console.print(table)


def _show_key(key: str) -> None:
    console = screen()
    console.print("\nThe administrator's key, shown only now. Requests carry it as 'Authorization: Bearer KEY':\n")
    console.print(f"    {key}", style="bold green", soft_wrap=True)
    console.print("\nIf it is lost: bailiwick keys create NAME --admin\n", style="dim")


async def _show_owner_link(installation: Installation, url: str) -> None:
    if await installation.accounts.has_admin():
        return
    token = await installation.owner_link.issue()
    console = screen()
    console.print("The link by which the first person gets in, as administrator; it works once, for a day:\n")
    address = (installation.settings.public_url or url).rstrip("/")
    console.print(f"    {address}/setup?token={token}", style="bold green", soft_wrap=True, markup=False)
    console.print("\nIf it is lost: bailiwick users owner-link\n", style="dim")


def _database_text(settings: Settings) -> str:
    if settings.database_url is None:
        return f"embedded PostgreSQL in {settings.data_dir or default_data_dir()}"
    parts = conninfo_to_dict(settings.database_url.get_secret_value())
    return f"PostgreSQL at {parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _seconds_since_start() -> float:
    """Return how long this process has run, interpreter and imports included."""
    if not sys.platform.startswith("linux"):
        return time.time() - psutil.Process().create_time()
    # psutil counts from the boot time in whole seconds here, which is too coarse.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    began = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began
