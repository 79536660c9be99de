"""The audit job: roots over what was recorded, and alarms that nobody was told of."""

import base64
import os

import pytest

from bailiwick.audit import SYSTEM, Act
from bailiwick.audit.alarms import Alarms
from bailiwick.audit.live import verify_chain
from tests.integration.orchestrator.conftest import Platform


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())


async def test_the_job_signs_every_chain_that_went_on(platform: Platform) -> None:
    here = platform.installation
    await here.audit.record(Act(platform.organization_id, "limit.changed", SYSTEM, "limit:organization"))
    result = await platform.run("system.audit", organization_id=platform.home_id)
    assert result["roots_signed"] >= 3  # the installation, home and the ward
    (head,) = await here.audit_roots.heads(organization_id=platform.organization_id)
    assert head["root_seq"] == head["seq"]
    verdict = await verify_chain(here.audit, here.audit_roots, head, organization="ward")
    assert verdict.is_intact
    assert verdict.uncovered_since is None
    assert verdict.covered_at is not None


async def test_the_job_tells_an_alarm_that_was_not_told(platform: Platform) -> None:
    # As after a crash between the alarm and its event: raised where nobody tells.
    silent = Alarms(platform.installation.database)
    for _ in range(5):
        await silent.login_failed("anna@example.org", None)
    assert await platform.events("security.alarm", platform.home_id) == []
    assert (await platform.run("system.audit", organization_id=platform.home_id))["alarms_told"] == 1
    (event,) = await platform.events("security.alarm", platform.home_id)
    assert event["description"] == "5 failed logins by account:anna@example.org within 15 minutes; the rule is 5"
