"""``bailiwick tasks``: look at tasks and move them by hand."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from bailiwick.cli.bulk import Selection, change_tasks
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org, Yes
from bailiwick.cli.output import (
    duration,
    print_document,
    print_facts,
    print_json,
    print_more,
    print_table,
    screen,
    state_text,
)  # fmt: skip
from bailiwick.cli.session import operator, with_organization
from bailiwick.cli.values import amount, in_line
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.storage.pages import Page
from bailiwick.tasks.reader import StepRecord, TaskFilter, TaskRecord, parse_states

app = typer.Typer(no_args_is_help=True)

TaskIds = Annotated[list[str] | None, typer.Argument(metavar="[TASK_ID]...", help="Which tasks; none: by the filters.")]
TaskId = Annotated[str, typer.Argument(metavar="TASK_ID", help="The task.")]
States = Annotated[list[str] | None, typer.Option("--state", help="Only in this state; may be given more than once.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only of this kind.")]


@app.callback()
def tasks() -> None:
    """List, show, cancel, pause, resume, redrive and fork tasks. Dead letters: list --state discarded."""


@app.command("list")
def list_tasks(
    *,
    org: Org = HOME,
    state: States = None,
    kind: Kind = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only of this agent.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first."""
    states = parse_states(state or [])

    async def read(installation: Installation, organization: Organization) -> Page[TaskRecord]:
        agent_id = None if agent is None else (await installation.directory.get(organization.id, agent)).id
        wanted = TaskFilter(states=states, kind=kind, agent_id=agent_id)
        return await installation.tasks.list(organization.id, wanted, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "kind", "state", "prio", "made", ">tries", ">took", "deadline", "reason"),
        (
            (
                task.id, task.kind, state_text("paused" if task.is_paused else task.state), f"P{task.priority}",
                task.inserted_at, task.failures + task.recoveries + (task.started_at is not None), _took(task),
                task.deadline_at, _reason(task),
            )
            for task in page.items
        ),
        empty="no such tasks",
    )  # fmt: skip
    print_more(page)


@app.command()
def show(task_id: TaskId, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show one task with its journal, errors and result."""

    async def read(installation: Installation, organization: Organization) -> tuple[TaskRecord, list[StepRecord]]:
        task = await installation.tasks.get(organization.id, task_id)
        return task, await installation.tasks.journal(organization.id, task.id)

    task, steps = with_organization(org, read)
    if as_json:
        print_json({**asdict(task), "steps": [asdict(step) for step in steps]})
        return
    _show(task, steps)


@app.command()
def cancel(
    task_ids: TaskIds = None, *, org: Org = HOME, state: States = None, kind: Kind = None, yes: Yes = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """End unfinished tasks and their descendants, whoever executes them."""
    change_tasks("cancel", Selection.of(task_ids, state, kind), org, is_sure=yes, as_json=as_json)


@app.command()
def pause(
    task_ids: TaskIds = None, *, org: Org = HOME, state: States = None, kind: Kind = None, yes: Yes = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Park unfinished tasks; their finished steps stay."""
    change_tasks("pause", Selection.of(task_ids, state, kind), org, is_sure=yes, as_json=as_json)


@app.command()
def resume(
    task_ids: TaskIds = None, *, org: Org = HOME, state: States = None, kind: Kind = None, yes: Yes = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let paused tasks go on where they were."""
    change_tasks("resume", Selection.of(task_ids, state, kind), org, is_sure=yes, as_json=as_json)


@app.command()
def redrive(
    task_ids: TaskIds = None, *, org: Org = HOME, state: States = None, kind: Kind = None, yes: Yes = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Bring discarded or cancelled tasks back; finished steps are not run again."""
    change_tasks("redrive", Selection.of(task_ids, state, kind), org, is_sure=yes, as_json=as_json)


@app.command()
def fork(
    task_id: TaskId,
    from_step: Annotated[int, typer.Option("--from-step", min=0, help="The first step that is done anew.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Add a copy of a task that keeps the steps before one and does the rest anew."""

    async def make(installation: Installation, organization: Organization) -> str:
        kind = (await installation.tasks.get(organization.id, task_id)).kind
        # Of a kind whose extension is gone nothing is known, and nothing carries it out.
        if kind in installation.queue.kinds.names():
            installation.queue.kinds.get(kind).check_by_hand()
        return await installation.control.fork(organization.id, task_id, from_step=from_step, actor=operator())

    forked = with_organization(org, make)
    if as_json:
        print_json({"task_id": forked, "forked_from": task_id, "from_step": from_step})
    else:
        screen().print(forked)


def _took(task: TaskRecord) -> str | None:
    if task.started_at is None or task.finished_at is None:
        return None
    return duration((task.finished_at - task.started_at).total_seconds())


def _reason(task: TaskRecord) -> str:
    told = task.reason or (str(task.errors[-1].get("message", "")) if task.errors else "")
    return told.partition("\n")[0]


def _show(task: TaskRecord, steps: list[StepRecord]) -> None:
    print_facts(
        (
            ("id", task.id), ("kind", task.kind), ("state", state_text(task.state)), ("priority", f"P{task.priority}"),
            ("made", task.inserted_at), ("took", _took(task)), ("deadline", task.deadline_at),
            ("agent", task.agent_id), ("chosen because", (task.choice or {}).get("reason")),
            ("parent", task.parent_id), ("cause", task.cause_id), ("waits for", _waits_for(task)),
            ("cost", amount(task.cost)), ("reason", task.reason),
            ("labels", ", ".join(task.result_labels or task.labels)),
        )
    )  # fmt: skip
    print_document("\npayload", task.payload)
    if steps:
        print_table(
            (">step", "kind", "name", ">took", "result"),
            ((step.seq, step.kind, step.name, _step_took(step), in_line(step.result)) for step in steps),
            empty="", title="\nsteps",
        )  # fmt: skip
    for error in task.errors:
        told = f"\nattempt {error.get('attempt', '?')} failed: {error.get('message', '')}"
        screen().print(Text(told, style="red"), soft_wrap=True)
    if task.result is not None:
        print_document("\nresult", task.result)


def _waits_for(task: TaskRecord) -> str | None:
    return f"{task.wait_event} about {task.wait_key}" if task.wait_event else None


def _step_took(step: StepRecord) -> str:
    return "open" if step.finished_at is None else duration((step.milliseconds or 0) / 1000)
