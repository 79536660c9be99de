"""A new task as a row for the database function ``task_enqueue``."""

from bailiwick.storage.rows import RowFields, raw
from bailiwick.tasks.model import NewTask


def new_task_row(  # noqa: C901 - one line for each field, written out: see below
    task_id: str, organization_id: str, task: NewTask, payload: bytes
) -> RowFields:
    """Return a row for ``task_enqueue``; fields at their default are left out."""
    row: RowFields = {"id": task_id, "org": organization_id, "kind": task.kind, "payload": raw(payload)}
    # Written out: a loop over fields would cost more than the rest of the row.
    if task.priority != 2:
        row["pri"] = task.priority
    if task.deadline_at is not None:
        row["deadline"] = task.deadline_at.isoformat()
    if task.delay_seconds is not None:
        row["delay"] = task.delay_seconds
    if task.run_at is not None:
        row["run"] = task.run_at.isoformat()
    if task.agent_id is not None:
        row["agent"] = task.agent_id
    if task.parent_id is not None:
        row["parent"] = task.parent_id
        row["pf"] = task.parent_fence
    if task.cause_id is not None:
        row["cause"] = task.cause_id
    if task.key is not None:
        row["key"] = task.key
    if task.choice is not None:
        row["choice"] = task.choice
    if task.labels:
        row["labels"] = sorted(task.labels)
    return row
