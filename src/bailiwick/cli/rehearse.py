"""``bailiwick rehearse``: what a changed policy, level or agent would have done in runs that really happened."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from bailiwick.agents import Agent
from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, print_json, print_table, screen
from bailiwick.cli.session import with_organization
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.installation.unopened import unopened
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.replay.rehearsal import Bound, Bounds, Rehearsal, Verdict, judge
from bailiwick.replay.rehearsals import MAX_RUNS, Selection

app = typer.Typer(no_args_is_help=True)

_SHOWN = 20

Kind = Annotated[str | None, typer.Option("--kind", help="Only runs of this kind of task.")]
AgentName = Annotated[str | None, typer.Option("--agent", metavar="NAME|ID", help="Only what this agent did.")]
Since = Annotated[datetime | None, typer.Option("--since", help="From this moment on (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Before this moment (UTC).")]
Runs = Annotated[int, typer.Option("--runs", min=1, max=MAX_RUNS, help="Over how many runs at most, the newest first.")]
MaxRegressions = Annotated[
    str, typer.Option("--max-regressions", metavar="N|N%", help="Refuse more, as a number or share of the compared.")
]
MaxDiverged = Annotated[
    str, typer.Option("--max-diverged", metavar="N|N%", help="Refuse if more cannot be followed, because unrecorded.")
]


@app.callback()
def rehearse() -> None:
    """Run a changed policy, level or agent over recorded runs; nothing is done. Exit code 1 if it is refused."""


@app.command("policy")
def rehearse_policy(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy as YAML.")],
    *,
    kind: Kind = None,
    agent: AgentName = None,
    since: Since = None,
    until: Until = None,
    runs: Runs = 200,
    max_regressions: MaxRegressions = "0",
    max_diverged: MaxDiverged = "0",
    ceiling: Annotated[bool, typer.Option("--ceiling", help="It is meant for the installation's ceiling.")] = False,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Make every recorded decision again by another policy, and show the changed ones side by side.

    Worse is: what people rejected, what did not work or what a rule refused
    would be done without asking; what turned out to work would not be done.
    """
    bounds = _bounds(max_regressions, max_diverged)
    source = _text_of(file)

    async def read(installation: Installation, organization: Organization) -> Rehearsal:
        chosen = await _Asked(kind, agent, since, until, runs).selection(installation, organization)
        return await installation.rehearsals.policy(organization.id, source, chosen, is_ceiling=ceiling)

    _finish(org, read, bounds, as_json=as_json)


@app.command("level")
def rehearse_level(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="An agent's name or id.")],
    effect_class: Annotated[str, typer.Argument(metavar="CLASS", help="read, write, external, spend or destructive.")],
    level: Annotated[int, typer.Argument(min=1, max=5, help="The level of autonomy, 1 to 5.")],
    *,
    since: Since = None,
    until: Until = None,
    runs: Runs = 200,
    max_regressions: MaxRegressions = "0",
    max_diverged: MaxDiverged = "0",
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Make an agent's recorded decisions again as if it had another level of autonomy."""
    bounds = _bounds(max_regressions, max_diverged)

    async def read(installation: Installation, organization: Organization) -> Rehearsal:
        chosen = await _Asked(None, agent, since, until, runs).selection(installation, organization)
        assert chosen.agent_id is not None
        return await installation.rehearsals.level(organization.id, chosen.agent_id, effect_class, level, chosen)

    _finish(org, read, bounds, as_json=as_json)


