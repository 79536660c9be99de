"""An installation on a database of the test's own, its app, and keys of three kinds."""

import base64
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from bailiwick.api import create_app
from bailiwick.audit import SYSTEM
from bailiwick.identity import Organization, TokenPair
from bailiwick.identity.people.accounts import User
from bailiwick.identity.people.permissions import Role
from bailiwick.installation import Installation, Settings
from tests.support.api import NotesExtension, client_of

MASTER_KEY = SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())


@dataclass
class Premises:
    """What a test of the API needs."""

    installation: Installation
    app: FastAPI
    acme: Organization
    rival: Organization
    admin_key: str
    acme_key: str
    rival_key: str

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        return client_of(self.app, key)

    async def user(self, name: str, **roles: Role) -> User:
        """A user with roles by the slug of organizations, each of which has an owner beside."""
        user = await self.installation.accounts.create(f"{name}@example.org", name, actor=SYSTEM)
        for slug, role in roles.items():
            organization = await self.installation.organizations.get(slug)
            if role != "owner" and not (await self.installation.memberships.list(organization.id)).items:
                founder = await self.installation.accounts.create(f"founder@{slug}.example", "Founder", actor=SYSTEM)
                await self.installation.memberships.add(organization.id, founder.id, "owner", actor=SYSTEM)
            await self.installation.memberships.add(organization.id, user.id, role, actor=SYSTEM)
        return user

    async def log_in(self, user: User) -> TokenPair:
        """A program's session, as the login endpoints begin it."""
        return await self.installation.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)

    async def log_in_browser(self, user: User) -> httpx.AsyncClient:
        """A client with the cookies of a browser's session that proves where its requests come from."""
        session = await self.installation.sessions.begin_in_browser(
            user.id, methods=["pwd"], address=None, user_agent=None
        )
        client = self.client()
        client.cookies.set("bailiwick_session", session.token)
        client.cookies.set("bailiwick_csrf", session.csrf)
        client.headers["x-csrf-token"] = session.csrf
        return client


@pytest.fixture
async def premises(login_url: str) -> AsyncIterator[Premises]:
    """Two organizations and a key of each, beside the administrator's."""
    settings = Settings(
        database_url=SecretStr(login_url), port=0, master_key=MASTER_KEY, rate_limits=False, password_memory_mib=12
    )
    async with Installation.open(settings, extra=[NotesExtension()]) as installation:
        admin_key = await installation.first_start()
        assert admin_key is not None
        acme = await installation.organizations.create("Acme")
        rival = await installation.organizations.create("Rival")
        yield Premises(
            installation,
            create_app(installation),
            acme,
            rival,
            admin_key,
            await installation.keys.issue("acme", organization_id=acme.id),
            await installation.keys.issue("rival", organization_id=rival.id),
        )


@pytest.fixture
async def acme(premises: Premises) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of Acme."""
    async with premises.client(premises.acme_key) as client:
        yield client


@pytest.fixture
async def admin(premises: Premises) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the administrator's key."""
    async with premises.client(premises.admin_key) as client:
        yield client


@pytest.fixture
async def owner(premises: Premises) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a person who owns Acme: what only people may say is said by it."""
    tokens = await premises.log_in(await premises.user("olivia", acme="owner"))
    async with premises.client(tokens.access) as client:
        yield client


@pytest.fixture
async def root(premises: Premises) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a person who administers the installation."""
    user = await premises.user("root")
    await premises.installation.accounts.set_admin(user.id, True, actor=SYSTEM)
    async with premises.client((await premises.log_in(user)).access) as client:
        yield client
