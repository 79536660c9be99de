"""What the vault promises of sealed values."""

import asyncio
import stat
import sys
from collections.abc import Callable

import pytest

from bailiwick.kernel.errors import KeyErasedError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.storage import Database
from bailiwick.vault import MasterKeyError, SealBrokenError, Vault
from bailiwick.vault.key_file import FixedSource, KeyFile, NoSource
from bailiwick.vault.providers import LocalKey

ACME, GLOBEX = new_id(), new_id()
Another = Callable[..., Vault]


@pytest.mark.parametrize("organization_id", [ACME, INSTALLATION], ids=["acme", "installation"])
@pytest.mark.parametrize("subject_id", [None, "person-1"])
async def test_another_process_opens_what_was_sealed(
    vault: Vault, another_process: Another, organization_id: str, subject_id: str | None
) -> None:
    sealed = await vault.seal(organization_id, b"token", purpose="connections", subject_id=subject_id)
    assert b"token" not in sealed
    assert len(sealed) == len(b"token") + 45
    assert await vault.open(organization_id, sealed, purpose="connections") == b"token"
    assert await another_process().open(organization_id, sealed, purpose="connections") == b"token"


async def test_a_value_opens_for_its_own_organization_and_purpose_only(vault: Vault) -> None:
    sealed = await vault.seal(ACME, b"token", purpose="connections.credentials:1")
    await vault.seal(GLOBEX, b"other", purpose="connections.credentials:1")
    with pytest.raises(SealBrokenError):
        await vault.open(GLOBEX, sealed, purpose="connections.credentials:1")
    with pytest.raises(SealBrokenError):
        await vault.open(ACME, sealed, purpose="connections.credentials:2")


async def test_each_organization_and_each_person_has_a_key_of_its_own(vault: Vault) -> None:
    for organization_id in (ACME, GLOBEX):
        for subject_id in (None, "ada", "bob"):
            for _ in range(2):
                await vault.seal(organization_id, b"x", purpose="p", subject_id=subject_id)
    counts = await vault.keys.counts()
    assert {(one.organization_id, one.keys) for one in counts} == {(ACME, 3), (GLOBEX, 3)}


async def test_the_key_file_is_made_at_first_need_and_only_its_owner_reads_it(vault: Vault, key_file: KeyFile) -> None:
    assert not key_file.path.exists()
    await vault.seal(ACME, b"x", purpose="p")
    assert stat.S_IMODE(key_file.path.stat().st_mode) == 0o600
    assert [path.name for path in key_file.path.parent.iterdir()] == ["master.key"]


async def test_processes_that_begin_at_once_share_one_master_key_and_one_data_key(another_process: Another) -> None:
    vaults = [another_process() for _ in range(6)]
    sealed = await asyncio.gather(*(vault.seal(ACME, b"x", purpose="p", subject_id="ada") for vault in vaults))
    assert len({one[1:17] for one in sealed}) == 1
    for vault in vaults:
        for one in sealed:
            assert await vault.open(ACME, one, purpose="p") == b"x"


async def test_a_destroyed_key_opens_nothing_and_says_that_it_was_destroyed(
    vault: Vault, another_process: Another
) -> None:
    elsewhere = another_process()
    ada = await vault.seal(ACME, b"ada's", purpose="p", subject_id="ada")
    bob = await vault.seal(ACME, b"bob's", purpose="p", subject_id="bob")
    assert await elsewhere.open(ACME, ada, purpose="p") == b"ada's"

    assert await vault.forget(ACME, "ada") == 1

    for one in (vault, elsewhere):
        with pytest.raises(KeyErasedError, match="destroyed"):
            await one.open(ACME, ada, purpose="p")
        assert await one.open(ACME, bob, purpose="p") == b"bob's"


async def test_a_destroyed_key_goes_out_of_use_elsewhere_within_the_bound(
    vault: Vault, another_process: Another
) -> None:
    cached = another_process(erasure_seconds=3600)
    sealed = await vault.seal(ACME, b"x", purpose="p")
    await cached.open(ACME, sealed, purpose="p")
    await vault.forget(ACME)
    # Within the bound it may still open; the bound is all that stands between.
    assert await cached.open(ACME, sealed, purpose="p") == b"x"
    cached.erasure_seconds = 0
    with pytest.raises(KeyErasedError):
        await cached.open(ACME, sealed, purpose="p")


