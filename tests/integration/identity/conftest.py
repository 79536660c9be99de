"""Everything about people on a database of the test's own, with cheap hashes."""

import psycopg
import pytest

from bailiwick.audit import SYSTEM, AuditLog
from bailiwick.audit.alarms import Alarms
from bailiwick.identity.login.password_resets import PasswordResets
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.organizations import Organizations
from bailiwick.identity.people.accounts import Accounts, User
from bailiwick.identity.people.invitations import Invitations
from bailiwick.identity.people.memberships import Memberships
from bailiwick.identity.people.owner_link import OwnerLink
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database

GOOD = "vexed otter prints maps"
BETTER = "seven quiet anvils drift"


class Town:
    """The services that know who people are and where they belong."""

    def __init__(self, database: Database, login_url: str) -> None:
        self.database = database
        self.login_url = login_url
        self.audit = AuditLog(database)
        self.accounts = Accounts(database, self.audit)
        self.memberships = Memberships(database, self.audit)
        self.organizations = Organizations(database)
        self.passwords = Passwords(database, self.audit, self.accounts, Alarms(database), memory_mib=1)
        people = (database, self.audit, self.accounts, self.memberships, self.passwords)
        self.invitations = Invitations(*people)
        self.owner_link = OwnerLink(*people)
        self.resets = PasswordResets(database, self.audit, self.accounts, self.passwords)

    async def user(self, name: str) -> User:
        return await self.accounts.create(f"{name}@example.org", name, actor=SYSTEM)

    async def organization(self, name: str = "Acme", **roles: str) -> str:
        """An organization whose members, made here too, have these roles; the owner first."""
        organization = await self.organizations.create(name)
        for person, role in roles.items():
            user = await self.accounts.find_by_email(f"{person}@example.org") or await self.user(person)
            await self.memberships.add(organization.id, user.id, role, actor=SYSTEM)  # type: ignore[arg-type]
        return organization.id

    async def id_of(self, person: str) -> str:
        return (await self.accounts.get_by_email(f"{person}@example.org")).id

    async def as_superuser(self, statement: str, *values: object) -> None:
        """Change rows beside the rules: to let time pass."""
        async with await psycopg.AsyncConnection.connect(self.login_url) as superuser:
            await superuser.execute(statement, values)  # type: ignore[arg-type]

    async def acts(self, organization_id: str = INSTALLATION) -> list[str]:
        """What was audited, the oldest first."""
        page = await self.audit.list(organization_id, limit=500)
        return [entry.action for entry in page.items][::-1]


@pytest.fixture
def town(database: Database, login_url: str) -> Town:
    return Town(database, login_url)
