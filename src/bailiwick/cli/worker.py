"""``bailiwick worker``: one more process that does tasks."""

import asyncio
import sys
from typing import Annotated

import typer

from bailiwick.cli.output import note
from bailiwick.cli.session import read_settings, say_when_watched
from bailiwick.cli.stopping import stop_signals
from bailiwick.installation import Installation, Settings
from bailiwick.kernel import loops
from bailiwick.telemetry.logs import configure_logs

app = typer.Typer()


@app.command()
def worker(
    name: Annotated[str, typer.Option("--name", help="What listings call it; default is host and process.")] = "",
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, max=5000, help="Tasks executed at once.")
    ] = None,
    end_with_input: Annotated[bool, typer.Option("--end-with-input", hidden=True)] = False,
) -> None:
    """Run one more worker on the installation's database, on this machine or another.

    On another machine set BAILIWICK_DATABASE_URL there. Workers are disposable:
    what a lost one had in hand goes on elsewhere after its lease.
    """
    settings = read_settings(worker_concurrency=concurrency)
    configure_logs(settings.log_level)
    loops.run(_work(settings, name, end_with_input=end_with_input))


async def _work(settings: Settings, name: str, *, end_with_input: bool) -> None:
    async with Installation.open(settings, progress=say_when_watched) as installation:
        meanwhile = f"finishing what is under way, at most {settings.drain_seconds:g} s; again to end at once"
        with stop_signals(meanwhile=meanwhile) as stopping:
            if end_with_input:
                await _listen_for_the_end(stopping)
            async with installation.run_worker(name=name) as running:
                note(f"worker {running.id} is ready, {settings.worker_concurrency} tasks at once")
                await stopping.wait()


async def _listen_for_the_end(stopping: asyncio.Event) -> None:
    """Set the event when standard input closes: whoever started this process is gone or wants it to end."""
    loop = asyncio.get_running_loop()

    class Input(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            stopping.set()

    await loop.connect_read_pipe(Input, sys.stdin.buffer)
