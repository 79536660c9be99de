"""Writes and reads the audit log."""

from bailiwick.audit.model import Act
from bailiwick.kernel.documents import encode
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection

_APPEND = (
    "insert into audit_entries (id, organization_id, action, actor_kind, actor_id, actor_name, address, target, "
    "before, after, reason) values (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s)"
)


class AuditLog:
    """The audit logs of all organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, act: Act, *, connection: Connection | None = None) -> None:
        """Append an act; with a ``connection``, in the transaction that performs it.

        That transaction must be the act's organization's.
        """
        values = (
            new_id(), act.organization_id, act.action, act.actor.kind, act.actor.id, act.actor.name,
            act.actor.address, act.target, _document(act.before), _document(act.after), act.reason,
        )  # fmt: skip
        if connection is not None:
            await connection.execute(_APPEND, values)
        else:
            await self._database.execute(_APPEND, values, organization_id=act.organization_id)


def _document(fields: object) -> str | None:
    return None if fields is None else encode(fields, what="audited fields").decode()
