"""The owner link: the first person gets in, once."""

import asyncio

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity.people.one_time_links import LinkRefusedError
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from tests.integration.identity.conftest import BETTER, GOOD, Town


async def _claim(town: Town, token: str, home: str, name: str = "Ada"):
    return await town.owner_link.claim(
        token, email=f"{name.lower()}@example.org", name=name, password=GOOD, home_id=home, address="192.0.2.1"
    )


async def test_whoever_has_the_link_becomes_administrator_and_owner_of_home(town: Town) -> None:
    home = await town.organization("Home")
    ada = await _claim(town, await town.owner_link.issue(), home)
    assert ada.is_admin
    assert await town.memberships.find(home, ada.id) == "owner"
    assert (await town.passwords.authenticate(ada.email, GOOD, address=None)).id == ada.id
    assert (await town.acts())[-3:] == ["owner_link.issued", "user.created", "password.set"]


async def test_there_is_one_first_administrator_however_many_have_the_link(town: Town) -> None:
    home = await town.organization("Home")
    token = await town.owner_link.issue()
    answers = await asyncio.gather(
        *(_claim(town, token, home, name) for name in ("Ada", "Ben", "Cleo")), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert all(
        isinstance(answer, LinkRefusedError | ConflictError) for answer in answers if isinstance(answer, BaseException)
    )
    assert len((await town.accounts.list()).items) == 1


async def test_no_new_link_once_there_is_an_administrator(town: Town) -> None:
    home = await town.organization("Home")
    old, token = await town.owner_link.issue(), await town.owner_link.issue()
    with pytest.raises(LinkRefusedError):
        await _claim(town, old, home)
    await _claim(town, token, home)
    with pytest.raises(ConflictError, match="reset-link"):
        await town.owner_link.issue()
    with pytest.raises(LinkRefusedError):
        await _claim(town, token, home, "Ben")


async def test_a_mistake_leaves_the_link_good_and_a_day_ends_it(town: Town) -> None:
    home = await town.organization("Home")
    token = await town.owner_link.issue()
    for email, password in (("no address", GOOD), ("ada@example.org", "short")):
        with pytest.raises(InvalidInputError):
            await town.owner_link.claim(token, email=email, name="Ada", password=password, home_id=home, address=None)
    await town.as_superuser("update one_time_links set expires_at = now()")
    with pytest.raises(LinkRefusedError):
        await _claim(town, token, home)


async def test_the_last_administrator_is_neither_disabled_nor_demoted_nor_deleted(town: Town) -> None:
    ada, ben = [
        await town.passwords.create_user(f"{name}@example.org", name, BETTER, actor=SYSTEM, is_admin=True)
        for name in ("ada", "ben")
    ]
    answers = await asyncio.gather(
        town.accounts.disable(ada.id, actor=SYSTEM),
        town.accounts.set_admin(ben.id, False, actor=SYSTEM),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["ConflictError", "User"]
    assert await town.accounts.has_admin()
