"""``bailiwick audit``: who did what, exported and verified."""

import gzip
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bailiwick.audit import Act, Entry, EntryFilter
from bailiwick.audit.alarms import Alarm, AlarmRule, describe
from bailiwick.audit.ed25519 import PublicKey, parse_public_key, to_text
from bailiwick.audit.exporting import export_lines
from bailiwick.audit.live import verify_chain
from bailiwick.audit.verifying import Verdict, verify_file
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, notes, print_json, print_more, print_table, screen
from bailiwick.cli.session import operator, organization_of, with_installation
from bailiwick.cli.values import moment
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

OfInstallation = Annotated[
    bool, typer.Option("--installation", help="The log of the installation itself: accounts, keys, logins.")
]
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="TEXT|FILE", help="The public key, from `bailiwick audit key`, kept elsewhere."),
]
_NEITHER = "installation"


@app.callback()
def audit() -> None:
    """List, export and verify the audit log; show alarms and the key that signs."""


@app.command("list")
def list_entries(
    *,
    action: Annotated[str | None, typer.Option("--action", help="Such as limit.changed, or limit.* for all.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="ID", help="Who acted, by id.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="KIND:ID", help="What was acted on.")] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="From this moment on (UTC).")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    org: Org = HOME,
    installation_log: OfInstallation = False,
    as_json: AsJson = False,
) -> None:
    """List what was done, newest first."""
    wanted = EntryFilter(action, actor, target, None if since is None else since.replace(tzinfo=UTC))

    async def read(installation: Installation) -> Page[Entry]:
        organization_id, _ = await _chain(installation, org, of_installation=installation_log)
        return await installation.audit.list(organization_id, wanted, limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        (">seq", "when", "action", "who", "target", "from", "reason"),
        (
            (one.seq, one.recorded_at, one.action, one.actor.name, one.target, one.actor.address, one.reason)
            for one in page.items
        ),
        empty="nothing was recorded",
    )
    print_more(page)


@app.command()
def export(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Where to; a name ending in .gz is packed.")],
    org: Org = HOME,
    installation_log: OfInstallation = False,
) -> None:
    """Write an organization's whole log to a file that anybody can verify; its end is signed first."""

    async def write(installation: Installation) -> int:
        organization_id, slug = await _chain(installation, org, of_installation=installation_log)
        act = Act(organization_id, "audit.exported", operator(), f"audit:{organization_id}")
        await installation.audit.record(act)
        count = 0
        with _target(file) as stream:
            async for line in export_lines(installation.audit, installation.audit_roots, organization_id, slug):
                stream.write(line)
                count += 1
        return count

    lines = with_installation(write)
    note(f"{lines:,} lines written; check with: bailiwick audit verify {file}", style="")


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="An export. Without one the database is verified where it lies.")
    ] = None,
    *,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Find any edit, deletion, insertion or reordering. A file needs no database and no network.

    Exit code 1 if something is found, with the first broken entry.
    """
    trusted = None if key is None else parse_public_key(_text_of(key))
    verdicts = with_installation(_live(trusted)) if file is None else [_verify_file(file, trusted)]
    if as_json:
        print_json([asdict(one) for one in verdicts] if file is None else verdicts[0])
    else:
        for verdict in verdicts:
            _tell(verdict, name=str(file) if file is not None else "")
    if not all(verdict.is_intact for verdict in verdicts):
        raise typer.Exit(1)


@app.command("key")
def show_key(
    rotate: Annotated[bool, typer.Option("--rotate", help="Begin a new key first; older exports stay valid.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the public keys that sign roots and exports, newest first. Keep one where the database is not."""

    async def read(installation: Installation) -> list[PublicKey]:
        keys = installation.audit_roots.keys
        if rotate:
            await keys.rotate(actor=operator())
        else:
            await keys.current()
        return (await keys.list())[::-1]

    found = with_installation(read)
    if as_json:
        print_json([{"number": key.number, "kid": key.kid, "public_key": to_text(key.public_key)} for key in found])
        return
    print_table(
        (">number", "kid", "public key"), ((key.number, key.kid, to_text(key.public_key)) for key in found), empty=""
    )


