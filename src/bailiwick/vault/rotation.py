"""Rotation: data keys under another master key, values under newer data keys. Interrupted, it is begun again."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING
from uuid import UUID

from bailiwick.kernel.errors import KeyErasedError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database, Row
from bailiwick.vault.columns import SealedColumn
from bailiwick.vault.errors import MasterKeyError, SealBrokenError
from bailiwick.vault.sealing import key_id_of
from bailiwick.vault.vault import Vault

if TYPE_CHECKING:
    from bailiwick.vault.providers import KeyProvider

BATCH = 100

Progress = Callable[[str], object]


@dataclass
class Resealed:
    """What became of the values of one column: sealed anew, already under the newest key, or not to be opened."""

    table: str
    column: str
    resealed: int = 0
    current: int = 0
    erased: int = 0
    broken: int = 0


class Rotation:
    """Changes keys while the platform runs. Each step is a transaction of its own, and repeating one is harmless."""

    def __init__(self, database: Database, vault: Vault, columns: Sequence[SealedColumn], progress: Progress) -> None:
        self._database = database
        self._vault = vault
        self._columns = columns
        self._progress = progress

    async def rotate_master(self, new: "KeyProvider") -> int:
        """Wrap every data key with ``new``; return how many were wrapped anew.

        The keys used so far must be at hand until this returns. From the first
        moment on new data keys are wrapped with ``new``; old and new ones open
        wherever both master keys are at hand.

        Raises:
            MasterKeyError: ``new`` does not return what it wrapped, and nothing was changed; or an old one is missing.
        """
        await asyncio.to_thread(_check, new)
        current = await self._vault.keys.current_master()
        # An interrupted rotation to the same key has made it the current one already.
        if current not in (None, new.id):
            await self._vault.master(current)
        await self._vault.keys.replace_master(new.id)
        done = 0
        while waiting := [one for one in await self._vault.keys.counts() if one.master_key_id not in (None, new.id)]:
            for count in waiting:
                done += await self._rewrap(count.organization_id, count.master_key_id or "", new)
                self._progress(f"{done} data keys wrapped anew")
        return done

    async def add_versions(self, organization_ids: Sequence[str]) -> int:
        """Make a new version of every data key of some organizations; return how many."""
        made = 0
        for organization_id in organization_ids:
            for subject_id in await self._vault.keys.holders(organization_id):
                await self._vault.add_version(organization_id, subject_id)
                made += 1
        return made

    async def reseal(self, organization_ids: Sequence[str]) -> list[Resealed]:
        """Seal every value of the named columns under the newest version of its key; those that are stay.

        What is sealed elsewhere stays as it is; older versions open it as before.
        """
        reports: list[Resealed] = []
        for column in self._columns:
            report = Resealed(column.table, column.column)
            for organization_id in organization_ids:
                if column.is_tenants or organization_id == INSTALLATION:
                    await self._reseal(column, organization_id, report)
            reports.append(report)
            self._progress(f"{column.table}.{column.column}: {report.resealed} sealed anew")
        return reports

    async def _rewrap(self, organization_id: str, master_key_id: str, new: "KeyProvider") -> int:
        rows = await self._vault.keys.wrapped_by(organization_id, master_key_id, limit=BATCH)
        for row in rows:
            content = UUID(row.id).bytes + await self._vault.unwrap(row)
            await self._vault.keys.rewrap(row, new.id, await asyncio.to_thread(new.wrap, content))
        return len(rows)

    async def _reseal(self, column: SealedColumn, organization_id: str, report: Resealed) -> None:
        names = sorted({name for _, name, _, _ in Formatter().parse(column.purpose) if name} | {column.key})
        condition = "and organization_id = %(org)s " if column.is_tenants else ""
        after = ""
        while True:
            rows = await self._database.fetch_all(
                f"select {', '.join(names)}, {column.column} as sealed, {column.key}::text as place "
                f"from {column.table} where {column.column} is not null {condition}"
                f"and {column.key}::text > %(after)s order by {column.key}::text limit {BATCH}",
                {"org": organization_id, "after": after},
                organization_id=organization_id,
            )
            for row in rows:
                await self._reseal_value(column, organization_id, row, report)
            if len(rows) < BATCH:
                return
            after = rows[-1]["place"]

    async def _reseal_value(self, column: SealedColumn, organization_id: str, row: Row, report: Resealed) -> None:
        sealed, purpose = bytes(row["sealed"]), column.purpose_of(row)
        try:
            key = await self._vault.keys.find(organization_id, key_id_of(sealed))
            newest = None if key is None else await self._vault.keys.newest(organization_id, key.subject_id)
            if key is None or newest is None or newest.id == key.id:
                # Of a key that is unknown here opening says so.
                await self._vault.open(organization_id, sealed, purpose=purpose, is_secret=False)
                report.current += 1
                return
            opened = await self._vault.open(organization_id, sealed, purpose=purpose, is_secret=False)
            fresh = await self._vault.seal(
                organization_id, opened, purpose=purpose, subject_id=key.subject_id, is_secret=False
            )
        except KeyErasedError:
            report.erased += 1
            return
        except SealBrokenError:
            report.broken += 1
            return
        # Only in the place of what was read: whoever wrote meanwhile wrote something newer.
        report.resealed += await self._database.execute(
            f"update {column.table} set {column.column} = %s where {column.key}::text = %s and {column.column} = %s",
            (fresh, row["place"], sealed),
            organization_id=organization_id,
        )


def _check(provider: "KeyProvider") -> None:
    probe = os.urandom(48)
    if provider.unwrap(provider.wrap(probe)) != probe:
        raise MasterKeyError(f"master key {provider.id} does not return what it wrapped; nothing was changed")
