"""What a change of an issue outside means for its lifecycle: nothing, or that it is taken up again."""

from datetime import datetime
from typing import Any

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.classification import label_target
from bailiwick.packs.operations.priority import priority_of_label
from bailiwick.packs.operations.repository import IssueStore

# It waited for something that may have come now.
_WAITING = frozenset({"blocked", "failed", "error"})
# It has rested where it is; only another department or urgency moves it.
_RESTING = frozenset({"todo", "review"})


class Changes:
    """Compares what arrived with what is on record."""

    def __init__(self, store: IssueStore) -> None:
        self._store = store

    async def compare(self, organization_id: str, issue: IssueRecord, task_id: str) -> dict[str, Any]:
        """Return whether the issue is known, what changed, why it is to be taken up again, if it was reopened."""
        known = await self._store.find(organization_id, issue.key)
        if known is None:
            return {"is_known": False, "changed": [], "taken_up": None, "is_reopened": False}
        before = await self._store.text_of(organization_id, issue.key)
        # A poll sees how an issue stands, not that somebody opened it again.
        is_reopened = known.state == "closed" and issue.state == "open" and _told_at(issue) > _told_at(before)
        # What agents did there themselves is no news: else their own labels would bring the issue back for ever.
        before = before.model_copy(update={"labels": await self._with_given(organization_id, issue, before)})
        changed = changed_parts(before, issue)
        is_under_way = await self._store.is_under_way(organization_id, issue.key, task_id)
        taken_up: str | None = None
        if changed and known.state == "open" and not is_under_way:
            if known.status in _WAITING:
                taken_up = f"{' and '.join(changed)} changed while it was {known.status}"
            elif known.status in _RESTING and _said_of(before) != _said_of(issue):
                taken_up = "its labels name another department or priority"
        return {"is_known": True, "changed": changed, "taken_up": taken_up, "is_reopened": is_reopened}

    async def _with_given(self, organization_id: str, issue: IssueRecord, before: IssueRecord) -> tuple[str, ...]:
        given = await self._store.labels_given(organization_id, issue.key)
        return (*before.labels, *(label for label in issue.labels if label in given and label not in before.labels))

    async def keep(self, organization_id: str, issue: IssueRecord) -> None:
        """Keep the newer text and labels, nothing else."""
        await self._store.record(organization_id, issue, status="todo", reason="changed outside")


def changed_parts(before: IssueRecord, after: IssueRecord) -> list[str]:
    """Return the names of the parts that differ and can matter: title, body, labels, comments."""
    parts = [name for name in ("title", "body", "comments") if getattr(before, name) != getattr(after, name)]
    return [*parts, "labels"] if set(before.labels) != set(after.labels) else parts


def _told_at(issue: IssueRecord) -> datetime:
    return issue.updated_at or issue.created_at


def _said_of(issue: IssueRecord) -> tuple[str | None, int | None]:
    levels = [int(level) for label in issue.labels if (level := priority_of_label(label)) is not None]
    return label_target(issue.labels), min(levels, default=None)
