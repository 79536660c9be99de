"""``bailiwick run``: the flight recorder. One run in one file, opened anywhere, and kept as a test."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

from bailiwick.audit.ed25519 import parse_public_key
from bailiwick.cli.legible import legible
from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, print_json, screen
from bailiwick.cli.session import operator, with_organization
from bailiwick.cli.stepping import step_through
from bailiwick.cli.values import in_line, moment
from bailiwick.cli.whole_file import PRIVATE, write_whole
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.installation.unopened import unopened
from bailiwick.kernel import loops
from bailiwick.kernel.errors import BailiwickError, InvalidInputError
from bailiwick.replay.archive import Archive, read_archive
from bailiwick.replay.bindings import Binding, bindings_of
from bailiwick.replay.exporting import Exported, Wanted
from bailiwick.replay.junit import junit_report
from bailiwick.replay.present import PresentCode
from bailiwick.replay.recording import recording_of
from bailiwick.replay.replaying import Replayed
from bailiwick.replay.story import Moment, story_of

app = typer.Typer(no_args_is_help=True)

ENDING = ".run.zip"

Key = Annotated[
    str | None,
    typer.Option("--key", metavar="TEXT", help="The public key it must be signed by, from `bailiwick audit key`."),
]
_STYLES = {"same": "green", "diverged": "bold red", "undetermined": "yellow"}


@app.callback()
def run() -> None:
    """Export one run to a file, step through it anywhere, and keep it as a regression test."""


@app.command()
def export(
    task: Annotated[str, typer.Argument(metavar="RUN", help="The task's id.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help=f"Where to; by default RUN{ENDING}.")
    ] = None,
    with_people: Annotated[
        bool, typer.Option("--with-people", help="Leave names and addresses of people in it; secrets never are.")
    ] = False,
    with_audit: Annotated[
        bool,
        typer.Option(
            "--with-audit",
            help="Add the organization's whole audit log, names included, so that anybody can verify it offline.",
        ),
    ] = False,
    org: Org = HOME,
) -> None:
    """Write everything that is kept of one run to one signed file; the export is audited."""
    wanted = Wanted(keeps_people=with_people, with_audit=with_audit)

    async def make(installation: Installation, organization: Organization) -> Exported:
        return await installation.runs.export(
            organization.id, organization.slug, task, wanted=wanted, actor=operator(),
            extensions=[asdict(one) for one in installation.extensions],
        )  # fmt: skip

    made = with_organization(org, make)
    target = out or Path(f"{task}{ENDING}")
    write_whole(target, made.data, mode=PRIVATE)
    note(f"{target}: {made.documents:,} documents, {len(made.data):,} bytes; {_hidden(made.hidden)}", style="")
    note(f"step through it with: bailiwick run open {target}")


@app.command("open")
def open_archive(
    file: Annotated[Path, typer.Argument(help="An archive made by `bailiwick run export`.")],
    *,
    key: Key = None,
    listing: Annotated[bool, typer.Option("--list", help="Show the whole story at once, without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Step through a run: what was known, asked, decided, done and verified; needs no installation.

    The archive is verified first; one that was changed is refused by the name of the part.
    """
    archive = read_archive(file, key=None if key is None else parse_public_key(key))
    moments = story_of(archive.parts)
    if as_json:
        told = {"manifest": archive.manifest, "moments": moments, "bindings": _bindings(archive)}
        print_json({**told, "verified": _verified(archive)})
        return
    if not listing and sys.stdin.isatty() and sys.stdout.isatty():
        step_through(moments, _heading(archive), show)
        return
    screen().print(_heading(archive))
    for number, one in enumerate(moments):
        show(one, number, len(moments))


