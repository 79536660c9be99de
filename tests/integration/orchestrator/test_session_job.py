"""The session job: an old signing key is exchanged, ended sessions go; a stolen refresh token is told."""

import base64
import os

import psycopg
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.kernel.errors import TokenRefusedError
from tests.integration.orchestrator.conftest import Platform


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())


async def test_the_job_exchanges_an_old_key_and_removes_ended_sessions(platform: Platform, login_url: str) -> None:
    here = platform.installation
    user = await here.accounts.create("maria@example.org", "Maria", actor=SYSTEM)
    old = await here.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
    kept = await here.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
    young = await platform.run("system.sessions", organization_id=platform.home_id)
    assert young == {"new_signing_key": None, "sessions_removed": 0}
    with psycopg.connect(login_url, autocommit=True) as admin:
        admin.execute("update signing_keys set created_at = now() - interval '91 days'")
        admin.execute("update sessions set expires_at = now() - interval '31 days' where id = %s", (old.session_id,))
    result = await platform.run("system.sessions", organization_id=platform.home_id)
    assert result["sessions_removed"] == 1
    assert result["new_signing_key"] == (await here.signing.list())[0].kid
    assert (await here.sessions.authenticate_token(kept.access))[0].id == user.id


async def test_a_stolen_token_is_told_once_and_at_home_if_its_owner_belongs_nowhere(platform: Platform) -> None:
    here = platform.installation
    user = await here.accounts.create("maria@example.org", "Maria", actor=SYSTEM)
    first = await here.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
    second = await here.sessions.refresh(first.refresh, address=None, user_agent=None)
    await here.sessions.refresh(second.refresh, address=None, user_agent=None)
    for _ in range(2):
        with pytest.raises(TokenRefusedError):
            await here.sessions.refresh(first.refresh, address="203.0.113.7", user_agent=None)
    (event,) = await platform.events("session.replayed", platform.home_id)
    assert event == {"user_id": user.id, "session_id": first.session_id, "address": "203.0.113.7"}
