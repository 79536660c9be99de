"""Identity providers of the installation and of its organizations: kept with their secret sealed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg
from pydantic import BaseModel

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.oidc.policy import GroupRole, ProviderPolicy, RoleGrant
from bailiwick.identity.oidc.presets import OIDC_SCOPES, Preset, Protocol
from bailiwick.identity.organizations import Organizations
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION, new_id, parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.database import trusted
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.vault import Vault

_COLUMNS = (
    "id, organization_id, slug, name, protocol, issuer, client_id, scopes, policy, is_enabled, created_at, "
    "sealed_client_secret is not null as has_secret"
)
_PURPOSE = "identity_provider.client_secret"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A provider; its client secret is not among what is shown. ``organization_id`` INSTALLATION: for everybody."""

    id: str
    organization_id: str
    slug: str
    name: str
    protocol: Protocol
    issuer: str
    client_id: str
    scopes: list[str]
    policy: ProviderPolicy
    is_enabled: bool
    has_secret: bool
    created_at: datetime

    @property
    def is_for_everybody(self) -> bool:
        """Tell whether it is the installation's own, and not one organization's."""
        return self.organization_id == INSTALLATION


@dataclass(frozen=True, slots=True)
class NewIdentityProvider:
    """A provider to add."""

    slug: str
    name: str
    issuer: str
    client_id: str
    client_secret: str | None = None
    protocol: Protocol = "oidc"
    scopes: tuple[str, ...] = OIDC_SCOPES
    policy: ProviderPolicy = field(default_factory=ProviderPolicy)

    def completed(self, preset: Preset | None, scopes: Sequence[str] | None) -> "NewIdentityProvider":
        """Return it with protocol and scopes of a preset, if it has one, and with other scopes, if they are given."""
        if preset is not None:
            return replace(self, protocol=preset.protocol, scopes=tuple(scopes or preset.scopes))
        return replace(self, scopes=tuple(scopes or self.scopes))


