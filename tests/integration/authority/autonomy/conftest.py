"""An organization whose agents can be learned about."""

from datetime import UTC, datetime

import pytest

from bailiwick.kernel.clock import ManualClock
from bailiwick.storage import Database
from tests.support.autonomy import School


@pytest.fixture
async def school(database: Database, login_url: str) -> School:
    school = School(database, login_url, ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC)))
    await school.open()
    return school
