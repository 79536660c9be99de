"""``bailiwick autonomy``: how far agents may go by themselves, why, and what is missing for more."""

from typing import Annotated

import typer
from rich.text import Text

from bailiwick.authority.autonomy import AutonomyRules, Bar, Promotion
from bailiwick.authority.autonomy.standing import AgentLevels, AgentStanding, Standing
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, plain, print_facts, print_json, print_more, print_table, screen
from bailiwick.cli.session import operator, with_organization
from bailiwick.cli.submit import read_payload
from bailiwick.cli.values import moment, share
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.documents import encode_checked
from bailiwick.replay.rehearsal import Bound, Bounds
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="Name or id.")]
PromotionId = Annotated[str, typer.Argument(metavar="PROMOTION", help="The promotion's id.")]
_CLASSES = ("read", "write", "external", "spend", "destructive")


@app.callback()
def autonomy() -> None:
    """List, explain and set how far agents may go; confirm and refuse promotions; set the rules."""


@app.command("list")
def list_autonomy(org: Org = HOME, limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List agents with their level in each class of effects."""

    async def read(installation: Installation, organization: Organization) -> Page[AgentLevels]:
        return await installation.standings.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("name", "kind", *(f">{name}" for name in _CLASSES), "waits for a person"),
        (
            (one.name, one.kind, *(one.levels[name] for name in _CLASSES), ", ".join(sorted(one.promotions)))
            for one in page.items
        ),
        empty="no agents here; extensions bring them, or: bailiwick agents create KIND NAME",
    )
    print_more(page)


@app.command()
def show(agent: AgentName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Explain an agent's levels: the evidence, the bound, and what is missing for the next."""

    async def read(installation: Installation, organization: Organization) -> AgentStanding:
        return await installation.standings.show(organization.id, agent)

    found = with_organization(org, read)
    if as_json:
        print_json({**plain(found), "rules": found.rules.model_dump()})
        return
    version = found.versions[0] if found.versions else None
    since = "no effect yet" if version is None else f"version {version.number}, since {moment(version.since)}"
    note(f"{found.name} ({found.kind}), {since}", style="")
    for standing in found.standings:
        screen().print(Text(standing.effect_class, style="bold"))
        print_facts(_explained(standing, found.rules))
    print_table(
        ("when", "class", ">from", ">to", "by", "who", "reason"),
        (
            (one.moved_at, one.effect_class, one.from_level, one.to_level, one.set_by, one.actor, one.reason)
            for one in found.moves
        ),
        empty="no level was ever changed",
    )


@app.command("set")
def set_level(
    agent: AgentName,
    effect_class: Annotated[str, typer.Argument(metavar="CLASS", help=", ".join(_CLASSES) + ".")],
    level: Annotated[int, typer.Argument(min=1, max=5, help="1 observe, 2 propose, 3 with notice, 4 act, 5 all.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is audited.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Set how far an agent may go in a class; the only way to 5."""

    async def change(installation: Installation, organization: Organization) -> AgentStanding:
        found = await installation.directory.get(organization.id, agent)
        await installation.autonomy.set_level(
            organization.id, found.id, effect_class, level, actor=operator(), reason=reason
        )
        return await installation.standings.show(organization.id, found.id)

    found = with_organization(org, change)
    if as_json:
        print_json(next(one for one in found.standings if one.effect_class == effect_class))
    else:
        note(f"{found.name} has level {level} in the class {effect_class}", style="")


@app.command()
def promotions(
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only those: proposed, ...")] = None,
    org: Org = HOME,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List proposals to let agents go further, newest first."""

    async def read(installation: Installation, organization: Organization) -> Page[Promotion]:
        return await installation.standings.promotions(organization.id, state=state, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "agent", "class", ">from", ">to", "state", ">acts", ">lower bound", "reason"),
        (
            (
                one.id, one.agent_id, one.effect_class, one.from_level, one.to_level, one.state,
                one.evidence["trials"], f"{one.evidence['lower_bound']:.3f}", one.reason,
            )
            for one in page.items
        ),
        empty="no agent has earned to go further yet",
    )  # fmt: skip
    print_more(page)


@app.command()
def confirm(
    promotion: PromotionId,
    *,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is audited.")] = None,
    rehearsed: Annotated[
        str | None,
        typer.Option(
            "--rehearsed",
            metavar="N|N%",
            help="Only if its recorded decisions, made again so, have no more regressions.",
        ),
    ] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Let an agent go one level further, if what it earned still holds."""
    bounds = None if rehearsed is None else Bounds(Bound.parse(rehearsed))

    async def answer(installation: Installation, organization: Organization) -> Promotion:
        if bounds is not None:
            found = await installation.autonomy.promotion(organization.id, promotion)
            await installation.rehearsals.require_level(
                organization.id, found.agent_id, found.effect_class, found.to_level, bounds
            )
        return await installation.autonomy.confirm(organization.id, promotion, actor=operator(), reason=reason)

    _told(with_organization(org, answer), as_json=as_json)


@app.command()
def refuse(
    promotion: PromotionId,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is audited.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Keep an agent where it is; it is proposed again only after as much evidence again."""

    async def answer(installation: Installation, organization: Organization) -> Promotion:
        return await installation.autonomy.refuse(organization.id, promotion, actor=operator(), reason=reason)

    _told(with_organization(org, answer), as_json=as_json)


@app.command()
def rules(
    change: Annotated[
        str | None,
        typer.Option("--set", metavar="JSON|@FILE", help="The rules that are to differ from what they are now."),
    ] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Show or change what the organization asks for before an agent goes further."""
    wanted = None if change is None else read_payload(change)

    async def read(installation: Installation, organization: Organization) -> AutonomyRules:
        present = await installation.autonomy.rules(organization.id)
        if wanted is None:
            return present
        new, _ = encode_checked(AutonomyRules, {**present.model_dump(), **wanted}, what="the rules of autonomy")
        return await installation.autonomy.put_rules(organization.id, new, actor=operator())

    found = with_organization(org, read)
    if as_json:
        print_json(found.model_dump())
    else:
        rows = ((name, _bar(value) if isinstance(value, Bar) else value) for name, value in found)
        print_table(("rule", "value"), rows, empty="")


def _told(promotion: Promotion, *, as_json: bool) -> None:
    if as_json:
        print_json(promotion)
    else:
        note(f"{promotion.state}: {promotion.effect_class}, level {promotion.to_level}", style="")


def _bar(bar: Bar) -> str:
    return f"{bar.bound:g} after {bar.minimum_trials} acts, {bar.minimum_verified} of them looked at later"


def _explained(standing: Standing, rules: AutonomyRules) -> list[tuple[str, object]]:
    sources = ", ".join(f"{count} {source}" for source, count in sorted(standing.sources.items()))
    came = "began there" if standing.set_by is None else f"{standing.set_by}: {standing.reason}"
    bounds = f"{standing.lower:.3f} to {standing.upper:.3f}, each with {share(rules.confidence)}"
    rows: list[tuple[str, object]] = [
        ("level", f"{standing.level}, {standing.meaning} ({came})"),
        ("evidence", sources or "none of this version"),
        ("acts", f"{standing.successes} right, {standing.failures} not, {standing.verified} of them looked at later"),
        ("chance to do right", f"{standing.mean:.3f}; {bounds}"),
    ]
    if standing.promotion is not None:
        rows.append(("next", f"level {standing.next_level} waits: bailiwick autonomy confirm {standing.promotion.id}"))
    elif standing.next_level is not None:
        rows.append(
            (f"missing for {standing.next_level}", standing.missing or "nothing; proposed with the next success")
        )
    return rows
