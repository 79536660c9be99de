"""An engine on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.engine import Engine


@pytest.fixture
async def engine(login_url: str) -> AsyncIterator[Engine]:
    """The engine without workers; start one with ``engine.work()`` after registering handlers."""
    async with Engine(login_url) as running:
        yield running
