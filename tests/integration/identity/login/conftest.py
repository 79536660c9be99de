"""An installation that people log in to, with cheap password hashes."""

import base64
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from bailiwick.api import create_app
from bailiwick.audit import SYSTEM
from bailiwick.identity import Organization
from bailiwick.identity.people.accounts import User
from bailiwick.identity.people.permissions import Role
from bailiwick.installation import Installation, Settings
from bailiwick.installation.ways_in import WaysIn
from bailiwick.kernel.ids import INSTALLATION
from tests.support.authenticator import Authenticator

PUBLIC_URL = "http://localhost:8700"
PASSWORD = "vexed otter prints maps"


@dataclass
class Platform:
    """An open installation and its door."""

    installation: Installation
    app: FastAPI
    acme: Organization

    @property
    def ways(self) -> WaysIn:
        return self.installation.ways_in

    def browser(self) -> httpx.AsyncClient:
        """A client without a network that keeps its cookies and follows nothing by itself."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL)

    async def person(self, name: str, *, role: Role | None = None, verified: bool = False) -> User:
        """A user with a password, and a role in Acme if one is given."""
        user = await self.installation.accounts.create(
            f"{name}@example.org", name.title(), actor=SYSTEM, is_verified=verified
        )
        await self.installation.passwords.set(user, PASSWORD, actor=SYSTEM)
        if role is not None:
            await self.installation.memberships.add(self.acme.id, user.id, role, actor=SYSTEM)
        return user

    async def begun(self, browser: httpx.AsyncClient, name: str, **changed: Any) -> httpx.Response:
        """The answer to email address and password."""
        body = {"email": f"{name}@example.org", "password": PASSWORD, **changed}
        return await browser.post("/api/v1/login", json=body)

    async def acts(self, organization_id: str = INSTALLATION) -> list[tuple[str, str | None]]:
        """What was audited and why, the oldest first."""
        page = await self.installation.audit.list(organization_id, limit=500)
        return [(entry.action, entry.reason) for entry in page.items][::-1]


@pytest.fixture
async def platform(login_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())
    settings = Settings(
        database_url=SecretStr(login_url),
        public_url=PUBLIC_URL,
        password_memory_mib=12,
        outbound_allowed="127.0.0.0/8:*, localhost:*",
    )
    async with Installation.open(settings) as installation:
        acme = await installation.organizations.create("Acme")
        made = Platform(installation, create_app(installation), acme)
        await made.person("olga", role="owner")
        yield made


@pytest.fixture
async def browser(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with platform.browser() as client:
        yield client


@pytest.fixture
def key() -> Authenticator:
    """A security key on the desk of whoever sits at the public address."""
    return Authenticator(PUBLIC_URL)