class IdentityProviders:
    """The identity providers of this installation.

    Only the installation's administrator adds or changes them: whoever runs a
    provider can act as everybody linked to it.
    """

    def __init__(self, database: Database, vault: Vault, audit: AuditLog, organizations: Organizations) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit
        self._organizations = organizations

    async def add(self, organization_id: str, new: NewIdentityProvider, *, actor: Actor) -> IdentityProvider:
        """Add a provider, for everybody (INSTALLATION) or one organization.

        Raises:
            InvalidInputError: the issuer is no https address, or the policy reaches beyond the organization.
            NotFoundError: the policy names an organization that does not exist.
            ConflictError: there is one of that short name already.
        """
        _check_issuer(new.issuer)
        policy = await self._checked(organization_id, new.policy)
        provider_id = new_id()
        sealed = None
        if new.client_secret:
            sealed = await self._vault.seal(organization_id, new.client_secret.encode(), purpose=_purpose(provider_id))
        try:
            async with self._database.transaction(organization_id) as connection:
                cursor = await connection.execute(
                    "insert into identity_providers (id, organization_id, slug, name, protocol, issuer, client_id, "
                    "sealed_client_secret, scopes, policy) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb) "
                    f"returning {_COLUMNS}",
                    (
                        provider_id, organization_id, new.slug, new.name, new.protocol, new.issuer, new.client_id,
                        sealed, list(new.scopes), _json(policy),
                    ),
                )  # fmt: skip
                made = _provider(await cursor.fetchone())
                await self._audit.record(
                    Act(organization_id, "identity_provider.added", actor, _target(made), after=_audited(made)),
                    connection=connection,
                )
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError(f"there is an identity provider {new.slug!r} already; choose another name") from error
        except psycopg.errors.CheckViolation as error:
            raise InvalidInputError(
                f"{new.slug!r} is no short name: lower-case letters, digits and hyphens, at most 63"
            ) from error
        return made

    async def set_policy(
        self, organization_id: str, reference: str, policy: ProviderPolicy, *, actor: Actor
    ) -> IdentityProvider:
        """Change who is let in and with which role; it holds from the next login on.

        Raises:
            NotFoundError, InvalidInputError: as in ``add``.
        """
        checked = await self._checked(organization_id, policy)
        return await self._change(
            organization_id,
            reference,
            "policy = %(value)s::jsonb",
            _json(checked),
            action="policy_changed",
            actor=actor,
        )

    async def set_secret(self, organization_id: str, reference: str, secret: str, *, actor: Actor) -> IdentityProvider:
        """Replace the client secret, or raise NotFoundError."""
        found = await self.get(organization_id, reference)
        sealed = await self._vault.seal(organization_id, secret.encode(), purpose=_purpose(found.id))
        return await self._change(
            organization_id, found.id, "sealed_client_secret = %(value)s", sealed, action="secret_changed", actor=actor
        )

    async def set_enabled(
        self, organization_id: str, reference: str, is_enabled: bool, *, actor: Actor
    ) -> IdentityProvider:
        """Let nobody in through a provider any more, or again; sessions that began through it go on."""
        action = "enabled" if is_enabled else "disabled"
        return await self._change(
            organization_id, reference, "is_enabled = %(value)s", is_enabled, action=action, actor=actor
        )

    async def remove(self, organization_id: str, reference: str, *, actor: Actor) -> None:
        """Forget a provider and whom it linked; accounts and memberships stay. Raises NotFoundError."""
        found = await self.get(organization_id, reference)
        async with self._database.transaction(organization_id) as connection:
            await connection.execute("delete from identity_providers where id = %s", (found.id,))
            act = Act(organization_id, "identity_provider.removed", actor, _target(found), before=_audited(found))
            await self._audit.record(act, connection=connection)

    async def get(self, organization_id: str, reference: str) -> IdentityProvider:
        """Return a provider by short name or id, or raise NotFoundError."""
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from identity_providers where organization_id = %s and (id = %s::uuid or slug = %s)",
            (organization_id, parse_id(reference), reference),
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no identity provider {reference!r}; see: bailiwick identity-providers list")
        return _provider(row)

    async def for_login(self, reference: str) -> IdentityProvider:
        """Return an enabled provider of whichever organization by id, or of the installation by short name.

        Raises:
            NotFoundError: there is none, or it is disabled.
        """
        identifier = parse_id(reference)
        if identifier is None:
            row = await self._database.fetch_one(
                f"select {_COLUMNS} from identity_providers where organization_id = %s and slug = %s and is_enabled",
                (INSTALLATION, reference),
                organization_id=INSTALLATION,
            )
        else:
            row = await self._database.fetch_one(f"select {_COLUMNS} from login_provider(%s)", (identifier,))
        if row is None:
            raise NotFoundError(f"no identity provider {reference!r} to log in with")
        return _provider(row)

    async def client_secret(self, provider: IdentityProvider) -> str | None:
        """Return a provider's client secret, or None where the client is public."""
        row = await self._database.fetch_one(
            "select sealed_client_secret from identity_providers where id = %s",
            (provider.id,),
            organization_id=provider.organization_id,
        )
        if row is None or row["sealed_client_secret"] is None:
            return None
        opened = await self._vault.open(
            provider.organization_id, row["sealed_client_secret"], purpose=_purpose(provider.id)
        )
        return opened.decode()

    async def list(
        self, organization_id: str, *, enabled_only: bool = False, limit: int = 50, cursor: str | None = None
    ) -> Page[IdentityProvider]:
        """Return a page of the providers of an organization, or of the installation, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from identity_providers where organization_id = %(org)s "
            "and (is_enabled or not %(enabled)s) and (%(after)s::uuid is null or id < %(after)s) "
            "order by id desc limit %(limit)s",
            {"org": organization_id, "enabled": enabled_only, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_provider(row) for row in rows], limit)

    async def _checked(self, organization_id: str, policy: ProviderPolicy) -> ProviderPolicy:
        """Return a policy with organizations by their id, once it stays inside the provider's organization."""
        reaches_out = (policy.creates_accounts or policy.links_by_email) and not policy.email_domains
        if organization_id != INSTALLATION and reaches_out:
            raise InvalidInputError(
                "an organization's own provider makes and links accounts only in domains of its own: "
                "name them in email_domains"
            )
        by_group = [
            GroupRole(group=one.group, organization=await self._organization(organization_id, one), role=one.role)
            for one in policy.group_roles
        ]
        default = policy.default_role
        if default is not None:
            default = RoleGrant(organization=await self._organization(organization_id, default), role=default.role)
        return policy.model_copy(update={"group_roles": by_group, "default_role": default})

    async def _organization(self, organization_id: str, grant: RoleGrant) -> str:
        found = await self._organizations.get(grant.organization)
        if organization_id not in (INSTALLATION, found.id):
            raise InvalidInputError(f"an organization's own provider gives no roles in {grant.organization!r}")
        return found.id

    async def _change(
        self, organization_id: str, reference: str, change: str, value: object, *, action: str, actor: Actor
    ) -> IdentityProvider:
        before = await self.get(organization_id, reference)
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                trusted(f"update identity_providers set {change} where id = %(id)s returning {_COLUMNS}"),
                {"id": before.id, "value": value},
            )
            after = _provider(await cursor.fetchone())
            act = Act(
                organization_id, f"identity_provider.{action}", actor, _target(after),
                before=_audited(before), after=_audited(after),
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        return after


def _check_issuer(issuer: str) -> None:
    parts = urlsplit(issuer)
    is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or is_local) or parts.query or parts.fragment:
        raise InvalidInputError(f"an issuer is an https:// address without query, not {issuer[:200]!r}")


def _provider(row: Row | None) -> IdentityProvider:
    if row is None:
        raise NotFoundError("the identity provider vanished meanwhile")
    fields: dict[str, Any] = {**row, "policy": ProviderPolicy.model_validate(row["policy"])}
    return IdentityProvider(**fields)


def _json(policy: BaseModel) -> str:
    return encode(policy, what="policy").decode()


def _purpose(provider_id: str) -> str:
    return f"{_PURPOSE}:{provider_id}"


def _target(provider: IdentityProvider) -> str:
    return f"identity_provider:{provider.id}"


def _audited(provider: IdentityProvider) -> dict[str, Any]:
    return {
        "slug": provider.slug,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "is_enabled": provider.is_enabled,
        "policy": provider.policy.model_dump(mode="json"),
    }
