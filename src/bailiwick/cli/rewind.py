"""``bailiwick rewind``: takes back what a run did."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import ago, note, print_json, print_table
from bailiwick.cli.session import operator, with_organization
from bailiwick.effects.rewind_plan import PlannedUndo, RewindPlan
from bailiwick.effects.rewinding import RewindPayload, next_step
from bailiwick.identity import Organization
from bailiwick.installation import Installation

app = typer.Typer(no_args_is_help=True)


@app.command()
def rewind(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id: that of its task.")],
    to: Annotated[
        int, typer.Option("--to", min=0, metavar="STEP", help="The first step whose effects are taken back.")
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    around: Annotated[bool, typer.Option("--around", help="Leave standing what cannot be taken back.")] = False,
    even_moved: Annotated[bool, typer.Option("--even-moved", help="Take back also what was changed since.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; approvers see it.")] = "",
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Take back what a run did from a step on, the newest first; each inverse is decided like any other effect."""

    async def work(platform: Installation, organization: Organization) -> tuple[RewindPlan, str | None]:
        task = await platform.tasks.get(organization.id, run)
        wanted = RewindPayload(run=task.id, to_step=to, around=around, even_moved=even_moved, reason=reason)
        if dry_run:
            return await platform.rewinding.plan(organization.id, wanted), None
        begun = await platform.rewinding.begin(organization.id, wanted, actor=operator())
        return begun.plan, begun.task_id

    plan, task_id = with_organization(org, work)
    if as_json:
        print_json({**asdict(plan), "rewind_task_id": task_id, "next": next_step(plan.task_id, to)})
        return
    print_table(
        (">step", "effect", "on", "is", "by", "until", "reason"),
        (_row(one) for one in plan.undos),
        empty="this run changed nothing from that step on",
    )
    for child in plan.children:
        note(f"a run that this one spawned did something too; rewind it by itself: bailiwick rewind {child} --to 0")
    _say_what_follows(plan, task_id, is_dry=dry_run)


def _row(one: PlannedUndo) -> tuple[object, ...]:
    style = "red" if one.is_in_the_way else ""
    until = None if one.until is None else ago(one.until)
    return (
        one.step, one.tool, one.target, Text(_WORDS[one.prospect], style=style), one.inverse, until,
        one.why or one.limits,
    )  # fmt: skip


_WORDS = {
    "undo": "taken back", "reverted": "taken back before", "no_inverse": "not to be taken back",
    "too_late": "too late to take back", "moved": "changed since", "unknown": "unknown",
}  # fmt: skip


def _say_what_follows(plan: RewindPlan, task_id: str | None, *, is_dry: bool) -> None:
    if is_dry and plan.in_the_way:
        note("what is red stands in the way; --around leaves it standing, --even-moved takes back what changed since")
    elif task_id is not None:
        note(f"rewinding as task {task_id}; see how it goes: bailiwick tasks show {task_id}", style="")
        note(f"to do the rest anew afterwards: {next_step(plan.task_id, plan.to_step)}", style="")
    elif not plan.has_work:
        note("nothing is left to be taken back", style="")
