"""Draw the pictures of the documentation from a real run of the demo.

    python -m devtools.make_pictures

Runs the demo in a temporary folder, takes its live screen while the agents work, and a trace of the
most urgent issue afterwards.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from bailiwick.cli.demo_screen import DemoScreen
from bailiwick.demo.content import DEMO_REPOSITORY
from bailiwick.demo.folder import with_forge
from bailiwick.demo.forge_server import running_forge
from bailiwick.demo.pulse import look
from bailiwick.demo.running import COMPANY, DemoRun
from bailiwick.demo.story import Story
from bailiwick.installation import Installation, Settings

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
LARGEST_BYTES = 150_000
_WIDTH, _HEIGHT = 118, 34
# So many effects are verified by then that each count of them has something to show.
_TAKEN_AT = 12
_THEME = TerminalTheme(
    (24, 26, 31), (206, 210, 217),
    [(46, 49, 56), (224, 108, 117), (126, 190, 130), (222, 184, 107), (97, 160, 225), (190, 130, 210), (86, 182, 194),
     (206, 210, 217)],
    [(122, 128, 140), (224, 108, 117), (126, 190, 130), (222, 184, 107), (97, 160, 225), (190, 130, 210),
     (86, 182, 194), (255, 255, 255)],
)  # fmt: skip
# Without Rich's web font: a picture in a page may load nothing.
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 16px; font-family: ui-monospace, "DejaVu Sans Mono", monospace; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


async def draw() -> None:
    """Run the demo and write both pictures."""
    with tempfile.TemporaryDirectory(prefix="bailiwick-pictures-") as folder:
        settings = Settings(data_dir=Path(folder), database_url=None)
        with running_forge(DEMO_REPOSITORY, Path(folder)) as forge:
            async with Installation.open(with_forge(settings, forge.place)) as installation:
                await installation.first_start()
                run = DemoRun(installation, await installation.ensure_organization(COMPANY))
                await run.prepare(forge)
                async with installation.run_worker(name="demo"):
                    await installation.warmed()
                    story = await _screen(run)
                key = next(iter(story.highlights())).key
                traced = await asyncio.to_thread(_command, folder, ["trace", key, "--org", run.organization.slug])
                save("trace", _first_tree(Text.from_ansi(traced)), title=f"bailiwick trace {key}")


async def _screen(run: DemoRun) -> Story:
    story = Story()
    shown = DemoScreen(COMPANY, story)
    work = asyncio.create_task(run.work(timeout_seconds=120))
    last: str | None = None
    is_taken = False
    while not work.done():
        await asyncio.wait((work,), timeout=0.2)
        events = await run.installation.event_reader.after(run.organization.id, last, limit=2000)
        last = events[-1].id if events else last
        shown.add(line for event in events if (line := story.tell(event)) is not None)
        pulse = await look(run.installation, run.organization.id)
        shown.look(pulse, run.seconds)
        shown.phase = "agents at work"
        if not is_taken and pulse.effects.verified >= _TAKEN_AT:
            is_taken = True
            save("demo", shown, title="bailiwick demo", height=_HEIGHT)
    await work
    return story


def _command(folder: str, arguments: list[str]) -> str:
    environment = {**os.environ, "BAILIWICK_DATA_DIR": folder, "COLUMNS": str(_WIDTH), "FORCE_COLOR": "1"}
    command = [sys.executable, "-m", "bailiwick.main", *arguments, "--no-steps"]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


def _first_tree(traced: Text) -> Text:
    """Return what followed from the issue itself; periodic jobs that told of it have trees of their own."""
    lines = traced.split("\n")
    roots = [number for number, line in enumerate(lines) if line.plain[:1] in ("●", "▶")]
    return Text("\n").join(lines[: roots[1]] if len(roots) > 1 else lines)


def save(name: str, shown: RenderableType, *, title: str, height: int | None = None) -> None:
    """Write one picture.

    Raises:
        ValueError: it is larger than a page should load.
    """
    console = Console(record=True, width=_WIDTH, height=height, file=StringIO(), force_terminal=True)
    console.print(shown)
    svg = console.export_svg(title=title, theme=_THEME, code_format=_FORMAT, unique_id=name)
    if len(svg.encode()) > LARGEST_BYTES:
        raise ValueError(f"{name}.svg is {len(svg):,} bytes, more than {LARGEST_BYTES:,}")
    (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(draw())
