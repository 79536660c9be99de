"""``bailiwick effects``: what agents changed outside, or wanted to, and what became of it."""

from typing import Annotated, Literal, get_args

import typer
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, plain, print_facts, print_json, print_more, print_table
from bailiwick.cli.session import operator, with_organization
from bailiwick.effects.record import EffectFilter, EffectMove, EffectRecord
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.storage.pages import Page
from bailiwick.tasks.acting import EffectState

app = typer.Typer(no_args_is_help=True)

EffectId = Annotated[str, typer.Argument(metavar="EFFECT_ID", help="The effect.")]

_STYLES: dict[EffectState, str] = {
    "waiting": "yellow", "executing": "bold cyan", "applied": "cyan", "verified": "green", "declined": "dim",
    "failed": "red", "unknown": "bold red", "refuted": "red", "unverifiable": "yellow", "reverted": "blue",
}  # fmt: skip


@app.callback()
def effects() -> None:
    """List and show effects; say what became of one of which nobody can tell."""


@app.command("list")
def list_effects(
    org: Org = HOME,
    *,
    state: Annotated[str | None, typer.Option("--state", help="Only those in this state, such as unknown.")] = None,
    tool: Annotated[str | None, typer.Option("--tool", help="Only those of this tool.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Only those on this target, as kind:id.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="Only those of this run.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME|ID", help="Only those of this agent.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List effects, newest first."""
    if state is not None and state not in get_args(EffectState):
        raise InvalidInputError(f"there is no state {state!r}; there are: {', '.join(get_args(EffectState))}")

    async def read(installation: Installation, organization: Organization) -> Page[EffectRecord]:
        who = None if agent is None else (await installation.directory.get(organization.id, agent)).id
        wanted = EffectFilter(state=state, tool=tool, target=target, task_id=task, agent_id=who)
        return await installation.effects.list(organization.id, wanted, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "tool", "target", "state", "proposed", "reason"),
        (
            (one.id, one.tool, one.target, _state(one.state), one.proposed_at, one.problem or one.reason)
            for one in page.items
        ),
        empty=(
            "no such effects here; see all with: bailiwick effects list"
            if any((state, tool, target, task, agent, cursor))
            else "no effects here; agents act through tools, see: bailiwick tools"
        ),
    )
    print_more(page)


@app.command()
def show(effect_id: EffectId, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show one effect with everything that happened to it."""

    async def read(installation: Installation, organization: Organization) -> tuple[EffectRecord, list[EffectMove]]:
        effect = await installation.effects.get(organization.id, effect_id)
        return effect, await installation.effects.history(organization.id, effect.id)

    effect, moves = with_organization(org, read)
    if as_json:
        print_json({**plain(effect), "moves": plain(moves)})
        return
    facts = ((name, getattr(effect, name)) for name in EffectRecord.__dataclass_fields__)
    print_facts((name, ", ".join(value) if name == "labels" else value) for name, value in facts)
    print_table(
        ("state", "since", "detail"),
        ((_state(move.state), move.at, move.note) for move in moves),
        empty="",
        title="\nlife",
    )


@app.command("settle-unknown")
def settle_unknown(
    effect_id: EffectId,
    outcome: Annotated[str, typer.Argument(metavar="applied|failed", help="What you found when you looked.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="How you know; it is kept in the audit log.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Say what became of an effect of which nobody can tell; its run goes on with that."""
    found = _outcome(outcome)

    async def settle(installation: Installation, organization: Organization) -> EffectRecord:
        return await installation.effects.settle_unknown(
            organization.id, effect_id, found, actor=operator(), reason=reason
        )

    settled = with_organization(org, settle)
    if as_json:
        print_json(settled)
    else:
        note(f"settled: {settled.tool} on {settled.target} is {settled.state}", style="green")


def _outcome(text: str) -> Literal["applied", "failed"]:
    if text == "applied":
        return "applied"
    if text == "failed":
        return "failed"
    raise InvalidInputError("an effect took place or it did not: say applied or failed")


def _state(state: EffectState) -> Text:
    return Text(state, style=_STYLES.get(state, ""))
