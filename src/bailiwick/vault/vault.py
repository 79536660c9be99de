"""Seals values with keys of their organization and person, and destroys those keys for good."""

import asyncio
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from bailiwick.kernel.errors import KeyErasedError
from bailiwick.kernel.loading import loaded
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.telemetry.redacting import hide
from bailiwick.vault.data_keys import DataKey, DataKeys, new_data_key_id
from bailiwick.vault.errors import MasterKeyError, SealBrokenError

if TYPE_CHECKING:
    from bailiwick.vault.key_file import MasterKeySource
    from bailiwick.vault.providers import KeyProvider

# How long a process uses a data key before it looks again whether it was destroyed.
ERASURE_SECONDS = 10.0
# How long an unwrapped data key stays in memory at most before it is unwrapped anew.
_UNWRAPPED_SECONDS = 300.0
_CAPACITY = 1024
_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Unwrapped:
    """A data key in memory."""

    row: DataKey
    key: bytes
    unwrapped_at: float
    checked_at: float


class Vault:
    """Envelope encryption for every organization.

    Nothing is read or made before something is first sealed or opened. A
    destroyed key is out of use in every process ``ERASURE_SECONDS`` after its
    destruction is committed.
    """

    def __init__(
        self, database: Database, source: "MasterKeySource", *, erasure_seconds: float = ERASURE_SECONDS
    ) -> None:
        self.keys = DataKeys(database)
        self._database = database
        self._source = source
        self.erasure_seconds = erasure_seconds
        self._unwrapped: OrderedDict[str, _Unwrapped] = OrderedDict()
        self._newest: OrderedDict[tuple[str, str | None], str] = OrderedDict()
        self._masters: dict[str, KeyProvider] = {}

    async def seal(
        self,
        organization_id: str,
        plaintext: bytes,
        *,
        purpose: str,
        subject_id: str | None = None,
        is_secret: bool | None = None,
    ) -> bytes:
        """Return ``plaintext`` encrypted so that only ``open`` with the same organization and purpose returns it.

        Uses the key of the person ``subject_id``, else that of the organization;
        makes it at first use. ``purpose`` says where the value belongs, such as
        ``connections.credentials:ID``. The result is 45 bytes longer.

        A secret is hidden from then on in all that this process writes down.
        ``is_secret`` is by default whether it is sealed for nobody in
        particular: what is a person's is their data, and may have to be written.

        Raises:
            MasterKeyError: there is no master key, or another than the one used so far.
        """
        await loaded("bailiwick.vault.sealing")
        from bailiwick.vault import sealing  # noqa: PLC0415 - needs cryptography, which start does not wait for

        if is_secret or (is_secret is None and subject_id is None):
            hide(plaintext)
        key = await self._sealing_key(organization_id, subject_id)
        return sealing.seal(key.key, key.row.id, plaintext, sealing.Place(organization_id, purpose, subject_id))

    async def open(self, organization_id: str, sealed: bytes, *, purpose: str, is_secret: bool | None = None) -> bytes:
        """Return what was sealed for this organization and purpose.

        A secret is hidden from then on; ``is_secret`` as in ``seal``.

        Raises:
            KeyErasedError: its key was destroyed.
            SealBrokenError: it was changed, or sealed for something else.
            MasterKeyError: the master key is missing or another one.
        """
        await loaded("bailiwick.vault.sealing")
        from bailiwick.vault import sealing  # noqa: PLC0415 - needs cryptography, which start does not wait for

        key = await self._opening_key(organization_id, sealing.key_id_of(sealed))
        subject_id = key.row.subject_id
        opened = sealing.open_sealed(key.key, sealed, sealing.Place(organization_id, purpose, subject_id))
        if is_secret or (is_secret is None and subject_id is None):
            hide(opened)
        return opened

    async def forget(
        self, organization_id: str, subject_id: str | None = None, *, connection: Connection | None = None
    ) -> int:
        """Destroy every key of a person, or of a whole organization: what they sealed never opens again.

        Returns how many keys there were. With a ``connection``, in the
        transaction of that organization that also records the act, which is the
        caller's to do. What is sealed for them afterwards gets a new key.
        """
        if connection is None:
            async with self._database.transaction(organization_id) as own:
                destroyed = await self.keys.destroy(own, organization_id, subject_id)
        else:
            destroyed = await self.keys.destroy(connection, organization_id, subject_id)
        for key_id, cached in list(self._unwrapped.items()):
            if cached.row.organization_id == organization_id and subject_id in (None, cached.row.subject_id):
                del self._unwrapped[key_id]
        return destroyed

    async def add_version(self, organization_id: str, subject_id: str | None) -> DataKey:
        """Make the next version of a key; values sealed from now on use it, older ones still open."""
        newest = await self.keys.newest(organization_id, subject_id)
        made = await self._made(organization_id, subject_id, 1 if newest is None else newest.version + 1)
        self._newest[organization_id, subject_id] = made.id
        return made

    async def unwrap(self, row: DataKey) -> bytes:
        """Return the key in a row as it is, past the cache.

        Raises:
            KeyErasedError: it was destroyed.
            MasterKeyError: the master key is missing or another one.
        """
        if row.wrapped is None or row.master_key_id is None:
            raise KeyErasedError("this was erased: the key that sealed it was destroyed")
        provider = await self.master(row.master_key_id)
        content = await asyncio.to_thread(provider.unwrap, row.wrapped)
        # With its id inside, a wrapped key cannot stand in for that of another row.
        if content[:16] != UUID(row.id).bytes or len(content) != 16 + 32:
            raise SealBrokenError(f"data key {row.id} holds the key of another row; restore table data_keys")
        return content[16:]

    async def master(self, master_key_id: str) -> "KeyProvider":
        """Return a master key by its id, looked for anew where it is not known yet.

        Raises:
            MasterKeyError: it is not at hand; the message says what is.
        """
        if master_key_id not in self._masters:
            await self._read_masters()
        found = self._masters.get(master_key_id)
        if found is None:
            at_hand = ", ".join(self._masters) or "none"
            raise MasterKeyError(
                f"what is sealed here needs master key {master_key_id}; at hand: {at_hand}. Put that key back "
                "(BAILIWICK_MASTER_KEY, its file or command); after a rotation start this process with the new one"
            )
        return found

    async def _read_masters(self) -> None:
        def read() -> "dict[str, KeyProvider]":
            return {key.id: key for key in self._source.at_hand()}

        self._masters = await asyncio.to_thread(read)

    async def _sealing_key(self, organization_id: str, subject_id: str | None) -> _Unwrapped:
        key_id = self._newest.get((organization_id, subject_id))
        cached = None if key_id is None else self._unwrapped.get(key_id)
        if cached is not None and time.monotonic() - cached.checked_at < self.erasure_seconds:
            return cached
        row = await self.keys.newest(organization_id, subject_id)
        if row is None or row.wrapped is None:
            row = await self._made(organization_id, subject_id, 1 if row is None else row.version + 1)
        self._newest[organization_id, subject_id] = row.id
        if len(self._newest) > _CAPACITY:
            self._newest.popitem(last=False)
        return await self._cached(row)

    async def _opening_key(self, organization_id: str, key_id: str) -> _Unwrapped:
        cached = self._unwrapped.get(key_id)
        if (
            cached is not None
            and cached.row.organization_id == organization_id
            and time.monotonic() - cached.checked_at < self.erasure_seconds
        ):
            return cached
        row = await self.keys.find(organization_id, key_id)
        if row is None:
            raise SealBrokenError("the key of this sealed value is unknown to this organization; it stays closed")
        if row.wrapped is None:
            self._unwrapped.pop(key_id, None)
        return await self._cached(row)

    async def _cached(self, row: DataKey) -> _Unwrapped:
        """Return the key of a row just read, unwrapped only where that was not done lately."""
        now = time.monotonic()
        known = self._unwrapped.get(row.id)
        if known is not None and known.row.wrapped == row.wrapped and now - known.unwrapped_at < _UNWRAPPED_SECONDS:
            fresh = replace(known, checked_at=now)
        else:
            fresh = _Unwrapped(row, await self.unwrap(row), now, now)
        self._unwrapped[row.id] = fresh
        self._unwrapped.move_to_end(row.id)
        if len(self._unwrapped) > _CAPACITY:
            self._unwrapped.popitem(last=False)
        return fresh

    async def _made(self, organization_id: str, subject_id: str | None, version: int) -> DataKey:
        """Make a version of a data key, or return the one that another process made meanwhile."""
        for _ in range(_TRIES):
            provider = await self._wrapping_master()
            key_id = new_data_key_id()
            content = UUID(key_id).bytes + os.urandom(32)
            wrapped = await asyncio.to_thread(provider.wrap, content)
            row = DataKey(key_id, organization_id, subject_id, version, provider.id, wrapped, datetime.now(UTC), None)
            if await self.keys.add(row):
                return row
            newest = await self.keys.newest(organization_id, subject_id)
            if newest is not None and newest.version >= version and newest.wrapped is not None:
                return newest
        raise MasterKeyError("the master key changed while a data key was made; try again")

    async def _wrapping_master(self) -> "KeyProvider":
        current = await self.keys.current_master()
        if current is None:
            await asyncio.to_thread(self._source.make_first)
            await self._read_masters()
            current = await self.keys.begin_master(next(iter(self._masters)))
        return await self.master(current)
