"""``bailiwick policy``: the rules that agents act by; put, tested, looked back at."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bailiwick.authority import PolicyRecord
from bailiwick.authority.cases import CaseReport, explained, run_cases
from bailiwick.authority.policies import MAX_BYTES
from bailiwick.authority.policy.built_in import built_in_ceiling_source
from bailiwick.authority.policy.reading import read_cases, read_policy
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table, print_text, screen
from bailiwick.cli.session import operator, organization_of, with_installation
from bailiwick.cli.values import moment
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.replay.rehearsal import Bound, Bounds
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

Ceiling = Annotated[bool, typer.Option("--ceiling", help="The installation's, which holds for every organization.")]
PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A policy as YAML; - reads standard input.")]


@app.callback()
def policy() -> None:
    """Show, test and put in force the rules that say what agents may do."""


@app.command()
def show(
    version: Annotated[int | None, typer.Option("--version", min=1, help="Not the one in force, but this.")] = None,
    org: Org = HOME,
    ceiling: Ceiling = False,
    as_json: AsJson = False,
) -> None:
    """Print a policy as it was written, so that it can be changed and put again."""

    async def read(installation: Installation) -> PolicyRecord:
        return await installation.policies.get(await _whose(installation, org, ceiling=ceiling), version)

    found = with_installation(read)
    if as_json:
        print_json(found)
        return
    when = "" if found.put_at is None else f", put {moment(found.put_at)}"
    note(f"version {found.version}{when} by {found.put_by_name}")
    print_text(found.source)


@app.command()
def put(
    file: PolicyFile,
    *,
    reason: Annotated[str | None, typer.Option("--note", help="Why, for whoever reads the history.")] = None,
    based_on: Annotated[
        int | None, typer.Option("--based-on", min=0, help="Only if this version is still in force; 0: none is.")
    ] = None,
    rehearsed: Annotated[
        str | None,
        typer.Option(
            "--rehearsed", metavar="N|N%", help="Only if its rehearsal on recorded decisions has no more regressions."
        ),
    ] = None,
    org: Org = HOME,
    ceiling: Ceiling = False,
    as_json: AsJson = False,
) -> None:
    """Put a policy in force as the next version; one whose own tests fail is refused."""
    source = _text_of(file)
    bounds = None if rehearsed is None else Bounds(Bound.parse(rehearsed))

    async def write(installation: Installation) -> PolicyRecord:
        whose = await _whose(installation, org, ceiling=ceiling)
        if bounds is not None:
            organization = await organization_of(installation, org)
            await installation.rehearsals.require_policy(organization.id, source, bounds, is_ceiling=ceiling)
        return await installation.policies.put(whose, source, actor=operator(), note=reason, based_on=based_on)

    made = with_installation(write)
    if as_json:
        print_json(made)
    else:
        note(f"version {made.version} is in force", style="")
    if ceiling:
        left_out = ", ".join(sorted(_names(built_in_ceiling_source()) - _names(source)))
        if left_out:
            note(f"none of its rules is named like these of the platform, which hold no longer: {left_out}")


@app.command("test")
def run_tests(
    file: PolicyFile,
    *,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="FILE", help="Run these cases too: a file with tests alone.")
    ] = None,
    ceiling: Ceiling = False,
    as_json: AsJson = False,
) -> None:
    """Decide a policy's own test cases and compare; needs no database. Exit code 1 if one comes out otherwise.

    Says also which rules no case reached.
    """
    read = read_policy(_text_of(file), is_ceiling=ceiling)
    more = () if cases is None else read_cases(_text_of(cases))
    report = run_cases(read, (*read.cases, *more), is_ceiling=ceiling)
    if as_json:
        print_json(_document(report))
    else:
        _tell(report)
    if not report.is_passed:
        raise typer.Exit(1)


@app.command()
def history(
    org: Org = HOME, ceiling: Ceiling = False, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """List the versions there were, newest first, with who put them and why."""

    async def read(installation: Installation) -> Page[PolicyRecord]:
        whose = await _whose(installation, org, ceiling=ceiling)
        return await installation.policies.history(whose, limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        (">version", "put", "by", "reason", "digest"),
        ((one.version, one.put_at, one.put_by_name, one.note, one.digest[:12]) for one in page.items),
        empty="no policy yet; put one with: bailiwick policy put FILE",
    )
    print_more(page)


@app.command()
def diff(
    old: Annotated[int, typer.Argument(metavar="OLD", min=0, help="The version before; 0 for nothing.")],
    new: Annotated[int | None, typer.Argument(metavar="NEW", min=1, help="The version after; else the newest.")] = None,
    org: Org = HOME,
    ceiling: Ceiling = False,
    as_json: AsJson = False,
) -> None:
    """Show what changed between two versions."""

    async def read(installation: Installation) -> str:
        return await installation.policies.difference(await _whose(installation, org, ceiling=ceiling), old, new)

    found = with_installation(read)
    if as_json:
        print_json({"old": old, "new": new, "diff": found})
    elif found:
        screen().print(found, markup=False, soft_wrap=True)
    else:
        note("nothing changed")


def _names(ceiling: str) -> set[str]:
    return {rule.name for rule in read_policy(ceiling, is_ceiling=True).rules}


async def _whose(installation: Installation, org: str, *, ceiling: bool) -> str:
    return INSTALLATION if ceiling else (await organization_of(installation, org)).id


def _text_of(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if str(file) == "-" else _bytes_of(file)
    except OSError as error:
        raise InvalidInputError(
            f"cannot read {file}: {error.strerror}; give a policy, such as `bailiwick policy show` prints"
        ) from error
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"{file} holds more than {MAX_BYTES:,} bytes; a policy is shorter")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file} is no UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _bytes_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _tell(report: CaseReport) -> None:
    for result in report.failures:
        for line in explained(result):
            style = {"  - ": "red", "  + ": "green"}.get(line[:4], "")
            screen().print(line, style=style, markup=False, soft_wrap=True)
    if report.unreached:
        note(f"no case reached: {', '.join(report.unreached)}", style="yellow")
    if not report.results:
        note("no cases; add some under tests:, so that a change that was not meant shows", style="yellow")
    passed = len(report.results) - len(report.failures)
    note(f"{passed} of {len(report.results)} cases as promised", style="green" if report.is_passed else "red")


def _document(report: CaseReport) -> dict[str, object]:
    return {
        "passed": report.is_passed,
        "cases": [
            {
                "name": result.name,
                "line": result.line,
                "passed": result.is_passed,
                "fault": result.fault,
                "differences": [
                    {"field": field, "expected": expected, "actual": actual}
                    for field, expected, actual in result.differences
                ],
                "decision": None
                if result.decision is None
                else {
                    "outcome": result.decision.outcome,
                    "rule": result.decision.rule,
                    "reason": result.decision.reason,
                },
            }
            for result in report.results
        ],
        "unreached": list(report.unreached),
    }
