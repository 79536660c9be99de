"""What tests of sessions and keys share: the services on one database, and people to use them."""

import secrets
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bailiwick.audit import SYSTEM, AuditLog
from bailiwick.identity import Keys, Organizations, ServiceAccounts, Sessions, SigningKeys
from bailiwick.identity.people.accounts import Accounts, User
from bailiwick.identity.people.memberships import Memberships
from bailiwick.identity.people.permissions import Role
from bailiwick.storage import Database
from bailiwick.storage.database import trusted
from bailiwick.vault import Vault
from bailiwick.vault.key_file import FixedSource
from bailiwick.vault.providers import LocalKey

MASTER_KEY = LocalKey(secrets.token_bytes(32))


@dataclass
class Identity:
    """The identity services of one process, and a superuser's way past them."""

    database: Database
    login_url: str
    audit: AuditLog
    accounts: Accounts
    memberships: Memberships
    organizations: Organizations
    signing: SigningKeys
    sessions: Sessions
    keys: Keys
    service_accounts: ServiceAccounts

    @classmethod
    def of(cls, database: Database, login_url: str) -> "Identity":
        audit = AuditLog(database)
        vault = Vault(database, FixedSource(MASTER_KEY))
        signing = SigningKeys(database, vault, audit, issuer="bailiwick")
        return cls(
            database, login_url, audit, Accounts(database, audit), Memberships(database, audit),
            Organizations(database), signing, Sessions(database, signing, audit), Keys(database, audit),
            ServiceAccounts(database, audit),
        )  # fmt: skip

    def another_process(self) -> "Identity":
        """The same database, with nothing in memory."""
        return Identity.of(self.database, self.login_url)

    async def user(self, name: str = "maria", **roles: Role) -> User:
        """A user with roles by the slug of organizations, which are made where they are missing."""
        user = await self.accounts.create(f"{name}@example.org", name, actor=SYSTEM)
        for slug, role in roles.items():
            organization = await self.organizations.ensure(slug)
            if role != "owner" and not (await self.memberships.list(organization.id)).items:
                founder = await self.accounts.create(f"founder@{slug}.example.org", "Founder", actor=SYSTEM)
                await self.memberships.add(organization.id, founder.id, "owner", actor=SYSTEM)
            await self.memberships.add(organization.id, user.id, role, actor=SYSTEM)
        return user

    def as_superuser(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Run a statement past every policy: to let time pass, or to look at what is stored."""
        with psycopg.connect(self.login_url, autocommit=True) as admin, admin.cursor(row_factory=dict_row) as cursor:
            cursor.execute(trusted(statement), parameters)
            return cursor.fetchall() if cursor.description else []

    def acts(self, action: str) -> list[dict[str, Any]]:
        """What the audit log holds of one kind, oldest first."""
        return self.as_superuser("select * from audit_entries where action = %s order by id", action)
