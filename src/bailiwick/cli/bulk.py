"""Changing many tasks: named ones, or all that filters find, after asking."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import typer

from bailiwick.cli.output import note, notes, print_json
from bailiwick.cli.session import operator, with_organization
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from bailiwick.storage.pages import MAX_PAGE
from bailiwick.tasks.control import MAX_BULK
from bailiwick.tasks.model import LIVE_STATES, TaskState
from bailiwick.tasks.reader import TaskFilter, parse_states

Change = Literal["cancel", "pause", "resume", "redrive"]
_APPLIES_TO: dict[Change, Sequence[TaskState]] = {
    "cancel": sorted(LIVE_STATES), "pause": sorted(LIVE_STATES), "resume": sorted(LIVE_STATES),
    "redrive": (TaskState.DISCARDED, TaskState.CANCELLED),
}  # fmt: skip
_DONE: dict[Change, str] = {"cancel": "cancelled", "pause": "paused", "resume": "resumed", "redrive": "redriven"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Tasks by id, or by state and kind."""

    task_ids: tuple[str, ...]
    states: tuple[TaskState, ...]
    kind: str | None

    @classmethod
    def of(cls, task_ids: Sequence[str] | None, states: Sequence[str] | None, kind: str | None) -> "Selection":
        """Return what the command line says.

        Raises:
            InvalidInputError: it says nothing, or ids and filters at once.
        """
        if bool(task_ids) == bool(states or kind):
            raise InvalidInputError("name tasks by id, or select them with --state and --kind, one of the two")
        return cls(tuple(task_ids or ()), tuple(parse_states(states or [])), kind)


def change_tasks(change: Change, selection: Selection, org: str, *, is_sure: bool, as_json: bool) -> None:
    """Change the selected tasks, after asking where filters selected them.

    Raises:
        ConflictError: none of the tasks named was in a state for it.
    """

    async def work(installation: Installation, organization: Organization) -> list[str]:
        task_ids = selection.task_ids or await _found(installation, organization, change, selection)
        if not selection.task_ids and task_ids and not is_sure:
            _ask(change, len(task_ids))
        changed: list[str] = []
        apply = _apply(installation, change)
        for start in range(0, len(task_ids), MAX_BULK):
            changed += await apply(organization.id, task_ids[start : start + MAX_BULK])
        return changed

    changed = with_organization(org, work)
    if as_json:
        print_json({_DONE[change]: changed})
    if selection.task_ids and not changed:
        raise ConflictError(f"no task was {_DONE[change]}: none of those named is here in a state that allows it")
    if not as_json:
        note(f"{_DONE[change]} {len(changed):,} task{'' if len(changed) == 1 else 's'}", style="")


def _apply(installation: Installation, change: Change) -> Callable[[str, Sequence[str]], Awaitable[list[str]]]:
    control = installation.control
    apply = {
        "cancel": control.cancel, "pause": control.pause, "resume": control.resume, "redrive": control.redrive,
    }[change]  # fmt: skip
    return partial(apply, actor=operator())


async def _found(
    installation: Installation, organization: Organization, change: Change, selection: Selection
) -> list[str]:
    wanted = TaskFilter(states=selection.states or _APPLIES_TO[change], kind=selection.kind)
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await installation.tasks.list(organization.id, wanted, limit=MAX_PAGE, cursor=cursor)
        found += [task.id for task in page.items if change != "resume" or task.is_paused]
        cursor = page.next_cursor
        if cursor is None:
            return found


def _ask(change: Change, count: int) -> None:
    question = f"{change} {count:,} task{'' if count == 1 else 's'}?"
    if not notes().is_terminal:
        raise InvalidInputError(f"{question} Nobody is here to ask; say --yes")
    typer.confirm(question, abort=True, err=True)
