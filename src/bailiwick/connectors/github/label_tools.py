"""Tools that put labels on an issue and take them off again."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from bailiwick.authority.model import EffectClass
from bailiwick.connectors.errors import ConnectorNotFoundError
from bailiwick.connectors.github.issue_tools import IssueArguments, IssueTool
from bailiwick.connectors.github.label_names import GIVEN_LABELS
from bailiwick.effects import Call, Undo, Verdict
from bailiwick.effects.slots import Slot
from bailiwick.effects.tool import Recovery

if TYPE_CHECKING:
    from bailiwick.connectors.github.client import GitHubClient

UNDO_WITHIN = timedelta(days=90)

LabelName = Annotated[str, Slot(GIVEN_LABELS), Field(min_length=1, max_length=50, pattern=r"^\S(?:.*\S)?$")]


class LabelArguments(IssueArguments):
    """Which labels of which issue. Names from the list that extensions declare are bounded, others free text."""

    labels: Annotated[tuple[LabelName, ...], Field(min_length=1, max_length=20, description="Names of labels.")]


class _LabelTool(IssueTool[LabelArguments]):
    effect_class: ClassVar[EffectClass] = "write"
    arguments: ClassVar[type[BaseModel]] = LabelArguments
    recovery: ClassVar[Recovery] = "idempotent"

    async def _seen(self, client: "GitHubClient", arguments: LabelArguments) -> dict[str, Any]:
        """Return the issue's state and which of the labels it has: others are no part of this decision."""
        issue = await client.get_issue(arguments.repository, arguments.number)
        return {"state": issue["state"], "present": _among(arguments.labels, _names(issue))}

    def _changed(self, call: Call[LabelArguments], names: Iterable[str]) -> LabelArguments | None:
        labels = tuple(names)
        return call.arguments.model_copy(update={"labels": labels}) if labels else None


class AddLabels(_LabelTool):
    """Adds labels; those there already stay. GitHub makes a label that its repository does not have yet."""

    name: ClassVar[str] = "github.add_labels"
    summary: ClassVar[str] = "add labels to an issue"

    async def _do(self, client: "GitHubClient", call: Call[LabelArguments]) -> Any:
        wanted = call.arguments
        return {"labels": list(await client.add_labels(wanted.repository, wanted.number, wanted.labels))}

    async def _look(self, client: "GitHubClient", call: Call[LabelArguments], result: Any) -> Verdict:
        del result
        seen = await self._seen(client, call.arguments)
        missing = _without(call.arguments.labels, seen["present"])
        return Verdict("refuted" if missing else "verified", {"present": seen["present"], "missing": missing})

    def undo(self, call: Call[LabelArguments], observed: Any, result: Any) -> Undo | None:
        """Return the removal of the labels that were not there before; None where all were."""
        del result
        added = self._changed(call, _without(call.arguments.labels, observed["present"]))
        return None if added is None else Undo(RemoveLabels.name, added, within=UNDO_WITHIN)

    def undo_of(self, arguments: LabelArguments) -> str | None:
        """Say what could be undone."""
        del arguments
        return f"labels that were not there before can be removed within {UNDO_WITHIN.days} days"


class RemoveLabels(_LabelTool):
    """Takes labels off an issue; those it does not have are no fault."""

    name: ClassVar[str] = "github.remove_labels"
    summary: ClassVar[str] = "remove labels from an issue"

    async def _do(self, client: "GitHubClient", call: Call[LabelArguments]) -> Any:
        wanted = call.arguments
        # A 404 would not tell an issue without the label from none at all.
        issue = await client.get_issue(wanted.repository, wanted.number)
        removed = _among(wanted.labels, _names(issue))
        for label in removed:
            try:
                await client.remove_label(wanted.repository, wanted.number, label)
            except ConnectorNotFoundError:
                continue
        return {"removed": removed}

    async def _look(self, client: "GitHubClient", call: Call[LabelArguments], result: Any) -> Verdict:
        del result
        seen = await self._seen(client, call.arguments)
        return Verdict("refuted" if seen["present"] else "verified", {"present": seen["present"]})

    def undo(self, call: Call[LabelArguments], observed: Any, result: Any) -> Undo | None:
        """Return the adding of the labels that were there before; None where none was."""
        del result
        removed = self._changed(call, observed["present"])
        return None if removed is None else Undo(AddLabels.name, removed, within=UNDO_WITHIN)

    def undo_of(self, arguments: LabelArguments) -> str | None:
        """Say what could be undone."""
        del arguments
        return f"labels that were there before can be added again within {UNDO_WITHIN.days} days"


def _names(issue: dict[str, Any]) -> list[str]:
    return [str(label["name"]) for label in issue["labels"]]


def _among(wanted: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return the wanted labels that are there, each once, in one order; GitHub tells them apart without case."""
    known = {name.casefold() for name in there}
    return sorted({name.casefold(): name for name in wanted if name.casefold() in known}.values())


def _without(wanted: Iterable[str], there: Iterable[str]) -> list[str]:
    known = {name.casefold() for name in there}
    return sorted({name.casefold(): name for name in wanted if name.casefold() not in known}.values())