@app.command()
def alarms(
    limit: Limit = 50,
    cursor: Cursor = None,
    org: Org = HOME,
    installation_log: OfInstallation = False,
    as_json: AsJson = False,
) -> None:
    """List alarms, newest first: mass reads by organization, failed logins with --installation."""

    async def read(installation: Installation) -> Page[Alarm]:
        organization_id, _ = await _chain(installation, org, of_installation=installation_log)
        return await installation.alarms.list(organization_id, limit=limit, cursor=cursor)

    page = with_installation(read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("when", "rule", "subject", "detail"),
        ((alarm.raised_at, alarm.rule, alarm.subject, describe(alarm)) for alarm in page.items),
        empty="no alarms",
    )
    print_more(page)


@app.command()
def rule(
    name: Annotated[str, typer.Argument(help="login_failures or mass_reads.")],
    *,
    count: Annotated[int | None, typer.Option("--count", min=1, help="How many raise the alarm.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=1, max=1440, help="Within how long.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Go by the installation's setting again.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Recorded with the change.")] = None,
    org: Org = HOME,
    installation_log: OfInstallation = False,
    as_json: AsJson = False,
) -> None:
    """Set when an alarm is raised; failed logins are the installation's: give --installation with them."""
    if default == (count is not None and minutes is not None):
        raise InvalidInputError("say --count N --minutes M, or --default")
    if (name == "login_failures") != installation_log:
        raise InvalidInputError("login_failures goes with --installation, mass_reads with --org")

    async def change(installation: Installation) -> AlarmRule:
        organization_id, _ = await _chain(installation, org, of_installation=installation_log)
        wanted = None if count is None or minutes is None else AlarmRule(count, minutes * 60)
        return await installation.alarms.set_rule(organization_id, name, wanted, actor=operator(), reason=reason)

    holds = with_installation(change)
    if as_json:
        print_json(holds)
    else:
        note(f"{name}: an alarm at {holds.threshold} within {holds.window_seconds / 60:g} minutes", style="")


async def _chain(installation: Installation, org: str, *, of_installation: bool) -> tuple[str, str]:
    if of_installation:
        return INSTALLATION, _NEITHER
    found = await organization_of(installation, org)
    return found.id, found.slug


def _live(trusted: bytes | None) -> Callable[[Installation], Awaitable[list[Verdict]]]:
    async def verify_all(installation: Installation) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for head in await installation.audit_roots.heads():
            found = await installation.organizations.find(head["organization_id"])
            name = _NEITHER if found is None else found.slug
            with _bar(f"verifying {name}", head["seq"]) as advance:
                verdicts.append(
                    await verify_chain(
                        installation.audit, installation.audit_roots, head,
                        organization=name, key=trusted, progress=advance,
                    )
                )  # fmt: skip
        return verdicts

    return verify_all


def _verify_file(file: Path, trusted: bytes | None) -> Verdict:
    size = file.stat().st_size if file.is_file() else 0
    with _bar(f"verifying {file.name}", size) as advance:
        return verify_file(file, key=trusted, progress=advance)


def _tell(verdict: Verdict, *, name: str) -> None:
    subject = name or str(verdict.organization)
    if verdict.error is not None:
        where = "" if verdict.line is None else f" (line {verdict.line})"
        screen().print(f"{subject}: BROKEN{where}: {verdict.error}", style="bold red", markup=False, soft_wrap=True)
        return
    screen().print(
        f"{subject}: intact, {verdict.entries:,} entries and {verdict.roots:,} signed roots of {verdict.organization}",
        style="green", markup=False, soft_wrap=True,
    )  # fmt: skip
    if verdict.uncovered_since is not None:
        note(
            f"  entries from {verdict.covered_seq + 1:,} on are not covered by a root since "
            f"{moment(verdict.uncovered_since)}; system.audit signs every hour",
        )
    if name and not verdict.is_pinned and verdict.kids:
        note(f"  signed by the key in the file itself ({verdict.kids[-1]}); compare it, or give --key")


@contextmanager
def _bar(label: str, total: int) -> Generator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    console = notes()
    hidden = not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=max(total, 1))
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _target(file: str) -> Generator[BinaryIO]:
    """Open where an export goes; a file appears whole or not at all, and only its owner may read it."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    part = path.with_name(f"{path.name}.part")
    try:
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise InvalidInputError(f"{part} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(number, "wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield raw
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _text_of(key: str) -> str:
    path = Path(key)
    return path.read_text(encoding="ascii", errors="replace") if path.is_file() else key
