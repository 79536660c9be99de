"""``bailiwick trace``: one event, task or issue through all stages."""

from typing import Annotated, Any

import orjson
import typer
from rich.text import Text
from rich.tree import Tree

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import STATE_STYLES, duration, note, print_json, screen
from bailiwick.cli.session import with_organization
from bailiwick.cli.values import moment
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.installation.tracing import Trace, TracedEvent, TracedStep, TracedTask, Tracer
from bailiwick.kernel.labels import is_untrusted

app = typer.Typer()

_SHOWN = ("title", "reason", "reasons", "summary", "decision", "department", "operation", "status", "priority")


@app.command()
def trace(
    about: Annotated[
        str, typer.Argument(metavar="EVENT_ID|TASK_ID|KEY", help="An id, or an issue's key such as owner/name#7.")
    ],
    steps: Annotated[bool, typer.Option("--steps/--no-steps", help="Show the journal of each task.")] = True,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Show everything that followed: tasks, who was chosen and why, steps, results, further events.

    Of a task that dealt with many issues, such as sla.sweep, only what is about
    this one is shown; ask for the task by its id to see all of it.
    """

    async def read(installation: Installation, organization: Organization) -> Trace:
        return await Tracer(installation.database).trace(organization.id, about)

    found = with_organization(org, read)
    if as_json:
        print_json(found)
        return
    for root in found.roots:
        screen().print(_tree(root, found.about, with_steps=steps))
    if found.is_cut:
        note("the trace is cut here; ask for one of its later events or tasks to see the rest", style="yellow")


def _tree(root: TracedEvent | TracedTask, about: str, *, with_steps: bool) -> Tree:
    tree = Tree(_label(root, about), guide_style="dim")
    _grow(tree, root, about, with_steps=with_steps)
    return tree


def _grow(tree: Tree, node: TracedEvent | TracedTask, about: str, *, with_steps: bool) -> None:
    if isinstance(node, TracedTask):
        for line in _facts(node):
            tree.add(line)
        if with_steps and node.steps:
            journal = tree.add(Text("journal", style="dim"))
            for step in node.steps:
                journal.add(_step(step))
    for following in node.followed_by:
        _grow(tree.add(_label(following, about)), following, about, with_steps=with_steps)


def _label(node: TracedEvent | TracedTask, about: str) -> Text:
    mark = " ◀" if node.id == about else ""
    if isinstance(node, TracedEvent):
        label = Text.assemble(("● ", "magenta"), (node.type, "bold magenta"))
        label.append(f"  {node.key}" if node.key else "", style="")
        label.append(f"  {_excerpt(node.payload)}", style="dim")
        _mark_labels(label, node.labels)
        return label.append(f"  {moment(node.recorded_at)}{mark}", style="dim")
    label = Text.assemble(("▶ ", "cyan"), (node.kind, "bold"), "  ", (node.state, STATE_STYLES.get(node.state, "")))
    if node.agent is not None:
        label.append(f"  {node.agent}", style="bold cyan")
    label.append(f"  P{node.priority}", style="dim")
    _mark_labels(label, node.labels)
    if node.started_at and node.finished_at:
        label.append(f"  {duration((node.finished_at - node.started_at).total_seconds())}", style="dim")
    return label.append(f"  {node.id}{mark}", style="dim")


def _facts(task: TracedTask) -> list[Text]:
    lines: list[Text] = []
    if task.choice:
        lines.append(Text.assemble(("chosen: ", "cyan"), str(task.choice.get("reason", ""))))
        barred = task.choice.get("barred", [])
        lines += [Text(f"  not {who.get('name')}: {who.get('because')}", style="dim") for who in barred]
    lines += [
        Text(f"attempt {error.get('attempt', '?')} failed: {error.get('message', '')}", style="red")
        for error in task.errors
    ]
    if task.reason:
        lines.append(Text(f"ended: {task.reason}", style="yellow"))
    if task.result is not None:
        lines.append(Text.assemble(("result: ", "green"), _excerpt(task.result)))
    return lines


def _step(step: TracedStep) -> Text:
    took = "still open" if step.finished_at is None else duration((step.milliseconds or 0) / 1000)
    line = Text.assemble(
        f"{step.seq} ", (step.kind, "dim"), f" {step.name} ", (took, "dim"), (f"  {_excerpt(step.result)}", "dim")
    )
    _mark_labels(line, step.labels)
    return line


def _mark_labels(line: Text, labels: list[str]) -> None:
    """Show where something comes from; what is not trusted stands out."""
    for label in labels:
        line.append(f"  {label}", style="yellow" if is_untrusted([label]) else "dim")


def _excerpt(value: Any, length: int = 140) -> str:
    """Return what a person wants to know of a payload or result, on one line."""
    if isinstance(value, dict):
        told = {name: value[name] for name in _SHOWN if value.get(name)}
        value = told or value
        text = "; ".join(f"{name} {_plain(entry)}" for name, entry in value.items() if entry not in (None, [], {}, ""))
    else:
        text = _plain(value)
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return ", ".join(value)
    return orjson.dumps(value, default=str).decode()