async def test_forgetting_an_organization_destroys_the_keys_of_its_people_and_of_nobody_else(vault: Vault) -> None:
    acme = [await vault.seal(ACME, b"x", purpose="p", subject_id=subject) for subject in (None, "ada")]
    globex = await vault.seal(GLOBEX, b"y", purpose="p", subject_id="ada")
    assert await vault.forget(ACME) == 2
    for one in acme:
        with pytest.raises(KeyErasedError):
            await vault.open(ACME, one, purpose="p")
    assert await vault.open(GLOBEX, globex, purpose="p") == b"y"


async def test_nothing_of_a_destroyed_key_is_left_in_its_row(vault: Vault, database: Database) -> None:
    await vault.seal(ACME, b"x", purpose="p", subject_id="ada")
    await vault.forget(ACME, "ada")
    rows = await database.fetch_all("select * from data_keys", organization_id=ACME)
    assert [(row["wrapped"], row["master_key_id"]) for row in rows] == [(None, None)]


async def test_what_is_sealed_after_a_key_was_destroyed_gets_a_new_one(vault: Vault, another_process: Another) -> None:
    before = await vault.seal(ACME, b"x", purpose="p", subject_id="ada")
    await vault.forget(ACME, "ada")
    after = await vault.seal(ACME, b"y", purpose="p", subject_id="ada")
    assert await another_process().open(ACME, after, purpose="p") == b"y"
    with pytest.raises(KeyErasedError):
        await vault.open(ACME, before, purpose="p")


async def test_an_erasure_that_is_rolled_back_destroys_nothing(vault: Vault, database: Database) -> None:
    sealed = await vault.seal(ACME, b"x", purpose="p")

    async def broken_off() -> None:
        async with database.transaction(ACME) as connection:
            await vault.forget(ACME, connection=connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken_off()
    assert await vault.open(ACME, sealed, purpose="p") == b"x"


async def test_another_master_key_is_refused_with_what_to_do(vault: Vault, database: Database) -> None:
    sealed = await vault.seal(ACME, b"x", purpose="p")
    stranger = Vault(database, FixedSource(LocalKey(bytes(32))))
    for attempt in (stranger.open(ACME, sealed, purpose="p"), stranger.seal(GLOBEX, b"x", purpose="p")):
        with pytest.raises(MasterKeyError, match=r"needs master key local:\w+; at hand: local:\w+\. Put that key back"):
            await attempt


async def test_a_lost_key_file_is_reported_and_not_replaced(
    vault: Vault, another_process: Another, key_file: KeyFile
) -> None:
    sealed = await vault.seal(ACME, b"x", purpose="p")
    key_file.path.unlink()
    with pytest.raises(MasterKeyError, match="at hand: none"):
        await another_process().open(ACME, sealed, purpose="p")
    with pytest.raises(MasterKeyError, match="at hand: none"):
        await another_process().seal(GLOBEX, b"x", purpose="p")
    assert not key_file.path.exists()


async def test_without_a_master_key_sealing_says_what_to_set(database: Database) -> None:
    with pytest.raises(MasterKeyError, match="BAILIWICK_MASTER_KEY"):
        await Vault(database, NoSource()).seal(ACME, b"x", purpose="p")


async def test_a_data_key_put_into_another_row_is_noticed(
    vault: Vault, another_process: Another, database: Database
) -> None:
    sealed = await vault.seal(ACME, b"x", purpose="p", subject_id="ada")
    await vault.seal(ACME, b"x", purpose="p", subject_id="bob")
    await database.execute(
        "update data_keys k set wrapped = o.wrapped from data_keys o where k.id <> o.id", organization_id=ACME
    )
    with pytest.raises(SealBrokenError, match="another row"):
        await another_process().open(ACME, sealed, purpose="p")


SEALING = """
import asyncio, sys
from pathlib import Path
from bailiwick.storage import Database
from bailiwick.vault import Vault
from bailiwick.vault.key_file import KeyFile

async def main(url, file, organization_id):
    database = Database(url)
    await database.open()
    sys.stdin.readline()
    sealed = await Vault(database, KeyFile(Path(file), may_create=True)).seal(organization_id, b"x", purpose="p")
    print(sealed.hex())
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_programs_that_begin_at_once_make_one_key_file_and_one_data_key(
    vault: Vault, database_url: str, key_file: KeyFile
) -> None:
    command = (sys.executable, "-c", SEALING, database_url, str(key_file.path), ACME)
    programs = [
        await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    answers = await asyncio.gather(*(program.communicate(b"go\n") for program in programs))
    sealed = [bytes.fromhex(answer.decode()) for answer, _ in answers]
    assert len({one[1:17] for one in sealed}) == 1
    assert [await vault.open(ACME, one, purpose="p") for one in sealed] == [b"x"] * 3
