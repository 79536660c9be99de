"""Rotations: everything opens before, during and after; an interrupted one is begun again and nothing is lost."""

import asyncio
import stat
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import KeyErasedError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.storage import Database
from bailiwick.vault import MasterKeyError, Vault
from bailiwick.vault.columns import SealedColumn
from bailiwick.vault.key_file import FixedSource, KeyFile
from bailiwick.vault.providers import KeyProvider, LocalKey
from bailiwick.vault.rotation import Rotation

ORGANIZATIONS = (new_id(), new_id(), INSTALLATION)
OLD, NEW = LocalKey(bytes(range(32))), LocalKey(bytes(range(1, 33)))
CREDENTIALS = SealedColumn("connections", "credentials", "connections.credentials:{id}")


class Crash(BaseException):
    """Stands for a process that dies."""


class DyingKey:
    """A master key whose process dies at its n-th wrapping."""

    def __init__(self, key: LocalKey, wraps: int) -> None:
        self._key = key
        self._left = wraps

    @property
    def id(self) -> str:
        return self._key.id

    def wrap(self, data_key: bytes) -> bytes:
        if self._left == 0:
            raise Crash
        self._left -= 1
        return self._key.wrap(data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        return self._key.unwrap(wrapped)


def vault_with(database: Database, *keys: KeyProvider) -> Vault:
    return Vault(database, FixedSource(*keys), erasure_seconds=0)


def rotation(database: Database, vault: Vault, columns: Sequence[SealedColumn] = ()) -> Rotation:
    return Rotation(database, vault, columns, lambda _: None)


async def sealed_by(vault: Vault) -> list[tuple[str, bytes]]:
    return [
        (organization_id, await vault.seal(organization_id, b"kept", purpose="p", subject_id=subject_id))
        for organization_id in ORGANIZATIONS
        for subject_id in (None, "ada", "bob")
    ]


async def all_open(vault: Vault, values: list[tuple[str, bytes]]) -> bool:
    return {await vault.open(organization_id, sealed, purpose="p") for organization_id, sealed in values} == {b"kept"}


@pytest.mark.parametrize("wraps", range(11))
async def test_a_master_rotation_killed_anywhere_loses_nothing_and_can_be_begun_again(
    database: Database, wraps: int
) -> None:
    values = await sealed_by(vault_with(database, OLD))
    # The first wrapping is the probe, then one for each of nine data keys.
    dying = DyingKey(NEW, wraps)
    if wraps < 10:
        with pytest.raises(Crash):
            await rotation(database, vault_with(database, OLD)).rotate_master(dying)
    else:
        assert await rotation(database, vault_with(database, OLD)).rotate_master(dying) == 9

    # In the middle, whoever has both keys opens and seals everything.
    both = vault_with(database, OLD, NEW)
    assert await all_open(both, values)
    values += await sealed_by(both)

    again = await rotation(database, vault_with(database, OLD)).rotate_master(NEW)
    assert again == max(0, 9 - max(0, wraps - 1))
    assert await all_open(vault_with(database, NEW), values)
    with pytest.raises(MasterKeyError, match="after a rotation start this process with the new one"):
        await all_open(vault_with(database, OLD), values)


async def test_a_process_with_the_old_master_key_makes_no_key_once_it_is_retired(database: Database) -> None:
    old = vault_with(database, OLD)
    await sealed_by(old)
    await rotation(database, vault_with(database, OLD)).rotate_master(NEW)
    with pytest.raises(MasterKeyError, match=NEW.id):
        await old.seal(new_id(), b"x", purpose="p")


async def test_keys_made_while_a_rotation_runs_are_all_wrapped_by_the_new_master_key(database: Database) -> None:
    both = vault_with(database, OLD, NEW)
    values = await sealed_by(both)
    others = [vault_with(database, OLD, NEW) for _ in range(12)]
    rotating = asyncio.create_task(rotation(database, both).rotate_master(NEW))
    more = await asyncio.gather(
        *(one.seal(ORGANIZATIONS[0], b"kept", purpose="p", subject_id=f"s{n}") for n, one in enumerate(others))
    )
    await rotating
    values += [(ORGANIZATIONS[0], sealed) for sealed in more]
    assert await all_open(vault_with(database, NEW), values)


async def test_a_new_master_key_that_does_not_return_what_it_wraps_changes_nothing(database: Database) -> None:
    class Liar(DyingKey):
        def unwrap(self, wrapped: bytes) -> bytes:
            return bytes(48)

    vault = vault_with(database, OLD)
    values = await sealed_by(vault)
    with pytest.raises(MasterKeyError, match="nothing was changed"):
        await rotation(database, vault).rotate_master(Liar(NEW, 99))
    assert await vault.keys.current_master() == OLD.id
    assert await all_open(vault_with(database, OLD), values)


async def test_a_key_destroyed_during_a_rotation_stays_destroyed(database: Database) -> None:
    vault = vault_with(database, OLD)
    values = await sealed_by(vault)
    (row, *_) = await vault.keys.wrapped_by(ORGANIZATIONS[0], OLD.id, limit=1)
    await vault.forget(ORGANIZATIONS[0])
    await vault.keys.replace_master(NEW.id)
    await vault.keys.rewrap(row, NEW.id, NEW.wrap(bytes(48)))
    with pytest.raises(KeyErasedError):
        await vault.open(*values[0], purpose="p")


async def test_the_key_file_is_never_missing_while_it_is_rotated(database: Database, key_file: KeyFile) -> None:
    vault = Vault(database, key_file, erasure_seconds=0)
    values = await sealed_by(vault)
    before = key_file.path.read_bytes()
    key_file.make_next()
    key_file.make_next()
    new = key_file.at_hand()[-1]
    await rotation(database, vault).rotate_master(new)
    # Killed before the files change places: whoever starts now finds both.
    assert await all_open(Vault(database, key_file), values)
    key_file.finish_rotation()
    key_file.finish_rotation()
    assert key_file.old_path.read_bytes() == before
    assert [key.id for key in key_file.at_hand()] == [new.id]
    assert await all_open(Vault(database, key_file), values)
    assert await all_open(vault, values)
    for path in key_file.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_stored_values_are_sealed_anew_and_only_those_that_are_behind(database: Database) -> None:
    vault = vault_with(database, OLD)
    organization_id, ids = ORGANIZATIONS[0], [new_id() for _ in range(3)]
    for connection_id in ids:
        sealed = await vault.seal(organization_id, b"token", purpose=f"connections.credentials:{connection_id}")
        await database.execute(
            "insert into connections (id, organization_id, kind, target, credentials) values (%s, %s, 'x', %s, %s)",
            (connection_id, organization_id, connection_id, sealed),
            organization_id=organization_id,
        )
    await database.execute(
        "update connections set credentials = 'damaged' where id = %s", (ids[2],), organization_id=organization_id
    )
    rotating = rotation(database, vault, [CREDENTIALS])
    assert await rotating.add_versions([organization_id]) == 1
    (report,) = await rotating.reseal([organization_id])
    assert (report.resealed, report.current, report.broken) == (2, 0, 1)
    (report,) = await rotating.reseal([organization_id])
    assert (report.resealed, report.current, report.broken) == (0, 2, 1)
    rows = await database.fetch_all(
        "select id, credentials from connections where id <> %s", (ids[2],), organization_id=organization_id
    )
    newest = await vault.keys.newest(organization_id, None)
    assert newest is not None
    assert newest.version == 2
    for row in rows:
        assert row["credentials"][1:17].hex() == newest.id.replace("-", "")
        assert await vault.open(organization_id, row["credentials"], purpose=CREDENTIALS.purpose_of(row)) == b"token"


@given(st.binary(min_size=48, max_size=48))
def test_a_local_master_key_unwraps_only_what_it_wrapped(data_key: bytes) -> None:
    wrapped = OLD.wrap(data_key)
    assert OLD.unwrap(wrapped) == data_key
    with pytest.raises(MasterKeyError):
        NEW.unwrap(wrapped)
