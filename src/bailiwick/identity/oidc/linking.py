"""Which account an identity at a provider is: linked before, linked now, or made now, as the policy says."""

from dataclasses import dataclass
from datetime import datetime

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.oidc.errors import IdentityRefusedError
from bailiwick.identity.oidc.flow import Asserted
from bailiwick.identity.oidc.mapping import RoleMapping
from bailiwick.identity.oidc.providers import IdentityProvider
from bailiwick.identity.people.accounts import Accounts, User
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION, parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """A provider that a user can log in with."""

    provider_id: str
    email: str | None
    created_at: datetime
    last_login_at: datetime | None


class Admissions:
    """Decides who an identity is here, and lets them in with the roles of their groups."""

    def __init__(self, database: Database, accounts: Accounts, roles: RoleMapping, audit: AuditLog) -> None:
        self._database = database
        self._accounts = accounts
        self._roles = roles
        self._audit = audit

    async def admit(self, asserted: Asserted, *, address: str | None = None) -> User:
        """Return the user that an identity is, with their roles settled; made or linked where the policy allows it.

        Raises:
            IdentityRefusedError: the policy lets this identity in as nobody, or its account is disabled.
        """
        provider = asserted.provider
        actor = Actor("system", provider.id, f"identity provider {provider.slug}", address)
        user = await self._find(asserted)
        if user is None:
            user = await self._linked_by_hand(asserted, address) or await self._admitted(asserted, actor)
        elif asserted.link_to not in (None, user.id):
            raise IdentityRefusedError(f"this identity at {provider.name} is linked to another account")
        if user.is_disabled:
            raise IdentityRefusedError("this account is disabled; ask an administrator")
        await self._roles.apply(asserted, user.id, actor=actor)
        await self._database.execute(
            "update user_identities set last_login_at = now(), email = %s where provider_id = %s and subject = %s",
            (asserted.email, provider.id, asserted.subject),
        )
        return user

    async def list(self, user_id: str) -> list[LinkedIdentity]:
        """Return the providers that a user can log in with."""
        rows = await self._database.fetch_all(
            "select provider_id, email, created_at, last_login_at from user_identities where user_id = %s "
            "order by created_at",
            (user_id,),
        )
        return [LinkedIdentity(**row) for row in rows]

    async def unlink(self, user_id: str, provider_id: str, *, actor: Actor) -> None:
        """Forget that a user can log in with a provider, or raise NotFoundError; memberships stay."""
        async with self._database.transaction(INSTALLATION) as connection:
            cursor = await connection.execute(
                "delete from user_identities where user_id = %s and provider_id = %s", (user_id, parse_id(provider_id))
            )
            if not cursor.rowcount:
                raise NotFoundError(f"no identity at provider {provider_id!r} is linked to this account")
            act = Act(INSTALLATION, "identity.unlinked", actor, f"user:{user_id}", before={"provider": provider_id})
            await self._audit.record(act, connection=connection)

    async def _find(self, asserted: Asserted) -> User | None:
        row = await self._database.fetch_one(
            "select user_id from user_identities where provider_id = %s and subject = %s",
            (asserted.provider.id, asserted.subject),
        )
        return None if row is None else await self._accounts.find(row["user_id"])

    async def _linked_by_hand(self, asserted: Asserted, address: str | None) -> User | None:
        if asserted.link_to is None:
            return None
        user = await self._accounts.get(asserted.link_to)
        async with self._database.transaction(INSTALLATION) as connection:
            await self._link(asserted, user, Actor("user", user.id, user.email, address), connection)
        return user

    async def _admitted(self, asserted: Asserted, actor: Actor) -> User:
        """Return the account of whoever nobody has linked yet, by a verified address that the provider speaks for."""
        policy, provider = asserted.provider.policy, asserted.provider
        if not (policy.links_by_email or policy.creates_accounts):
            raise _unknown(provider)
        if asserted.email is None or not asserted.is_email_verified or not policy.speaks_for(asserted.email):
            raise IdentityRefusedError(
                f"{provider.name} vouches for no email address of yours that is accepted here; "
                "verify it there, or log in another way and link the two"
            )
        account = await self._accounts.find_by_email(asserted.email)
        async with self._database.transaction(INSTALLATION) as connection:
            if account is None:
                account = await self._made(asserted, actor, connection)
            else:
                _check_linkable(provider, account)
            await self._link(asserted, account, actor, connection)
        return account

    async def _made(self, asserted: Asserted, actor: Actor, connection: Connection) -> User:
        if not asserted.provider.policy.creates_accounts:
            raise _unknown(asserted.provider)
        email = asserted.email or ""
        name = (asserted.name or "").strip()[:200]
        try:
            return await self._accounts.create(
                email, name if name.isprintable() and name else email, actor=actor, is_verified=True,
                connection=connection,
            )  # fmt: skip
        except (ConflictError, InvalidInputError) as error:
            raise IdentityRefusedError(f"no account can be made for you: {error}; log in again") from error

    async def _link(self, asserted: Asserted, user: User, actor: Actor, connection: Connection) -> None:
        cursor = await connection.execute(
            "insert into user_identities (provider_id, subject, user_id, email) values (%s, %s, %s, %s) "
            "on conflict do nothing",
            (asserted.provider.id, asserted.subject, user.id, asserted.email),
        )
        if not cursor.rowcount:
            raise IdentityRefusedError(
                f"another identity at {asserted.provider.name} is linked to this account already; unlink it first"
            )
        act = Act(INSTALLATION, "identity.linked", actor, f"user:{user.id}", after={"provider": asserted.provider.id})
        await self._audit.record(act, connection=connection)


def _check_linkable(provider: IdentityProvider, account: User) -> None:
    """Refuse to take an account for the same person's where the address alone is too little.

    An address that nobody verified here may have been registered by somebody
    else, who still knows its password. And who runs one organization's provider
    must not become an administrator of them all.
    """
    if not provider.policy.links_by_email or account.email_verified_at is None:
        raise IdentityRefusedError(
            f"there is an account with this address that {provider.name} is not linked to; log in and link the two"
        )
    if account.is_admin and not provider.is_for_everybody:
        raise IdentityRefusedError("an administrator's account is linked by hand only; log in and link the two")


def _unknown(provider: IdentityProvider) -> IdentityRefusedError:
    return IdentityRefusedError(f"nobody here is linked to this identity at {provider.name}; log in and link the two")
