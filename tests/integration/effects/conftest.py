"""An engine whose runs may act on a folder of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.acting import ActingEngine, act_once


@pytest.fixture
async def engine(login_url: str, tmp_path: Path) -> AsyncIterator[ActingEngine]:
    """Without workers; hire with ``employ`` and start one with ``work``."""
    async with ActingEngine(login_url, tmp_path) as running:
        running.handles("act", act_once)
        yield running
