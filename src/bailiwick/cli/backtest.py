"""``bailiwick backtest``: how the agents' decisions would have fared on issues that people decided."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, notes, print_json, screen
from bailiwick.cli.session import with_organization
from bailiwick.cli.values import moment
from bailiwick.connectors.facts import ISSUE_CLOSED, ISSUE_IMPORTED
from bailiwick.connectors.intake import RecordSource
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError
from bailiwick.packs.operations.backtest import BacktestReport, TargetReport
from bailiwick.packs.operations.backtest import backtest as score
from bailiwick.storage.pages import MAX_PAGE

app = typer.Typer()

_SHOWN_THRESHOLDS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@app.command()
def backtest(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Issues with history; without one, what was imported.")
    ] = None,
    *,
    is_csv: Annotated[bool, typer.Option("--csv", help="The file is a table, not GitHub's JSON.")] = False,
    columns: Annotated[str, typer.Option("--map", metavar="FIELD=COLUMN,...", help="Columns of the table.")] = "",
    date_format: Annotated[str | None, typer.Option("--date-format", help="How the table writes times.")] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", metavar="OWNER/NAME", help="Where records belong that do not say.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", help="Only this: agent, operation, priority or an attribute.")
    ] = None,
    train: Annotated[
        float, typer.Option("--train", min=0.05, max=0.95, help="The share that may be learned from.")
    ] = 0.7,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Decide the later issues of a history from the earlier ones, silently, and compare with what people decided."""
    if file is None:
        records = with_organization(org, _imported)
    else:
        source = RecordSource("csv" if is_csv else "github", repository, columns, date_format)
        records = _read(source, file)
    standard = ("agent", "operation", "priority")
    attributes = tuple(name for name in target or () if name not in standard)
    with notes().status(f"deciding {len(records):,} issues"):
        extra = {"outcome_attributes": attributes} if attributes else {}
        report = score(records, train_fraction=train, **extra)
    if as_json:
        print_json(_only(report.to_document(), target))
        return
    _show(report, target)


def _read(source: RecordSource, file: str) -> list[IssueRecord]:
    found: list[IssueRecord] = []
    refused = 0
    for record in source.issues(file):
        if isinstance(record, RejectedRecord):
            refused += 1
        else:
            found.append(record)
    if refused:
        note(f"{refused:,} records could not be read and are left out", style="yellow")
    return found


async def _imported(installation: Installation, organization: Organization) -> list[IssueRecord]:
    """Return the issues that came in closed or were closed since, each as it was told last."""
    latest: dict[str, IssueRecord] = {}
    for type_name in (ISSUE_IMPORTED, ISSUE_CLOSED):
        cursor: str | None = None
        while True:
            page = await installation.event_reader.list(
                organization.id, type_name=type_name, limit=MAX_PAGE, cursor=cursor
            )
            for event in page.items:
                issue = IssueRecord.model_validate(event.payload)
                latest[issue.key] = issue
            cursor = page.next_cursor
            if cursor is None:
                break
    if not latest:
        raise CannotDetermineError("closed issues to compare with; import some, or name a file:")
    return list(latest.values())


def _only(document: dict[str, Any], wanted: Sequence[str] | None) -> dict[str, Any]:
    if not wanted:
        return document
    targets = [entry for entry in document["targets"] if entry["target"] in wanted]
    rest = [entry for entry in document["undetermined"] if entry["target"] in wanted]
    if not targets and not rest:
        raise InvalidInputError(f"no such target: {', '.join(wanted)}")
    return {**document, "targets": targets, "undetermined": rest}


def _show(report: BacktestReport, wanted: Sequence[str] | None) -> None:
    console = screen()
    console.print(f"{report.records:,} issues; decided are those opened after {moment(report.cut_at)}\n")
    for target in report.targets:
        if not wanted or target.target in wanted:
            console.print(_target_table(target))
            for remark in target.notes:
                note(remark)
            console.print()
    for entry in report.undetermined:
        if not wanted or entry.target in wanted:
            console.print(Text(f"{entry.target}: cannot determine: {entry.missing}", style="yellow"))
    if wanted:
        return
    duplicates = report.duplicates
    if duplicates.recall:
        shares = ", ".join(f"{one.recall:.0%} among the best {one.k}" for one in duplicates.recall)
        console.print(f"duplicates: the original is found for {shares} ({duplicates.known_pairs:,} known pairs)")
    elif duplicates.recall_missing:
        console.print(Text(f"duplicates: cannot determine: {duplicates.recall_missing}", style="yellow"))


def _target_table(target: TargetReport) -> Table:
    title = (
        f"{target.target}: learned from {target.trained_on:,}, decided {target.tested_on:,}; "
        f"always {json.dumps(target.majority)} would be right in {target.base_rate:.0%}"
    )
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    table.add_column("decided if at least")
    for decider in target.deciders:
        table.add_column(f"{decider.decider}: precision", justify="right")
        table.add_column("coverage", justify="right")
    for place, threshold in enumerate(target.deciders[0].thresholds if target.deciders else ()):
        if threshold.threshold not in _SHOWN_THRESHOLDS:
            continue
        cells = [f"{threshold.threshold:.0%} sure"]
        for decider in target.deciders:
            at = decider.thresholds[place]
            cells += ["-" if at.precision is None else f"{at.precision:.1%}", f"{at.coverage:.1%}"]
        table.add_row(*cells)
    return table
