"""How identity providers are called: by the guarded client, without redirects, for one JSON document."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from bailiwick.identity.oidc.errors import IdentityProviderError
from bailiwick.outbound import AllowList, client
from bailiwick.outbound.transport import Bounds

# A redirect could carry a code or a secret elsewhere; no answer of these is large.
_BOUNDS = Bounds(total_seconds=15, silence_seconds=10, response_bytes=1024 * 1024, redirects=0)


class ProviderCalls:
    """Calls identity providers."""

    def __init__(self, allow: AllowList) -> None:
        self._allow = allow

    async def get(self, url: str, *, token: str | None = None) -> Any:
        """Return the JSON at an address, asked for with an access token if one is given.

        Raises:
            IdentityProviderError: nobody answers there, or not with that.
            OutboundRefusedError: the address may not be reached from here.
        """
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        status, document = await self._call("GET", url, headers=headers)
        if status != HTTPStatus.OK:
            raise IdentityProviderError(f"{_shown(url)} answers {status}; check the provider, then log in again")
        return document

    async def post(
        self, url: str, form: Mapping[str, str], *, auth: tuple[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send a form and return the status and the JSON object that comes back; errors as in ``get``."""
        status, document = await self._call("POST", url, data=dict(form), auth=auth)
        return status, cast("dict[str, Any]", document) if isinstance(document, dict) else {}

    async def _call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> tuple[int, Any]:
        try:
            async with client(allow=self._allow, bounds=_BOUNDS, headers={"accept": "application/json"}) as calls:
                answer = await calls.request(method, url, headers=headers, data=data, auth=auth)
        except httpx.HTTPError as error:
            raise IdentityProviderError(
                f"{_shown(url)} cannot be reached ({type(error).__name__}); try again, and check the provider's issuer"
            ) from error
        try:
            return answer.status_code, answer.json()
        except ValueError as error:
            raise IdentityProviderError(
                f"{_shown(url)} answers {answer.status_code} and no JSON; check the provider's issuer"
            ) from error


def _shown(url: str) -> str:
    # Without its query, which may hold what is nobody's business.
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