@app.command("agent")
def rehearse_agent(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="A kind of agent, such as support.")],
    *,
    candidate: Annotated[
        str | None,
        typer.Option(
            "--candidate", metavar="MODULE:CLASS", help="The class to try; without one, what is installed now."
        ),
    ] = None,
    agent: AgentName = None,
    since: Since = None,
    until: Until = None,
    runs: Runs = 50,
    max_regressions: MaxRegressions = "0",
    max_diverged: MaxDiverged = "0",
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Run a version of an agent over recorded runs, with their steps and tools answering as they did then.

    Worse is: what people rejected or what did not work is proposed again; what
    turned out to work is proposed no more. What it asks for that was never
    recorded has diverged, and is neither good nor bad.
    """
    bounds = _bounds(max_regressions, max_diverged)
    tried = _candidate(kind, candidate)

    async def read(installation: Installation, organization: Organization) -> Rehearsal:
        chosen = await _Asked(None, agent, since, until, runs).selection(installation, organization)
        return await installation.rehearsals.agent(organization.id, tried, chosen)

    _finish(org, read, bounds, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A selection as it was asked for on the command line."""

    kind: str | None
    agent: str | None
    since: datetime | None
    until: datetime | None
    runs: int

    async def selection(self, installation: Installation, organization: Organization) -> Selection:
        """Return it with the agent's id and moments in UTC."""
        who = None if self.agent is None else await installation.directory.get(organization.id, self.agent)
        return Selection(self.kind, None if who is None else who.id, _utc(self.since), _utc(self.until), self.runs)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _candidate(kind: str, reference: str | None) -> Agent[Any]:
    """Return the agent to try, without a database, so that it reaches nothing but what was recorded."""
    bare = unopened()
    if reference is not None:
        made = _class_of(reference)(bare.database)
    else:
        installed = next((one for one in bare.registry.agents.values() if one.kind == kind), None)
        if installed is None:
            kinds = ", ".join(sorted(bare.registry.agent_kinds)) or "none"
            raise InvalidInputError(f"no kind of agent {kind!r}; known: {kinds}")
        made = installed
    if made.kind != kind:
        raise InvalidInputError(f"{reference} is of the kind {made.kind!r}, not {kind!r}")
    return made


def _class_of(reference: str) -> type[Agent[Any]]:
    module, colon, name = reference.partition(":")
    if not colon:
        raise InvalidInputError(f"{reference!r} is no MODULE:CLASS, such as my_agents.support:Support")
    # As python -m would: a candidate need not be installed to be tried.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise InvalidInputError(f"{module} cannot be imported: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise InvalidInputError(f"{reference} is no class of agents; it has to derive from bailiwick.agents.Agent")
    return found


def _bounds(max_regressions: str, max_diverged: str) -> Bounds:
    return Bounds(Bound.parse(max_regressions), Bound.parse(max_diverged))


def _text_of(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} cannot be read: {error}; give a policy, or - for standard input") from error


def _finish(
    org: str,
    read: Callable[[Installation, Organization], Awaitable[Rehearsal]],
    bounds: Bounds,
    *,
    as_json: bool,
) -> None:
    found = with_organization(org, read)
    verdict = judge(found, bounds)
    if as_json:
        print_json({"rehearsal": found, "regressions": len(found.regressions), "verdict": verdict})
    else:
        _show(found, verdict)
    if not verdict.is_passed:
        raise typer.Exit(1)


def _show(found: Rehearsal, verdict: Verdict) -> None:
    screen().print(
        f"{found.candidate}: {found.runs} runs, {found.compared} compared, {found.same} same, "
        f"{len(found.changes)} changed, {len(found.regressions)} of them for the worse, {len(found.diverged)} diverged",
        markup=False,
    )
    if found.baseline is not None:
        note(f"what really ran has {found.baseline} regressions by the same rule")
    if found.changes:
        print_table(
            ("", "tool", "class", "target", "was", "would be", "evidence", "reason"),
            (
                (
                    Text(one.movement, style="bold red" if one.regression else ""), one.tool, one.effect_class,
                    one.target, _side(one.old.outcome, one.old.rule), _side(one.new.outcome, one.new.rule),
                    one.evidence, one.regression or "",
                )
                for one in found.changes[:_SHOWN]
            ),
            empty="",
        )  # fmt: skip
    if len(found.changes) > _SHOWN:
        note(f"{len(found.changes) - _SHOWN} more changes; see all with --json")
    for lost in found.diverged[:_SHOWN]:
        note(f"diverged: run {lost.run_id}, {lost.about}: {lost.reason}", style="yellow")
    if found.by_class:
        print_table(
            ("class", "counts"),
            (
                (name, ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
                for name, counts in found.by_class.items()
            ),
            empty="",
        )
    if verdict.is_passed:
        screen().print("[green]passed[/]")
    for reason in verdict.reasons:
        screen().print(Text.assemble(("refused: ", "bold red"), reason))


def _side(outcome: str, rule: str) -> str:
    return f"{outcome} ({rule})" if rule else outcome
