"""Write the generated regions of the documentation anew from the code and the stored benchmark results.

    python -m devtools.make_reference           write
    python -m devtools.make_reference --check   write nothing, name the pages that are out of date

Starts a server of its own in a temporary folder, because what extensions
register and what ``/metrics`` answers is only known from a running installation.
"""

import asyncio
import functools
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from bailiwick.api import create_app
from bailiwick.installation import Installation, Settings
from devtools.reference import catalogue, doors, figures, markdown

ROOT = Path(__file__).parents[1]
Regions = Mapping[str, Callable[[], str]]


def pages() -> list[Path]:
    """Return every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


async def regions(data_dir: Path) -> Regions:
    """Return what is written into each region, by its name.

    ``data_dir`` is an empty folder, or that of a running installation.
    """
    async with Installation.open(Settings(data_dir=data_dir, database_url=None)) as installation:
        app = create_app(installation)
        exposition = await _get(app, "/metrics", await installation.keys.issue("reference"))
        registry = installation.registry
    written = {
        "settings": catalogue.settings(),
        "event-types": catalogue.event_types(registry),
        "event-payloads": catalogue.event_payloads(registry),
        "task-payloads": catalogue.task_payloads(registry),
        "task-kinds": catalogue.task_kinds(registry),
        "agents": catalogue.agents(registry),
        "schedules": catalogue.schedules(registry),
        "errors": catalogue.errors(),
        "metrics": catalogue.metrics(exposition),
        "commands": doors.commands(),
        "operations": doors.operations(app),
        "figures-in-short": figures.in_short(),
        **{f"figures-{name}": figures.of(name) for name in ("engine", "agents", "fairness", "start")},
    }
    return {name: functools.partial(str, text) for name, text in written.items()}


def out_of_date(known: Regions) -> dict[Path, str]:
    """Return the pages whose generated regions are not what they should be, with the right text."""
    found: dict[Path, str] = {}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        wanted = markdown.fill(text, known)
        if wanted != text:
            found[page] = wanted
    return found


async def _get(app: object, path: str, key: str) -> str:
    transport = httpx.ASGITransport(app)  # pyright: ignore[reportArgumentType] - an ASGI application
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get(path, headers={"authorization": f"Bearer {key}"})
        return answer.raise_for_status().text


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    is_check = arguments == ["--check"]
    with tempfile.TemporaryDirectory(prefix="bailiwick-docs-") as folder:
        changed = out_of_date(asyncio.run(regions(Path(folder))))
    for page, text in changed.items():
        sys.stdout.write(f"{'out of date' if is_check else 'written'}: {page.relative_to(ROOT)}\n")
        if not is_check:
            page.write_text(text, encoding="utf-8")
    return 1 if is_check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
