"""``bailiwick backup``: make, list and prove backups."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bailiwick.audit import Actor
from bailiwick.cli.options import AsJson, Cursor, Limit
from bailiwick.cli.output import duration, note, notes, print_json, print_more, print_table
from bailiwick.cli.session import with_installation
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.recovery import BackupRecord
from bailiwick.recovery.drilling import DrillReport
from bailiwick.recovery.folder import BackupFolder, Found
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=False)

ADMINISTRATOR = Actor("user", "administrator", "the administrator of this machine")
Report = Callable[[str, float], object]
Name = Annotated[
    str | None, typer.Argument(metavar="[BACKUP]", help="A backup by its name or folder; else the newest.")
]
OfFiles = Annotated[bool, typer.Option("--base", help="A copy of the embedded server's files instead of a dump.")]


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    *,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where; else BAILIWICK_BACKUP_DIR.")] = None,
    base: OfFiles = False,
    include_key: Annotated[
        bool, typer.Option("--include-key", help="Put the master key in; whoever has the backup then reads everything.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup while everything goes on working; it appears whole or not at all.

    A dump holds one moment of the whole database and restores anywhere. With
    --base the server's files are copied instead: with the archive of its log,
    every moment after it can be gone to (bailiwick restore --to-time).
    """
    if context.invoked_subcommand is not None:
        return
    if base and include_key:
        raise InvalidInputError("--include-key is for dumps; a copy of the server's files stays beside its key")

    async def make(installation: Installation) -> BackupRecord:
        with progress_bar() as report:
            return await installation.backups.make(
                "base" if base else "dump", actor=ADMINISTRATOR, out=out, include_key=include_key, progress=report
            )

    made = with_installation(make)
    if as_json:
        print_json(made)
        return
    note(f"{made.path} ({size(made.bytes)}, {duration(made.seconds)})", style="")
    if include_key:
        note("it holds the master key: keep it like one")
    else:
        note("the master key is not in it; keep a copy of it elsewhere, or sealed values stay sealed after a restore")


@app.command("list")
def list_backups(
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Look into this folder; needs no database.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List backups, failed ones too, newest first; with --dir those in a folder."""
    if directory is not None:
        _print_found(BackupFolder(directory).list()[:limit], as_json=as_json)
        return

    async def read(installation: Installation) -> Page[BackupRecord]:
        return await installation.backups.records.list(limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("made", "kind", "state", ">size", ">took", "drill", "detail"),
        (
            (one.ended_at, one.kind, one.state, size(one.bytes), duration(one.seconds), _drilled(one),
             one.problem or one.drill_problem or one.path)
            for one in page.items
        ),
        empty="no backups yet; make one with: bailiwick backup --out DIR",
    )  # fmt: skip
    print_more(page)


@app.command()
def drill(name: Name = None, base: OfFiles = False, as_json: AsJson = False) -> None:
    """Prove a backup: restore it beside everything, start it, compare it with its manifest, remove it.

    Compares the rows of every table and the ends of the audit chains, and
    verifies the chains. Exit code 1 if something is not as it was.
    """

    async def prove(installation: Installation) -> DrillReport:
        with progress_bar() as report:
            return await installation.backups.drill(
                name, actor=ADMINISTRATOR, kind="base" if base else "dump", progress=report
            )

    report = with_installation(prove)
    if as_json:
        print_json(report.model_dump(mode="json") | {"is_good": report.is_good})
    elif report.is_good:
        note(
            f"{report.backup} is good: {report.tables} tables, {report.rows:,} rows, {report.audit_chains} audit "
            f"chains with {report.audit_entries:,} entries ({duration(report.seconds)})",
            style="",
        )
    else:
        note(f"{report.backup} is not good:", style="bold red")
        for problem in report.problems:
            note(f"  {problem}", style="")
    raise typer.Exit(0 if report.is_good else 1)


@contextmanager
def progress_bar() -> Generator[Report]:
    """Show how far work is, to a person on a terminal; the block gets whom to tell."""
    if not notes().is_terminal:
        yield lambda _what, _done: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes(), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, done: bar.update(task, description=what, completed=done)


def size(count: int | None) -> str:
    """Return a number of bytes in the unit that suits it."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _drilled(record: BackupRecord) -> str:
    if record.drilled_at is None:
        return "-"
    return "failed" if record.drill_problem else "good"


def _print_found(found: list[Found], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"path": str(one.path), "bytes": one.manifest.bytes}
                | one.manifest.model_dump(mode="json", include={"kind", "id", "made_at", "bailiwick", "includes_key"})
                for one in found
            ]
        )
        return
    print_table(
        ("made", "kind", ">size", "version", "name"),
        (
            (one.manifest.made_at, one.manifest.kind, size(one.manifest.bytes), one.manifest.bailiwick, one.path.name)
            for one in found
        ),
        empty="no finished backup lies there",
    )
