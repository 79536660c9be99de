"""What people do to tasks: cancel, pause, resume, redrive, fork; one or many at once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import LiteralString

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.waking import DUE, TAKEN, TASKS, Wakeups

MAX_BULK = 10_000
# More tasks than this are counted in the audit log and not named.
_NAMED = 100


class TaskControl:
    """Moves tasks by hand. Each call returns the ids it changed; the others were not in a state for it."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        self._audit = AuditLog(database)

    async def cancel(
        self, organization_id: str, task_ids: Sequence[str], *, reason: str = "cancelled", actor: Actor = SYSTEM
    ) -> list[str]:
        """End unfinished tasks and all their descendants, whoever executes them.

        A run under way is stopped at its next await and writes nothing more.
        """
        act = Act(organization_id, "task.cancelled", actor, "", reason=reason)
        cancelled = await self._apply(
            "select task_cancel(%s, %s::uuid[], %s) as id", (organization_id, _checked(task_ids), reason), act
        )
        self._tell_taken(cancelled)
        self._wakeups.announce(TASKS)
        return cancelled

    async def pause(self, organization_id: str, task_ids: Sequence[str], *, actor: Actor = SYSTEM) -> list[str]:
        """Park unfinished tasks; finished steps stay, the step under way will run again."""
        paused = await self._apply(
            "select task_pause(%s, %s::uuid[]) as id",
            (organization_id, _checked(task_ids)),
            Act(organization_id, "task.paused", actor, ""),
        )
        self._tell_taken(paused)
        return paused

    async def resume(self, organization_id: str, task_ids: Sequence[str], *, actor: Actor = SYSTEM) -> list[str]:
        """Let paused tasks go on where they were; who lets them asks for what they do from here on."""
        resumed = await self._apply(
            "select task_resume(%s, %s::uuid[]) as id",
            (organization_id, _checked(task_ids)),
            Act(organization_id, "task.resumed", actor, ""),
            is_asked_again=True,
        )
        await self._database.execute("select task_wake_from_history(%s::uuid[])", (resumed,))
        for topic in (TASKS, DUE):
            self._wakeups.announce(topic)
        return resumed

    async def redrive(self, organization_id: str, task_ids: Sequence[str], *, actor: Actor = SYSTEM) -> list[str]:
        """Bring discarded or cancelled tasks back; finished steps are not run again.

        Who brings them asks for what they do from here on, beside whoever asked before.
        """
        redriven = await self._apply(
            "select task_redrive(%s, %s::uuid[]) as id",
            (organization_id, _checked(task_ids)),
            Act(organization_id, "task.redriven", actor, ""),
            is_asked_again=True,
        )
        self._wakeups.announce(TASKS)
        return redriven

    async def fork(
        self,
        organization_id: str,
        task_id: str,
        *,
        from_step: int,
        actor: Actor = SYSTEM,
    ) -> str:
        """Add a copy that keeps the steps before ``from_step`` and does the rest anew; audited as ``task.forked``.

        It carries the labels of the original and of the ``actor``, who asks for the fork.

        Raises:
            NotFoundError: no such task here.
        """
        if from_step < 0:
            raise InvalidInputError("from_step counts from 0")
        (original,), forked = _checked([task_id]), new_id()
        after = {"task_id": forked, "from_step": from_step}
        act = Act(organization_id, "task.forked", actor, f"task:{original}", after=after)
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "select task_fork(%s, %s, %s, %s, %s) as made",
                (organization_id, original, forked, from_step, sorted(actor.labels)),
            )
            row = await cursor.fetchone()
            if row is None or not row["made"]:
                raise NotFoundError(f"no task {task_id} in this organization")
            await self._audit.record(act, connection=connection)
        self._wakeups.announce(TASKS)
        return forked

    async def _apply(
        self, sql: LiteralString, params: tuple[object, ...], act: Act, *, is_asked_again: bool = False
    ) -> list[str]:
        """Run a move and record it, one entry a call; a call that changed nothing leaves none."""
        async with self._database.transaction(act.organization_id) as connection:
            cursor = await connection.execute(sql, params)
            changed: list[str] = [row["id"] for row in await cursor.fetchall()]
            if changed and is_asked_again and act.actor.labels:
                await connection.execute("select task_asked_again(%s::uuid[], %s)", (changed, sorted(act.actor.labels)))
            if changed:
                target = f"task:{changed[0]}" if len(changed) == 1 else f"tasks:{len(changed)}"
                after = {"count": len(changed), "task_ids": changed[:_NAMED]}
                await self._audit.record(replace(act, target=target, after=after), connection=connection)
        return changed

    def _tell_taken(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            self._wakeups.announce(TAKEN, task_id)


def only(changed: Sequence[str], task_id: str, what: str) -> str:
    """Return the single id changed, or raise ConflictError saying that it could not be."""
    if not changed:
        raise ConflictError(f"task {task_id} cannot be {what} in its present state, or is not in this organization")
    return changed[0]


def _checked(task_ids: Sequence[str]) -> list[str]:
    if len(task_ids) > MAX_BULK:
        raise InvalidInputError(f"{len(task_ids):,} tasks at once; the limit is {MAX_BULK:,}")
    identifiers: list[str] = []
    for task_id in task_ids:
        identifier = parse_id(task_id)
        if identifier is None:
            raise InvalidInputError(f"{task_id!r} is not a task id")
        identifiers.append(identifier)
    return identifiers
