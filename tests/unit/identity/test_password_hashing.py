"""Argon2id as it is used here."""

import asyncio

from bailiwick.identity.login.password_hashing import DEFAULT_MEMORY_MIB, PasswordHashing
from bailiwick.kernel.errors import UnavailableError


async def test_the_hash_names_its_parameters_and_differs_each_time():
    hashing = PasswordHashing(memory_mib=1)
    one, two = await hashing.hash("a password"), await hashing.hash("a password")
    assert one.startswith("$argon2id$v=19$m=1024,t=3,p=4$")
    assert one != two
    assert await hashing.verify(one, "a password")
    assert not await hashing.verify(one, "A password")


async def test_nobody_has_any_password():
    assert not await PasswordHashing(memory_mib=1).verify(None, "anything")


async def test_the_default_is_the_second_recommended_option_of_rfc_9106():
    stored = await PasswordHashing(DEFAULT_MEMORY_MIB).hash("a password")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_a_hash_of_older_parameters_is_known_as_outdated():
    stored = await PasswordHashing(memory_mib=1).hash("a password")
    assert not PasswordHashing(memory_mib=1).is_outdated(stored)
    assert PasswordHashing(memory_mib=2).is_outdated(stored)


async def test_a_flood_is_told_to_try_again_and_the_rest_is_served():
    hashing = PasswordHashing(memory_mib=1)
    answers = await asyncio.gather(*(hashing.hash("x") for _ in range(80)), return_exceptions=True)
    assert sum(isinstance(answer, UnavailableError) for answer in answers) == 80 - 64
    assert await hashing.hash("x")
