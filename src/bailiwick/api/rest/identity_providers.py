"""Identity providers: what people log in with besides passwords and passkeys. For the installation's administrators."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, SecretStr

from bailiwick.api.access import Acting, Admin, Platform
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.identity.oidc import PRESETS, IdentityProvider, NewIdentityProvider, ProviderPolicy
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import INSTALLATION

router = APIRouter(prefix="/identity-providers", tags=["identity providers"])

Owner = Annotated[
    str | None,
    Query(
        min_length=1, max_length=200, description="Slug or id of the organization whose providers are meant; those "
        "for everybody if left out.", examples=["acme"],
    ),
]  # fmt: skip
Reference = Annotated[str, Path(max_length=100, description="The provider's short name or id.", examples=["google"])]
ClientSecret = Annotated[
    SecretStr,
    Field(min_length=1, max_length=4000, description="From the provider; kept sealed.", examples=["what it gave"]),
]


class IdentityProviderView(BaseModel):
    """An identity provider; its secret is never shown."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000021"])
    slug: str = Field(description="Its short name.", examples=["google"])
    name: str = Field(description="What people see.", examples=["Google"])
    protocol: Literal["oidc", "github"] = Field(description="OpenID Connect, or GitHub's OAuth.", examples=["oidc"])
    issuer: str = Field(description="Who it is.", examples=["https://accounts.google.com"])
    client_id: str = Field(description="Who the platform is there.", examples=["1234.apps.googleusercontent.com"])
    scopes: list[str] = Field(description="What it is asked for.", examples=[["openid", "email", "profile"]])
    policy: ProviderPolicy = Field(description="Who is let in and with which role.")
    is_enabled: bool = Field(description="Whether it lets anybody in.", examples=[True])
    has_secret: bool = Field(description="Whether a client secret is kept.", examples=[True])
    callback_url: str = Field(
        description="To be allowed at the provider as the redirect address.",
        examples=["https://ops.example.org/api/v1/login/oidc/google/callback"],
    )
    created_at: datetime = Field(description="When it was added (UTC).", examples=["2026-11-20T09:30:00Z"])


class IdentityProviderPage(PageOf[IdentityProviderView]):
    """A page of identity providers."""


class NewProviderBody(Body):
    """An identity provider to add: one of the presets, or any by its issuer."""

    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Its short name.", examples=["google"])
    preset: Literal["google", "microsoft", "github"] | None = Field(
        default=None, description="Fills in issuer, name and scopes.", examples=["google"]
    )
    tenant: str | None = Field(
        default=None, max_length=100, description="For Microsoft: the id of your tenant.",
        examples=["9188040d-6c67-4c5b-b112-36a304b66dad"],
    )  # fmt: skip
    issuer: str | None = Field(
        default=None, min_length=1, max_length=500, description="Without a preset, or for a GitHub server of your own.",
        examples=["https://login.example.org"],
    )  # fmt: skip
    name: str | None = Field(
        default=None, min_length=1, max_length=100, description="What people see.", examples=["Example login"]
    )
    client_id: str = Field(
        min_length=1, max_length=500, description="From the provider.", examples=["1234.apps.googleusercontent.com"]
    )
    client_secret: SecretStr | None = Field(
        default=None, min_length=1, max_length=4000, description="From the provider; kept sealed.",
        examples=["what it gave"],
    )  # fmt: skip
    scopes: list[Annotated[str, Field(pattern=r"^[!#-\[\]-~]{1,100}$")]] | None = Field(
        default=None, max_length=20, description="What to ask for; what the login needs if left out.",
        examples=[["openid", "email", "profile", "groups"]],
    )  # fmt: skip
    policy: ProviderPolicy = Field(default_factory=ProviderPolicy, description="Who is let in and with which role.")

    def provider(self) -> NewIdentityProvider:
        """Return the provider with what its preset fills in, or raise InvalidInputError."""
        preset = PRESETS.get(self.preset or "")
        issuer = self.issuer or (None if preset is None else preset.issuer_for(self.tenant))
        if issuer is None:
            raise InvalidInputError("name a preset, or the issuer of the provider")
        secret = None if self.client_secret is None else self.client_secret.get_secret_value()
        new = NewIdentityProvider(
            self.slug, self.name or (self.slug if preset is None else preset.name), issuer, self.client_id, secret,
            policy=self.policy,
        )  # fmt: skip
        return new.completed(preset, self.scopes)


