"""``bailiwick import``: issues and meter readings from files."""

import shlex
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from bailiwick.cli.options import HOME, AsJson
from bailiwick.cli.output import note, notes, print_json, screen
from bailiwick.cli.session import find_organization, with_installation
from bailiwick.connectors.importing import ImportCancelledError, ImportReport
from bailiwick.connectors.intake import RecordSource
from bailiwick.connectors.sources import open_file
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="FILE|-", help="The file, gzip or plain; - reads standard input.")]
Repository = Annotated[
    str | None, typer.Option("--repository", metavar="OWNER/NAME", help="Where records belong that do not say.")
]
IntoOrg = Annotated[
    str, typer.Option("--org", metavar="NAME", help="The organization; one that does not exist is made.")
]
_SHOWN_REJECTIONS = 5


@app.callback()
def importing() -> None:
    """Bring in issues or meter readings from files. What is there already counts as duplicate.

    Records that cannot be read go to the rejected list, the rest goes on; exit
    code 0 as long as anything could be read.
    """


@app.command()
def github(file: File, *, org: IntoOrg = HOME, repository: Repository = None, as_json: AsJson = False) -> None:
    """Import GitHub issues: REST objects as a JSON array or JSON lines. Open ones become work, closed ones history."""
    _bring(RecordSource("github", repository=repository), file, org, as_json=as_json)


@app.command("csv")
def csv_table(
    file: File,
    *,
    columns: Annotated[
        str, typer.Option("--map", metavar="FIELD=COLUMN,...", help="Which column holds what; the rest is guessed.")
    ] = "",
    date_format: Annotated[
        str | None, typer.Option("--date-format", help="How times are written: iso, epoch or '%d/%m/%Y %H:%M'.")
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", help="The zone of times without one, for example Europe/Berlin.")
    ] = "UTC",
    repository: Repository = None,
    org: IntoOrg = HOME,
    as_json: AsJson = False,
) -> None:
    """Import issues from a table exported by any tracker. Example: --map title=Summary,number="Issue key"."""
    source = RecordSource("csv", repository or _project_of(file), columns, date_format, timezone)
    _bring(source, file, org, as_json=as_json)


@app.command()
def meters(file: File, *, org: IntoOrg = HOME, as_json: AsJson = False) -> None:
    """Import meter readings: CSV or JSON with meter_id, unit, value, read_at, interval_minutes."""
    _bring(RecordSource("meters"), file, org, as_json=as_json)


def _bring(source: RecordSource, file: str, org: str, *, as_json: bool) -> None:
    # Before the database is opened: a wrong path is told at once.
    with sys.stdin.buffer if file == "-" else open_file(Path(file)) as stream:
        size = None if file == "-" else Path(file).stat().st_size
        counted = _Counted(stream, "standard input" if file == "-" else file)
        try:
            report = with_installation(_taking(source, counted, size, org))
        except ImportCancelledError as stopped:
            _tell(stopped.report, file, org, as_json=as_json)
            note("stopped; importing the same file again goes on from here", style="yellow")
            raise typer.Exit(130) from stopped
    _tell(report, file, org, as_json=as_json)
    if not report.accepted and not report.duplicates:
        if not report.rejected_count:
            raise InvalidInputError(f"there are no records in {file}")
        raise InvalidInputError(f"nothing in {file} could be read")


def _taking(
    source: RecordSource, stream: "_Counted", size: int | None, org: str
) -> Callable[[Installation], Awaitable[ImportReport]]:
    async def take(installation: Installation) -> ImportReport:
        is_new = await find_organization(installation, org) is None
        organization = await installation.ensure_organization(org)
        if is_new:
            note(f"made the organization {organization.slug}, which was not there: agents take up what is imported")
        with _bar() as bar:
            shown = bar.add_task("reading", total=size)

            def advance(report: ImportReport) -> None:
                text = f"{report.accepted:,} accepted, {report.duplicates:,} known, {report.rejected_count:,} rejected"
                bar.update(shown, completed=stream.position, description=text)

            # It reads, and that is all that the readers ask of a stream.
            return await installation.intake(organization.id).take(source, cast("BinaryIO", stream), progress=advance)

    return take


class _Counted:
    """A binary stream that knows how far it was read, for the progress bar."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self.name = name
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """Read on, and count."""
        data = self._stream.read(size)
        self.position += len(data)
        return data


def _project_of(file: str) -> str | None:
    """Return what a table's issues belong to when nothing says: the file's name."""
    if file == "-":
        return None
    name = Path(file).name
    for ending in (".gz", ".csv", ".tsv"):
        name = name.removesuffix(ending)
    return name or None


@contextmanager
def _bar() -> Generator[Progress]:
    """Show how far the reading is, on a terminal only."""
    console = notes()
    with Progress(
        SpinnerColumn(), BarColumn(), DownloadColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        yield progress


def _tell(report: ImportReport, file: str, org: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "accepted": report.accepted,
                "duplicates": report.duplicates,
                "rejected": [{"line": line, "reason": reason} for line, reason in report.rejected],
                "rejected_count": report.rejected_count,
                "is_complete": report.is_complete,
            }
        )
    else:
        counts = f"{report.accepted:,} accepted, {report.duplicates:,} were there before"
        screen().print(f"{counts}, {report.rejected_count:,} rejected")
    if report.rejected_count:
        for line, reason in report.rejected[:_SHOWN_REJECTIONS]:
            note(f"{file}:{line}: {reason}", style="yellow")
        rest = report.rejected_count - _SHOWN_REJECTIONS
        more = f"and {rest:,} more; " if rest > 0 else ""
        note(f"{more}rejected records are kept: bailiwick rejected list{_for_org(org)}", style="yellow")


def _for_org(org: str) -> str:
    return "" if org == HOME else f" --org {shlex.quote(org)}"
