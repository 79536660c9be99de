"""Issues that were closed outside: found so, or closed while we knew them; and what that means for duplicates."""

from collections.abc import Mapping, Sequence
from typing import Any

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import encode
from bailiwick.kernel.ids import new_id
from bailiwick.packs.operations import event_types as facts
from bailiwick.packs.operations.case import Case
from bailiwick.packs.operations.classification import label_target
from bailiwick.packs.operations.gathering import Gathering
from bailiwick.packs.operations.priority import Priority, priority_of_label
from bailiwick.packs.operations.repository import Actor, IssueStore
from bailiwick.storage import Database
from bailiwick.storage.rows import RowFields, batch, raw
from bailiwick.tasks import Run

OUTSIDE = Actor("rule", "source")
_DUPLICATES = Actor("rule", "duplicates")


class IssueHistory:
    """The handlers of ``issue.record``, ``issue.close`` and ``issue.wake_duplicates``."""

    def __init__(self, database: Database) -> None:
        self._store = IssueStore(database)
        self._history: Gathering[RowFields, None] = Gathering(self._keep)

    async def record(self, run: Run, issue: IssueRecord) -> dict[str, Any]:
        """Keep an issue that was closed before we saw it, with the labels people gave; no clock runs for it."""
        reason = f"found closed in {issue.source}{_because(issue)}"
        row = _history_row(run.task.organization_id, issue, reason, run.step_key("record"))
        await run.step("record", self._history.put, row)
        return {"issue": issue.key, "status": "done", "reason": reason}

    async def close(self, run: Run, issue: IssueRecord) -> dict[str, Any]:
        """Close an issue that was closed outside."""
        case = Case(run, self._store, issue)
        reason = f"closed in {issue.source}{_because(issue)}"
        found = await run.step("close", self._close, case, reason, run.step_key("close"))
        if found["is_open"]:
            return {
                "issue": issue.key,
                "is_open": True,
                "reason": f"a newer version says that it is open: not {reason}",
            }
        if found["is_moved"]:
            await case.tell("issue.done", facts.IssueSettled(key=case.key, reason=reason))
        return {"issue": issue.key, "status": "done", "reason": reason}

    async def wake_duplicates(self, run: Run, settled: facts.IssueSettled) -> dict[str, Any]:
        """Bring the duplicates of an issue that was settled before a person."""
        organization_id = run.task.organization_id
        keys: list[str] = await run.step("find", self._store.duplicates_of, organization_id, settled.key)
        for key in keys:
            await run.step(f"wake {key}", self._wake, organization_id, settled.key, key, run.step_key("wake"))
        return {"issue": settled.key, "woken": keys}

    async def _keep(self, rows: Sequence[RowFields]) -> Sequence[None]:
        by_organization: dict[str, list[RowFields]] = {}
        for row in rows:
            by_organization.setdefault(str(row["org"]), []).append(row)
        for organization_id, mine in by_organization.items():
            await self._store.database.execute(
                "select issues_keep_history(%s::jsonb)", (batch(mine),), organization_id=organization_id
            )
        return [None] * len(rows)

    async def _close(self, case: Case, reason: str, made_by: str) -> dict[str, bool]:
        issue, organization_id = case.issue, case.organization_id
        before = await self._store.find(organization_id, case.key)
        # One closed before it ever reached us is history like an imported one.
        is_history = before is None
        await self._store.record(organization_id, issue, status="todo", reason=reason, is_history=is_history)
        known = await self._store.find(organization_id, case.key)
        if known is not None and known.state == "open":
            # Opened again since: what is urgent, as a reopening, is worked on before a closing.
            return {"is_open": True, "is_moved": False}
        if is_history:
            await case.set(_labelled(issue))
        moved = await self._store.move(organization_id, case.key, "done", actor=OUTSIDE, reason=reason, made_by=made_by)
        await case.set({"closed_at": issue.closed_at, "done_at": issue.closed_at})
        return {"is_open": False, "is_moved": moved.is_moved}

    async def _wake(self, organization_id: str, original: str, key: str, made_by: str) -> None:
        await self._store.move(
            organization_id, key, "review", actor=_DUPLICATES, made_by=made_by, only_from=["blocked"],
            reason=f"{original} is done; a person should see whether that settles this one too",
        )  # fmt: skip


def _because(issue: IssueRecord) -> str:
    return f" as {issue.state_reason}" if issue.state_reason else ""


def _history_row(organization_id: str, issue: IssueRecord, reason: str, made_by: str) -> RowFields:
    return {
        "id": new_id(), "transition": new_id(), "org": organization_id, "key": issue.key, "number": issue.number,
        "title": issue.title, "record": raw(encode(issue)), "labels": list(issue.labels), "author": issue.author,
        "opened_at": issue.created_at, "closed_at": issue.closed_at or issue.updated_at or issue.created_at,
        "updated_at": issue.updated_at, "reason": reason, "made_by": made_by, **_labelled(issue),
    }  # fmt: skip


def _labelled(issue: IssueRecord) -> Mapping[str, Any]:
    """Return the columns that people's labels decide; what they do not say stays unknown."""
    target = label_target(issue.labels)
    department, _, operation = (target or "").partition(".")
    levels: list[Priority] = [level for label in issue.labels if (level := priority_of_label(label)) is not None]
    return {
        "department": department or None,
        "operation": operation or None,
        "priority": int(min(levels)) if levels else None,
    }