@app.command("test")
def check_recordings(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="An archive, or a folder of them.")],
    *,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="DIR", help="Keep the archive there, for `run test DIR` in CI.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the present code over recorded runs; exit with 1 if one is not the same any more.

    Steps and tools answer as they were recorded, so nothing is done and no
    database is needed. A run that cannot be judged counts as not the same.
    """
    tested = loops.run(_test(_archives(path)))
    if junit is not None:
        write_whole(junit, junit_report([(one.path.name, one.kind, one.replayed) for one in tested]))
    if as_json:
        print_json([{"file": str(one.path), "kind": one.kind, **asdict(one.replayed)} for one in tested])
    else:
        for one in tested:
            _print_tested(one)
    if save is not None:
        for one in tested:
            _save(one.path, save)
    if not all(one.replayed.is_same for one in tested):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Tested:
    path: Path
    kind: str
    replayed: Replayed


async def _test(paths: Sequence[Path]) -> list[_Tested]:
    code = present_code(unopened())
    tested: list[_Tested] = []
    for path in paths:
        try:
            archive = read_archive(path)
            replayed = await code.replay(recording_of(archive.parts))
            tested.append(_Tested(path, archive.task["kind"], replayed))
        except BailiwickError as error:
            if len(paths) == 1:
                raise
            # The others are still worth their answer.
            tested.append(_Tested(path, "?", Replayed("undetermined", 0, str(error))))
    return tested


def present_code(installation: Installation) -> PresentCode:
    """Return what an installation has registered, to be run over recordings."""
    registry = installation.registry
    return PresentCode(
        kinds=registry.kinds, types=registry.event_types, agents=registry.agents, tools=registry.tools,
        acting=installation.acting(),
    )  # fmt: skip


def show(one: Moment, number: int, count: int) -> None:
    """Print one moment of a story."""
    place = "" if one.seq is None else f"step {one.seq}: "
    at = "" if one.at is None else f"  [dim]{escape(_when(one.at))}[/]"
    screen().print(f"[bold]{number + 1}/{count}  {place}{escape(legible(one.title))}[/]{at}")
    for aspect, facts in one.aspects():
        for name, value in facts:
            screen().print(
                Text.assemble((f"  {aspect:<9}", "cyan"), f"{name}: ", (_text(value), "dim")), soft_wrap=True
            )


def _archives(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(f"*{ENDING}"))
    if not found:
        raise InvalidInputError(f"no archives *{ENDING} in {path}; add one with: bailiwick run test FILE --save {path}")
    return found


def _save(path: Path, folder: Path) -> None:
    name = path.name if path.name.endswith(ENDING) else f"{path.stem}{ENDING}"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / name, path.read_bytes())
    note(f"kept as {folder / name}; run all with: bailiwick run test {folder}")


def _print_tested(one: _Tested) -> None:
    found = one.replayed
    screen().print(
        Text.assemble((f"{found.outcome:<13}", _STYLES[found.outcome]), f"{one.path.name}  {one.kind}  {found.detail}")
    )
    if found.outcome == "diverged":
        screen().print(Text.assemble("  recorded: ", (_text(found.recorded), "green")))
        screen().print(Text.assemble("  now:      ", (_text(found.now), "red")))


def _heading(archive: Archive) -> str:
    told = archive.manifest
    run_id, kind = told["run"]["id"], told["run"]["kind"]
    return (
        f"[bold]{escape(kind)}[/] {run_id}, exported {told['exported_at']} from {escape(str(told['organization']))}; "
        f"{_verified(archive)}; {_hidden(archive.hidden)}"
    )


def _verified(archive: Archive) -> str:
    signed = "signed by the key asked for" if archive.is_pinned else "signed" if archive.is_signed else "not signed"
    proven = "" if archive.audit is None else f", audit log of {archive.audit.entries:,} entries intact"
    return f"every part as it was written, {signed}{proven}{_bound(archive)}"


def _bindings(archive: Archive) -> list[Binding]:
    return bindings_of(archive.parts, has_hidden=bool(archive.hidden))


def _bound(archive: Archive) -> str:
    """Say of the effects whether each is the one that was decided about."""
    found = _bindings(archive)
    if not found:
        return ""
    broken = [one.effect_id for one in found if one.is_broken]
    if broken:
        return f", BUT NOT WHAT WAS DECIDED ABOUT: effect {', '.join(broken)}"
    fit = sum(one.computed == "fits" for one in found)
    return f", {fit} of {len(found)} digests of effects computed again, the others are of what is hidden"


def _hidden(hidden: Any) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(hidden.items()))
    return f"hidden: {counts}" if counts else "nothing had to be hidden"


def _text(value: Any) -> str:
    # Whole: nobody who looks into a recording wants to look for the rest of it elsewhere.
    return in_line(value, longest=None)


def _when(text: str) -> str:
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:
        # An archive that is not signed can say what it likes.
        return legible(text)
