"""An installation on a database of the test's own, its app, and keys of three kinds."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from bailiwick.api import create_app
from bailiwick.identity import Organization
from bailiwick.installation import Installation, Settings
from tests.support.api import NotesExtension, client_of


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


@pytest.fixture
async def premises(login_url: str) -> AsyncIterator[Premises]:
    """Two organizations and a key of each, beside the administrator's."""
    settings = Settings(database_url=SecretStr(login_url), port=0)
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
