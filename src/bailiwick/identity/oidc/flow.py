"""A login at an identity provider: the authorization code flow with PKCE, state and nonce, there and back."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urlsplit

from bailiwick.identity.factors.ceremonies import Ceremonies, Ceremony
from bailiwick.identity.oidc.discovery import Discovery, ProviderMetadata
from bailiwick.identity.oidc.errors import IdentityProviderError, IdentityUnprovenError
from bailiwick.identity.oidc.github import GitHubEndpoints, read_user
from bailiwick.identity.oidc.providers import IdentityProvider, IdentityProviders
from bailiwick.kernel.loading import loaded

if TYPE_CHECKING:
    from bailiwick.identity.oidc.calling import ProviderCalls
    from bailiwick.outbound import AllowList

_PURPOSE = "oidc.login"
_LIFETIME_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Started:
    """Where the browser goes, and the secret it keeps in a cookie, so that nobody else can finish its login."""

    url: str
    browser_secret: str


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a provider says about who came back; ``link_to`` is the user who began this to link the two."""

    provider: IdentityProvider
    subject: str
    email: str | None
    is_email_verified: bool
    name: str | None
    groups: tuple[str, ...]
    link_to: str | None
    return_to: str | None


class OidcLogins:
    """Logins at identity providers, from the first redirect to a checked identity."""

    def __init__(
        self,
        providers: IdentityProviders,
        ceremonies: Ceremonies,
        *,
        allow: "AllowList",
        public_url: str,
    ) -> None:
        self._providers = providers
        self._ceremonies = ceremonies
        self._allow = allow
        self._public_url = public_url.rstrip("/")
        self._calls: ProviderCalls | None = None
        self._discovery: Discovery | None = None

    def callback_url(self, provider: IdentityProvider) -> str:
        """Return where a provider sends browsers back to: an address of its own for each (RFC 9700, 4.4.2.2).

        A provider for everybody goes by its short name, so that it is known before the provider is added.
        """
        reference = provider.slug if provider.is_for_everybody else provider.id
        return f"{self._public_url}/api/v1/login/oidc/{reference}/callback"

    async def start(
        self, provider: IdentityProvider, *, link_to: str | None = None, return_to: str | None = None
    ) -> Started:
        """Begin a login within ten minutes; ``link_to`` is a logged-in user who wants the two linked.

        Raises:
            IdentityProviderError: the provider does not say where its logins begin.
        """
        state_secret, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        remembered = {
            "provider": provider.id,
            "nonce": nonce,
            "verifier": verifier,
            "browser": _digest(state_secret),
            "return_to": return_to,
        }
        if provider.protocol == "github":
            endpoint = GitHubEndpoints.of(provider.issuer).authorization
        else:
            endpoint = (await self._known(provider)).authorization_endpoint
        state = await self._ceremonies.begin(_PURPOSE, remembered, user_id=link_to, lifetime_seconds=_LIFETIME_SECONDS)
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": self.callback_url(provider),
            "scope": " ".join(provider.scopes),
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        if provider.protocol == "oidc":
            query["nonce"] = nonce
        separator = "&" if urlsplit(endpoint).query else "?"
        return Started(f"{endpoint}{separator}{urlencode(query)}", state_secret)

    async def finish(
        self, provider: IdentityProvider, answer: Mapping[str, str], *, browser_secret: str | None
    ) -> Asserted:
        """Return what the provider says about whom it sent back with ``answer``, the callback's query.

        The state is used up whatever comes of it.

        Raises:
            IdentityUnprovenError: the answer is not this browser's, not this provider's, or proves nothing.
            IdentityProviderError: the provider does not answer, or refuses this installation as its client.
        """
        begun = await self._ceremonies.finish(answer.get("state", ""), _PURPOSE)
        remembered = begun.document
        if not hmac.compare_digest(_digest(browser_secret or ""), str(remembered["browser"])):
            raise IdentityUnprovenError("this login was begun in another browser; begin again in this one")
        if remembered["provider"] != provider.id:
            raise IdentityUnprovenError("this login was begun at another identity provider; begin again")
        if "error" in answer:
            raise IdentityUnprovenError(f"the identity provider let nobody in: {_code(answer['error'])}; log in again")
        if not answer.get("code"):
            raise IdentityUnprovenError("the identity provider sent no code; log in again")
        if provider.protocol == "github":
            claims = await self._github_claims(provider, answer["code"], begun)
        else:
            claims = await self._oidc_claims(provider, answer, begun)
        return _asserted(provider, claims, begun)

    async def logout_url(self, provider: IdentityProvider) -> str | None:
        """Return where a browser ends its session at the provider (RP-Initiated Logout 1.0), or None."""
        if provider.protocol == "github":
            return None
        endpoint = (await self._known(provider)).end_session_endpoint
        if endpoint is None:
            return None
        return (
            f"{endpoint}?{urlencode({'client_id': provider.client_id, 'post_logout_redirect_uri': self._public_url})}"
        )

    async def _oidc_claims(
        self, provider: IdentityProvider, answer: Mapping[str, str], begun: Ceremony
    ) -> dict[str, Any]:
        metadata = await self._known(provider)
        # RFC 9207: an answer that names an issuer must name this one, or it was meant for another client's login.
        if (metadata.names_itself or "iss" in answer) and answer.get("iss") != metadata.issuer:
            raise IdentityUnprovenError("another identity provider sent this answer; begin again")
        tokens = await self._exchange(provider, metadata.token_endpoint, answer["code"], begun, metadata)
        token, access = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(token, str):
            raise IdentityUnprovenError("the identity provider sent no ID token; is it OpenID Connect?")
        access = access if isinstance(access, str) else None
        claims = await self._verified(provider, metadata, token, access, str(begun.document["nonce"]))
        if metadata.userinfo_endpoint and access and _lacks(claims, provider.policy.group_claim):
            said = await self._calling().get(metadata.userinfo_endpoint, token=access)
            # Core 5.3.2: another subject's answer must not be mixed in.
            if isinstance(said, dict) and said.get("sub") == claims["sub"]:
                claims = {**cast("dict[str, Any]", said), **claims}
        return claims

    async def _verified(
        self, provider: IdentityProvider, metadata: ProviderMetadata, token: str, access: str | None, nonce: str
    ) -> dict[str, Any]:
        await loaded("bailiwick.identity.oidc.id_token")
        from bailiwick.identity.oidc import id_token  # noqa: PLC0415 - needs cryptography, slow to import

        keys = await self._discovering().keys(metadata.issuer, without=id_token.key_id_of(token))
        expected = id_token.Expected(metadata.issuer, provider.client_id, nonce, metadata.algorithms)
        return id_token.verified_claims(token, keys, expected, access_token=access)

    async def _github_claims(self, provider: IdentityProvider, code: str, begun: Ceremony) -> dict[str, Any]:
        tokens = await self._exchange(provider, GitHubEndpoints.of(provider.issuer).token, code, begun, None)
        access = tokens.get("access_token")
        if not isinstance(access, str):
            raise IdentityUnprovenError("GitHub sent no access token; log in again")
        return await read_user(self._calling(), provider.issuer, access)

    async def _exchange(
        self,
        provider: IdentityProvider,
        endpoint: str,
        code: str,
        begun: Ceremony,
        metadata: ProviderMetadata | None,
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback_url(provider),
            "code_verifier": str(begun.document["verifier"]),
        }
        secret = await self._providers.client_secret(provider)
        auth = None
        if secret is not None and metadata is not None and metadata.takes_basic_auth:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            auth = (quote(provider.client_id, safe=""), quote(secret, safe=""))
        else:
            form["client_id"] = provider.client_id
            if secret is not None:
                form["client_secret"] = secret
        status, tokens = await self._calling().post(endpoint, form, auth=auth)
        error = tokens.get("error")
        if error in ("invalid_client", "unauthorized_client", "incorrect_client_credentials"):
            raise IdentityProviderError(
                f"{provider.name} refuses this installation as its client ({_code(error)}); "
                "an administrator must check client id and secret"
            )
        if status != HTTPStatus.OK or error is not None:
            raise IdentityUnprovenError(f"{provider.name} refuses the code: {_code(error or status)}; log in again")
        return tokens

    async def _known(self, provider: IdentityProvider) -> ProviderMetadata:
        return await self._discovering().metadata(provider.issuer)

    def _calling(self) -> "ProviderCalls":
        if self._calls is None:
            from bailiwick.identity.oidc.calling import ProviderCalls  # noqa: PLC0415 - needs httpx, slow to import

            self._calls = ProviderCalls(self._allow)
        return self._calls

    def _discovering(self) -> Discovery:
        if self._discovery is None:
            self._discovery = Discovery(self._calling())
        return self._discovery


def _asserted(provider: IdentityProvider, claims: Mapping[str, Any], begun: Ceremony) -> Asserted:
    email, name = claims.get("email"), claims.get("name") or claims.get("preferred_username")
    has_email = isinstance(email, str) and bool(email)
    # Some providers write the truth as text.
    is_verified = has_email and (provider.policy.trusts_email or claims.get("email_verified") in (True, "true", "True"))
    return Asserted(
        provider=provider,
        subject=str(claims["sub"]),
        email=str(email) if has_email else None,
        is_email_verified=is_verified,
        name=name if isinstance(name, str) else None,
        groups=_texts(claims.get(provider.policy.group_claim)),
        link_to=begun.user_id,
        return_to=begun.document.get("return_to"),
    )


def _lacks(claims: Mapping[str, Any], group_claim: str) -> bool:
    return "email" not in claims or group_claim not in claims


def _texts(value: object) -> tuple[str, ...]:
    listed = cast("list[Any]", value) if isinstance(value, list) else [value]
    return tuple(one for one in listed if isinstance(one, str))


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _code(value: object) -> str:
    # What a stranger writes into an address is shown as a code or not at all.
    text = str(value)[:60]
    return text if text.replace("_", "").isalnum() and text.isascii() else "an error"
