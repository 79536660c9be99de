"""``bailiwick demo``: an invented company, its input, the agents at work."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from bailiwick.api.serving import PortInUseError, Server, claim_port
from bailiwick.cli.demo_screen import DemoScreen
from bailiwick.cli.demo_summary import print_next_steps, print_summary
from bailiwick.cli.output import note, print_json, screen
from bailiwick.cli.session import read_settings, say_when_watched
from bailiwick.cli.stopping import stop_signals
from bailiwick.demo.content import DEMO_REPOSITORY
from bailiwick.demo.folder import demo_settings, prepare_folder, with_forge
from bailiwick.demo.forge_server import running_forge
from bailiwick.demo.pulse import look
from bailiwick.demo.running import COMPANY, DemoRun
from bailiwick.demo.story import Story
from bailiwick.installation import Installation, Settings
from bailiwick.kernel import loops

app = typer.Typer()

_LOOK_SECONDS = 0.4
_FRAMES_PER_SECOND = 8


@app.command()
def demo(
    *,
    headless: Annotated[
        bool, typer.Option("--headless", help="Show nothing live; end when the agents are idle.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document at the end; implies --headless.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the last demo's data instead of anew.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait for the agents at most.")
    ] = 120.0,
) -> None:
    """Let the agents work on the issues and meters of Harbour Lane Bakeries, an invented company, and watch.

    It has a data folder of its own, demo in the data folder, and begins anew
    each time; nothing of yours is touched. What agents do outside goes to a
    forge on this machine that stands in for GitHub and ends with the demo.
    Idle means that no task is at work and none becomes due within ten seconds;
    what waits for a person's approval is idle. Exit code 1 if that was not reached.
    """
    settings = demo_settings(read_settings())
    assert settings.data_dir is not None
    if prepare_folder(settings.data_dir, keep=keep):
        note(f"beginning anew: removed the last demo's data in {settings.data_dir}")
    if headless or as_json:
        raise typer.Exit(loops.run(_headless(settings, timeout, as_json=as_json)))
    raise typer.Exit(loops.run(_watched(settings, timeout)))


async def _headless(settings: Settings, timeout_seconds: float, *, as_json: bool) -> int:
    async with _opened(settings) as (run, _):
        installation = run.installation
        async with installation.run_worker(name="demo"):
            await _warm(installation)
            is_idle = await run.work(timeout_seconds=timeout_seconds)
        if as_json:
            print_json(await run.document(is_idle=is_idle))
        else:
            story = Story()
            await _tell_all(run, story)
            pulse = await look(installation, run.organization.id)
            print_summary(screen(), run, pulse, is_idle=is_idle)
            print_next_steps(screen(), run, story, _folder(settings), effects=pulse.effects)
    return 0 if is_idle else 1


async def _watched(settings: Settings, timeout_seconds: float) -> int:
    try:
        listener = claim_port(settings.host, settings.port)
    except PortInUseError:
        listener = claim_port(settings.host, 0)
    with listener, stop_signals(meanwhile="stopping") as stopping:
        async with _opened(settings) as (run, key):
            installation = run.installation
            async with installation.run_worker(name="demo"), Server(installation, listener=listener) as server:
                await _warm(installation)
                story = Story()
                is_idle = await _watch(run, story, server.url, stopping, timeout_seconds)
                if is_idle is None:
                    return 130
                console = screen()
                pulse = await look(installation, run.organization.id)
                print_summary(console, run, pulse, is_idle=is_idle)
                print_next_steps(console, run, story, _folder(settings), effects=pulse.effects, url=server.url, key=key)
                note(f"\nserving on {server.url} until Ctrl-C; the data stays until the next demo", style="green")
                await stopping.wait()
    return 0 if is_idle else 1


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[tuple[DemoRun, str | None]]:
    """Start the forge that stands in for GitHub, then the installation that is connected to it."""
    with running_forge(DEMO_REPOSITORY, _folder(settings)) as forge:
        async with Installation.open(with_forge(settings, forge.place), progress=say_when_watched) as installation:
            key = await installation.first_start()
            run = DemoRun(installation, await installation.ensure_organization(COMPANY))
            await run.prepare(forge)
            yield run, key


async def _warm(installation: Installation) -> None:
    # Else the first agents' seconds would be those of their libraries, which any worker pays once.
    say_when_watched("loading what the agents work with")
    await installation.warmed()


async def _watch(run: DemoRun, story: Story, url: str, stopping: asyncio.Event, timeout_seconds: float) -> bool | None:
    """Show the work until it is done; None if the person stopped it."""
    shown = DemoScreen(COMPANY, story)
    shown.served_at(url)
    console = screen()
    work = asyncio.create_task(run.work(timeout_seconds=timeout_seconds))
    stop = asyncio.create_task(stopping.wait())
    try:
        live = Live(shown, console=console, refresh_per_second=_FRAMES_PER_SECOND, vertical_overflow="crop")
        with live if console.is_terminal else nullcontext():
            last: str | None = None
            while not work.done() and not stop.done():
                await asyncio.wait((work, stop), timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                last = await _follow(run, story, shown, last)
                shown.phase = "agents at work"
            shown.phase = "idle" if work.done() else "stopped"
    finally:
        stop.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
    return await work if work.done() and not work.cancelled() else None


async def _follow(run: DemoRun, story: Story, shown: DemoScreen, last: str | None) -> str | None:
    organization_id = run.organization.id
    events = await run.installation.event_reader.after(organization_id, last, limit=2000)
    shown.add(line for event in events if (line := story.tell(event)) is not None)
    shown.look(await look(run.installation, organization_id), run.seconds)
    return events[-1].id if events else last


async def _tell_all(run: DemoRun, story: Story) -> None:
    last: str | None = None
    while events := await run.installation.event_reader.after(run.organization.id, last, limit=2000):
        for event in events:
            story.tell(event)
        last = events[-1].id


def _folder(settings: Settings) -> Path:
    assert settings.data_dir is not None
    return settings.data_dir
