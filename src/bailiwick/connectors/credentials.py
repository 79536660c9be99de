"""The tokens and secrets of connections: sealed in the database, opened only where they are used."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.connectors.errors import SecretMissingError
from bailiwick.kernel.documents import decode, encode
from bailiwick.kernel.errors import InvalidInputError, KeyErasedError
from bailiwick.storage import Database
from bailiwick.telemetry.redacting import hide
from bailiwick.vault import MasterKeyError, SealBrokenError, Vault
from bailiwick.vault.columns import SealedColumn

if TYPE_CHECKING:
    from bailiwick.connectors.connections import ConnectionRecord

COLUMN = SealedColumn("connections", "credentials", "connections.credentials:{id}")
_GIVE_AGAIN = "give them again: bailiwick connect credentials"
_MAX_BYTES = 16 * 1024


class Credentials:
    """Seals and opens what a connection needs to prove itself; by name, such as ``token``.

    A connection whose configuration has ``sealed``, the list of those names,
    keeps them here.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._audit = AuditLog(database)

    async def seal(self, organization_id: str, connection_id: str, values: Mapping[str, str]) -> bytes:
        """Return credentials sealed for one connection.

        Raises:
            InvalidInputError: one is empty, or they are longer than 16 KiB.
            MasterKeyError: there is no master key to seal with.
        """
        for name, value in values.items():
            if not value.strip():
                raise InvalidInputError(f"the {name} is empty; nothing was stored")
            _hide(value)
        document = encode(values, what="credentials", limit=_MAX_BYTES)
        return await self._vault.seal(organization_id, document, purpose=_purpose(connection_id), is_secret=False)

    async def open(self, connection: "ConnectionRecord") -> dict[str, str]:
        """Return the credentials of a connection, none where it keeps none here.

        Raises:
            SecretMissingError: they are said to be here and cannot be opened; the message says why.
        """
        if not connection.configuration.get("sealed"):
            return {}
        row = await self._database.fetch_one(
            "select credentials from connections where id = %s and organization_id = %s",
            (connection.id, connection.organization_id),
            organization_id=connection.organization_id,
        )
        if row is None or row["credentials"] is None:
            raise SecretMissingError(f"the credentials of {connection.target} are missing; {_GIVE_AGAIN}")
        try:
            opened = await self._vault.open(
                connection.organization_id, bytes(row["credentials"]), purpose=_purpose(connection.id), is_secret=False
            )
        except (KeyErasedError, SealBrokenError) as error:
            raise SecretMissingError(
                f"the credentials of {connection.target} cannot be opened: {error}; {_GIVE_AGAIN}"
            ) from error
        except MasterKeyError as error:
            raise SecretMissingError(f"the credentials of {connection.target} cannot be opened: {error}") from error
        values: dict[str, str] = decode(opened)
        for value in values.values():
            _hide(value)
        return values

    async def replace(self, connection: "ConnectionRecord", values: Mapping[str, str], *, actor: Actor) -> None:
        """Keep other credentials for a connection from now on; names that are not given stay as they were.

        Where those before are lost for good only the new ones are kept.

        Raises:
            SecretMissingError: those before cannot be opened for want of the master key; nothing was changed.
        """
        try:
            before = await self.open(connection)
        except SecretMissingError as error:
            if isinstance(error.__cause__, MasterKeyError):
                raise
            before = {}
        kept = {**before, **values}
        sealed = await self.seal(connection.organization_id, connection.id, kept)
        names = sorted(kept)
        async with self._database.transaction(connection.organization_id) as transaction:
            await transaction.execute(
                "update connections set credentials = %s, "
                "configuration = configuration || jsonb_build_object('sealed', %s::text[]) "
                "where id = %s and organization_id = %s",
                (sealed, names, connection.id, connection.organization_id),
            )
            act = Act(
                connection.organization_id, "connection.credentials_replaced", actor, f"connection:{connection.id}",
                before={"sealed": list(connection.configuration.get("sealed", []))},
                after={"sealed": names, "replaced": sorted(values)},
            )  # fmt: skip
            await self._audit.record(act, connection=transaction)


def _hide(value: str) -> None:
    # Two lines are two secrets, while one is being replaced.
    for line in value.splitlines():
        hide(line)


def _purpose(connection_id: str) -> str:
    return COLUMN.purpose_of({"id": connection_id})
