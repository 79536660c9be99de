"""What a provider says of itself (OpenID Connect Discovery 1.0), and the keys it signs with; kept for a while."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from bailiwick.identity.oidc.errors import IdentityProviderError
from bailiwick.kernel.loading import loaded

if TYPE_CHECKING:
    from bailiwick.identity.oidc.calling import ProviderCalls
    from bailiwick.identity.oidc.id_token import Keys

METADATA_SECONDS = 3600.0
# However many tokens with unknown keys arrive, a provider is asked again this seldom.
REFRESH_SECONDS = 10.0
_DEFAULT_ALGORITHMS = ("RS256",)


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The part of a discovery document that logins need."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    algorithms: tuple[str, ...]
    takes_basic_auth: bool
    names_itself: bool


@dataclass(slots=True)
class _Known:
    metadata: ProviderMetadata
    keys: "Keys | None"
    read_at: float
    keys_read_at: float


class Discovery:
    """Discovery documents and keys of providers, each read when first needed and then hourly."""

    def __init__(self, calls: "ProviderCalls") -> None:
        self._calls = calls
        self._known: dict[str, _Known] = {}

    async def metadata(self, issuer: str) -> ProviderMetadata:
        """Return what a provider says of itself.

        Raises:
            IdentityProviderError: it does not answer, or the document is another issuer's or lacks something.
        """
        return (await self._read(issuer)).metadata

    async def keys(self, issuer: str, *, without: str | None = None) -> "Keys":
        """Return the keys a provider signs with; read again if those known are old or do not have ``without``."""
        await loaded("bailiwick.identity.oidc.id_token")
        from bailiwick.identity.oidc.id_token import Keys  # noqa: PLC0415 - needs cryptography, slow to import

        known = await self._read(issuer)
        age = time.monotonic() - known.keys_read_at
        is_lacking = without is not None and (known.keys is None or not known.keys.has(without))
        if known.keys is None or age > METADATA_SECONDS or (is_lacking and age > REFRESH_SECONDS):
            known.keys = Keys.of(await self._calls.get(known.metadata.jwks_uri))
            known.keys_read_at = time.monotonic()
        return known.keys

    async def _read(self, issuer: str) -> _Known:
        known = self._known.get(issuer)
        if known is None or time.monotonic() - known.read_at > METADATA_SECONDS:
            document = await self._calls.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
            metadata = read_metadata(issuer, document)
            # Keys stay: what a provider signs with does not change because an hour is over.
            keys, keys_read_at = (None, 0.0) if known is None else (known.keys, known.keys_read_at)
            known = self._known[issuer] = _Known(metadata, keys, time.monotonic(), keys_read_at)
        return known


def read_metadata(issuer: str, document: Any) -> ProviderMetadata:
    """Return the metadata in a discovery document.

    Raises:
        IdentityProviderError: it is another issuer's (OpenID Connect Discovery 4.3), or lacks something.
    """
    if not isinstance(document, dict):
        raise IdentityProviderError(f"what {issuer} says of itself is no JSON object")
    said = cast("dict[str, Any]", document)
    if said.get("issuer") != issuer:
        raise IdentityProviderError(
            f"the discovery document of {issuer} names the issuer {str(said.get('issuer'))[:200]!r}; "
            "configure exactly the issuer it names"
        )
    methods = said.get("token_endpoint_auth_methods_supported")
    named = said.get("id_token_signing_alg_values_supported")
    algorithms = tuple(one for one in named if isinstance(one, str)) if isinstance(named, list) else ()
    return ProviderMetadata(
        issuer=issuer,
        authorization_endpoint=_endpoint(issuer, said, "authorization_endpoint"),
        token_endpoint=_endpoint(issuer, said, "token_endpoint"),
        jwks_uri=_endpoint(issuer, said, "jwks_uri"),
        userinfo_endpoint=_optional_endpoint(issuer, said, "userinfo_endpoint"),
        end_session_endpoint=_optional_endpoint(issuer, said, "end_session_endpoint"),
        algorithms=algorithms or _DEFAULT_ALGORITHMS,
        takes_basic_auth=not isinstance(methods, list) or "client_secret_basic" in methods,
        names_itself=said.get("authorization_response_iss_parameter_supported") is True,
    )


def _optional_endpoint(issuer: str, said: dict[str, Any], name: str) -> str | None:
    return None if said.get(name) is None else _endpoint(issuer, said, name)


def _endpoint(issuer: str, said: dict[str, Any], name: str) -> str:
    """Return an address in the document; only a provider on this machine may do without https."""
    url = said.get(name)
    allowed = ("https", urlsplit(issuer).scheme)
    if not isinstance(url, str) or urlsplit(url).scheme not in allowed or not urlsplit(url).hostname:
        raise IdentityProviderError(f"the discovery document of {issuer} has no usable {name}")
    return url