class SecretBody(Body):
    """A new client secret."""

    client_secret: ClientSecret


@router.get("", summary="List identity providers", responses=problems(403, 404))
async def list_identity_providers(
    platform: Platform, _: Admin, *, owner: Owner = None, limit: Limit = 50, cursor: Cursor = None
) -> IdentityProviderPage:
    """Return the providers for everybody, or of one organization, newest first."""
    page = await platform.ways_in.providers.list(await _owner(platform, owner), limit=limit, cursor=cursor)
    return IdentityProviderPage(items=[_view(platform, one) for one in page.items], next_cursor=page.next_cursor)


@router.post("", status_code=201, summary="Add an identity provider", responses=problems(403, 404, 409))
async def add_identity_provider(
    platform: Platform, _: Admin, actor: Acting, body: NewProviderBody, owner: Owner = None
) -> IdentityProviderView:
    """Add a provider; allow its `callback_url` there. It lets nobody in before its policy says so."""
    made = await platform.ways_in.providers.add(await _owner(platform, owner), body.provider(), actor=actor)
    return _view(platform, made)


@router.get("/{identity_provider}", summary="Get an identity provider", responses=problems(403, 404))
async def get_identity_provider(
    platform: Platform, _: Admin, identity_provider: Reference, owner: Owner = None
) -> IdentityProviderView:
    """Return one provider."""
    return _view(platform, await platform.ways_in.providers.get(await _owner(platform, owner), identity_provider))


@router.put("/{identity_provider}/policy", summary="Change who is let in", responses=problems(403, 404))
async def put_identity_provider_policy(
    platform: Platform, _: Admin, actor: Acting, body: ProviderPolicy, *, identity_provider: Reference,
    owner: Owner = None,
) -> IdentityProviderView:  # fmt: skip
    """Replace a provider's policy; it holds from the next login on."""
    ways, owner_id = platform.ways_in, await _owner(platform, owner)
    return _view(platform, await ways.providers.set_policy(owner_id, identity_provider, body, actor=actor))


@router.put("/{identity_provider}/secret", summary="Replace the client secret", responses=problems(403, 404))
async def put_identity_provider_secret(
    platform: Platform, _: Admin, actor: Acting, body: SecretBody, *, identity_provider: Reference,
    owner: Owner = None,
) -> IdentityProviderView:  # fmt: skip
    """Replace a provider's client secret."""
    ways, owner_id, secret = platform.ways_in, await _owner(platform, owner), body.client_secret.get_secret_value()
    return _view(platform, await ways.providers.set_secret(owner_id, identity_provider, secret, actor=actor))


@router.post("/{identity_provider}/enable", summary="Let people in again", responses=problems(403, 404))
async def enable_identity_provider(
    platform: Platform, _: Admin, actor: Acting, identity_provider: Reference, owner: Owner = None
) -> IdentityProviderView:
    """Let people log in through a provider again."""
    ways, owner_id = platform.ways_in, await _owner(platform, owner)
    return _view(platform, await ways.providers.set_enabled(owner_id, identity_provider, True, actor=actor))


@router.post("/{identity_provider}/disable", summary="Let nobody in", responses=problems(403, 404))
async def disable_identity_provider(
    platform: Platform, _: Admin, actor: Acting, identity_provider: Reference, owner: Owner = None
) -> IdentityProviderView:
    """Let nobody log in through a provider any more; sessions go on until they are ended."""
    ways, owner_id = platform.ways_in, await _owner(platform, owner)
    return _view(platform, await ways.providers.set_enabled(owner_id, identity_provider, False, actor=actor))


@router.delete(
    "/{identity_provider}", status_code=204, summary="Remove an identity provider", responses=problems(403, 404)
)
async def remove_identity_provider(
    platform: Platform, _: Admin, actor: Acting, identity_provider: Reference, owner: Owner = None
) -> None:
    """Forget a provider and whom it linked; accounts and memberships stay."""
    await platform.ways_in.providers.remove(await _owner(platform, owner), identity_provider, actor=actor)


async def _owner(platform: Installation, reference: str | None) -> str:
    return INSTALLATION if reference is None else (await platform.organizations.get(reference)).id


def _view(platform: Installation, provider: IdentityProvider) -> IdentityProviderView:
    return IdentityProviderView(
        **{name: getattr(provider, name) for name in provider.__slots__},
        callback_url=platform.ways_in.oidc.callback_url(provider),
    )
