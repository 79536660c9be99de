"""First starts: however many processes begin at once on one database, there is one organization and one key."""

import asyncio
from contextlib import AsyncExitStack

from pydantic import SecretStr

from bailiwick.installation import HOME, Installation, Settings


async def test_processes_that_start_for_the_first_time_at_once_make_one_organization_and_one_key(
    login_url: str,
) -> None:
    settings = Settings(database_url=SecretStr(login_url), port=0, warm_start=False)
    async with AsyncExitStack() as running:
        both = [await running.enter_async_context(Installation.open(settings)) for _ in range(2)]
        keys = await asyncio.gather(*(one.first_start() for one in both))
        assert len([key for key in keys if key is not None]) == 1
        assert [one.slug for one in (await both[0].organizations.list()).items] == [HOME]


async def test_an_organization_that_two_ensure_at_once_is_made_once(login_url: str) -> None:
    settings = Settings(database_url=SecretStr(login_url), port=0, warm_start=False)
    async with Installation.open(settings) as installation:
        made = await asyncio.gather(*(installation.organizations.ensure("Acme") for _ in range(4)))
    assert len({one.id for one in made}) == 1
