"""The status of an issue: the seven words, and which may follow which."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

IssueStatus = Literal["todo", "in-progress", "review", "done", "blocked", "failed", "error"]
ActorKind = Literal["agent", "person", "rule"]

STATUSES: tuple[IssueStatus, ...] = get_args(IssueStatus)

FOLLOWS: Mapping[IssueStatus, frozenset[IssueStatus]] = MappingProxyType(
    {
        "todo": frozenset({"in-progress", "review", "blocked", "failed", "error", "done"}),
        "in-progress": frozenset({"todo", "review", "done", "blocked", "failed", "error"}),
        "review": frozenset({"todo", "in-progress", "done", "blocked", "failed"}),
        "blocked": frozenset({"todo", "in-progress", "review", "done", "failed", "error"}),
        "failed": frozenset({"todo", "in-progress", "review", "done", "blocked"}),
        "error": frozenset({"todo", "in-progress", "review", "done", "blocked"}),
        # Only a reopening leads out of done.
        "done": frozenset({"todo"}),
    }
)
"""From a status to those that may follow it.

``todo``: nobody works on it. ``in-progress``: an agent does. ``review``: there is
a result, and a person decides what it leads to. ``done``: answered or closed.
``blocked``: it waits, for what the reason says. ``failed``: every agent that was
tried gave up. ``error``: our own code broke on it.
"""


def sources_of(status: IssueStatus) -> list[str]:
    """Return the statuses from which an issue may come to ``status``, itself among them for a note without a change."""
    return [one for one in STATUSES if status in FOLLOWS[one] or one == status]
