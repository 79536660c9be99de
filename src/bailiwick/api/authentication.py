"""Authentication: who sends a request, by an access token, a key, or a browser's cookie."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.types import Scope

from bailiwick.api.client_address import TrustedProxies
from bailiwick.api.cookies import check_own_page, session_token
from bailiwick.identity import Caller, Keys, Sessions
from bailiwick.kernel.errors import TokenRefusedError, UnauthorizedError

# What was revoked opens doors for at most this long.
MEMORY_SECONDS = 1.0
_MEMORY_SIZE = 10_000
_MAX_CREDENTIAL_LENGTH = 4096
_KEY_PREFIX, _REFRESH_PREFIX = "bw_", "bwr_"


class Authentication:
    """Tells who sends a request, and remembers it for a second, so that a burst asks the database once."""

    def __init__(self, keys: Keys, sessions: Sessions, proxies: TrustedProxies) -> None:
        self._keys = keys
        self._sessions = sessions
        self.proxies = proxies
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def authenticate(self, scope: Scope) -> Caller:
        """Return who sends a request.

        With an ``Authorization`` header only that counts and cookies are
        ignored; a request by cookie that changes something must come from our
        own pages.

        Raises:
            UnauthorizedError: nobody who is known here.
            CrossSiteError: a browser sends it, but for another site.
        """
        authorization = Headers(scope=scope).get("authorization")
        if authorization is not None:
            return await self._by_bearer(authorization)
        token = session_token(scope, self.proxies)
        if not token:
            raise UnauthorizedError(
                "a key is needed: send it in the header Authorization, behind the word Bearer and a space, or log in"
            )
        caller = await self._remembered(token, self._by_cookie)
        check_own_page(scope, token)
        return caller

    def forget(self) -> None:
        """Ask again about everybody, so that a revocation counts in this process at once."""
        self._known.clear()

    async def _by_bearer(self, authorization: str) -> Caller:
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise UnauthorizedError(
                "a key is needed: send it in the header Authorization, behind the word Bearer and a space"
            )
        if len(credential) > _MAX_CREDENTIAL_LENGTH or not credential.isascii():
            raise UnauthorizedError("the key is not known here, was revoked or has expired")
        if credential.startswith(_REFRESH_PREFIX):
            raise TokenRefusedError("this is a refresh token; send the access token, and this one to /token/refresh")
        is_token = not credential.startswith(_KEY_PREFIX) and credential.count(".") > 1
        return await self._remembered(credential, self._by_token if is_token else self._by_key)

    async def _remembered(
        self, credential: str, authenticate: Callable[[str], Awaitable[tuple[Caller, float]]]
    ) -> Caller:
        # By its hash, so that no credential stays in memory.
        digest = hashlib.sha256(credential.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(digest)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        self._known.pop(digest, None)
        asked_at = time.monotonic()
        caller, seconds = await authenticate(credential)
        self._known[digest] = (asked_at + min(seconds, MEMORY_SECONDS), caller)
        if len(self._known) > _MEMORY_SIZE:
            self._known.popitem(last=False)
        return caller

    async def _by_key(self, key: str) -> tuple[Caller, float]:
        return await self._keys.authenticate(key), MEMORY_SECONDS

    async def _by_cookie(self, token: str) -> tuple[Caller, float]:
        return await self._sessions.authenticate_cookie(token), MEMORY_SECONDS

    async def _by_token(self, token: str) -> tuple[Caller, float]:
        caller, expires_at = await self._sessions.authenticate_token(token)
        return caller, (expires_at - datetime.now(UTC)).total_seconds()
