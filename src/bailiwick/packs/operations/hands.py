"""What people did by hand to issues at GitHub, as the calls that agents in shadow mode are compared with."""

import re
from collections.abc import Sequence

from bailiwick.connectors.github.deeds import Deed, IssueDeeds, Kind
from bailiwick.connectors.github.label_tools import AddLabels, RemoveLabels
from bailiwick.connectors.github.state_tools import CloseIssue, ReopenIssue
from bailiwick.outcomes.shadowing import Counterpart, ShadowAct

_ISSUE = re.compile(r"issue:([^#/]+/[^#/]+)#(\d+)")
_LABELLING: dict[Kind, str] = {"labeled": AddLabels.name, "unlabeled": RemoveLabels.name}
_MOVING: dict[Kind, str] = {"closed": CloseIssue.name, "reopened": ReopenIssue.name}


class HandsOnIssues:
    """Tells what people did at GitHub to the issue of an act that an agent was not let do.

    Labels are compared with labels, and closing with closing and opening
    again: who closed an issue said nothing about its labels. Other deeds, such
    as assignments, for which there is no tool, are shown only.
    """

    def __init__(self, deeds: IssueDeeds) -> None:
        self._deeds = deeds

    async def watch(self, act: ShadowAct) -> Sequence[Counterpart]:
        """Return what people did to the issue in that time; nothing for acts that are about no issue of GitHub.

        Raises:
            BailiwickError: GitHub cannot be asked.
        """
        issue = _ISSUE.fullmatch(act.target)
        if issue is None or act.tool.partition(".")[0] != "github":
            return []
        repository, number = issue[1], int(issue[2])
        deeds = await self._deeds.of(act.organization_id, repository, number, since=act.since, until=act.until)
        return counterparts(act, repository, number, deeds)


def counterparts(act: ShadowAct, repository: str, number: int, deeds: Sequence[Deed]) -> list[Counterpart]:
    """Return deeds, oldest first, as calls: what people took back themselves is no more their word."""
    issue = {"repository": repository, "number": number}
    compared: list[Counterpart] = []
    calls: list[Deed] = []
    if act.tool in _LABELLING.values():
        last = {(deed.what or "").casefold(): deed for deed in deeds if deed.kind in _LABELLING}
        for kind, tool in _LABELLING.items():
            given = [deed for deed in last.values() if deed.kind == kind]
            if given:
                compared.append(_call(given, tool, {**issue, "labels": _as_named(act, given)}))
        calls = [deed for deed in deeds if deed.kind in _LABELLING]
    elif act.tool in _MOVING.values():
        calls = [deed for deed in deeds if deed.kind in _MOVING]
        for deed in calls[-1:]:
            reason = {"reason": deed.what or "completed"} if deed.kind == "closed" else {}
            compared.append(_call([deed], _MOVING[deed.kind], {**issue, **reason}))
    shown = [Counterpart(f"{deed.kind} at github: {deed.id}", deed.at, None) for deed in deeds if deed not in calls]
    return compared + shown


def _call(deeds: Sequence[Deed], tool: str, arguments: dict[str, object]) -> Counterpart:
    named = ", ".join(deed.id for deed in deeds)
    return Counterpart(f"{deeds[-1].kind} at github: {named}", max(deed.at for deed in deeds), tool, arguments)


def _as_named(act: ShadowAct, deeds: Sequence[Deed]) -> list[str]:
    """Return the labels, those of the act as it writes them and first: neither case nor order tells labels apart."""
    wanted = [str(label) for label in act.arguments.get("labels", ())]
    given = {(deed.what or "").casefold(): deed.what or "" for deed in deeds}
    shared = [label for label in wanted if label.casefold() in given]
    return shared + sorted(name for key, name in given.items() if key not in {label.casefold() for label in shared})
