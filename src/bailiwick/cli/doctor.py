"""``bailiwick doctor``: everything the platform needs, each with the next step."""

import typer
from rich.table import Table
from rich.text import Text

from bailiwick.cli.checks import Check, check_installation, check_machine, unreachable
from bailiwick.cli.options import AsJson
from bailiwick.cli.output import print_json, screen
from bailiwick.cli.session import read_settings, say_when_watched
from bailiwick.installation import Installation, Settings
from bailiwick.kernel import loops
from bailiwick.kernel.errors import BailiwickError

app = typer.Typer()

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the machine, the data folder, the database and the work in it. Exit code 1 if something fails."""
    settings = read_settings()
    checks = [*check_machine(settings), *loops.run(_database(settings))]
    worst = max((check.state for check in checks), key=("ok", "warn", "fail").index)
    if as_json:
        print_json({"status": worst, "checks": checks})
    else:
        screen().print(_table(checks))
    raise typer.Exit(1 if worst == "fail" else 0)


async def _database(settings: Settings) -> list[Check]:
    try:
        async with Installation.open(settings, progress=say_when_watched) as installation:
            return await check_installation(installation)
    except BailiwickError as error:
        return [unreachable(error)]


def _table(checks: list[Check]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        mark, style = _MARKS[check.state]
        told = Text(check.detail)
        if check.next_step and check.state != "ok":
            told.append(f"\n→ {check.next_step}", style=style)
        table.add_row(Text(mark, style=style), check.name, told)
    return table
