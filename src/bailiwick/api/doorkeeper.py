"""The doorkeeper: every request passes here first, and nothing else has to remember to check.

It authenticates everything that is not explicitly open, bounds the body,
refuses what JSON or PostgreSQL cannot hold, adds the security headers, counts,
and answers whatever broke further in.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailiwick.api.authentication import Authentication
from bailiwick.api.cookies import check_origin
from bailiwick.api.headers import security_headers
from bailiwick.api.problems import problem_of, unexpected
from bailiwick.api.rate_limiting import RateLimiting, add_headers
from bailiwick.identity import Caller
from bailiwick.kernel.errors import (
    BailiwickError,
    InvalidInputError,
    InvalidPayloadError,
    PayloadTooLargeError,
    UnauthorizedError,
)
from bailiwick.telemetry.metrics import REGISTRY

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 64
# A link's token is its key; registration is closed unless it is switched on.
LINK_PATHS = (
    "/setup", "/invitation", "/password",
    "/api/v1/setup", "/api/v1/registration", "/api/v1/invitations/accept", "/api/v1/password/reset",
)  # fmt: skip
# Each step of a login proves by itself who comes.
LOGIN_PATHS = (
    "/api/v1/login", "/api/v1/login/methods", "/api/v1/login/totp", "/api/v1/login/recovery-code",
    "/api/v1/login/passkey/options", "/api/v1/login/passkey", "/api/v1/login/enrolment",
    "/api/v1/login/enrolment/confirm",
)  # fmt: skip
# Health must be seen without a key, and the public keys by whoever verifies a token; a refresh token is its own key.
OPEN_PATHS = ("/healthz", "/readyz", "/.well-known/jwks.json", "/api/v1/token/refresh", *LINK_PATHS, *LOGIN_PATHS)
# A webhook's signature is its key; its body is read as it was signed.
# Browsers go to identity providers and come back by these, and only read.
OPEN_PREFIXES = ("/api/v1/webhooks/", "/api/v1/login/oidc/")

_REQUEST_SECONDS = Histogram(
    "bailiwick_http_request_seconds",
    "Time from a request's arrival to its answer's first byte, by route",
    ["method", "route", "status"],
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    registry=REGISTRY,
)


def is_open(path: str) -> bool:
    """Tell whether a path answers without anybody being known."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


class Doorkeeper:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, authentication: Authentication, rates: RateLimiting) -> None:
        self._app = app
        self._authentication = authentication
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, pass it on, and see that it gets an answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send, is_secure=self._authentication.proxies.is_https(scope))
        try:
            await self._admit(scope)
            await self._app(scope, await _checked_body(scope, receive), answer.send)
        except BailiwickError as error:
            await answer.fail(problem_of(error), error)
        except Exception as error:  # noqa: BLE001 - the last line: a client gets a document, the log gets the defect
            await answer.fail(unexpected(error), error)

    async def _admit(self, scope: Scope) -> None:
        path: str = scope["path"]
        state = scope.setdefault("state", {})
        state["address"] = self._authentication.proxies.address_of(scope)
        await self._rates.knock(scope, is_open=is_open(path))
        if not is_open(path):
            state["caller"] = await self._identify(scope)
            await self._rates.admit(scope, state["caller"])
        elif not path.startswith(OPEN_PREFIXES):
            # Another site must not log a browser in as somebody of its choice.
            check_origin(scope)
        query: bytes = scope["query_string"]
        if "\0" in path or b"\0" in unquote_to_bytes(query):
            raise InvalidInputError("the address holds the character U+0000, which PostgreSQL cannot store; remove it")

    async def _identify(self, scope: Scope) -> Caller:
        try:
            return await self._authentication.authenticate(scope)
        except UnauthorizedError:
            await self._rates.refused(scope)
            raise


class _Answer:
    """Sends the answer on, with our headers; knows whether it has begun."""

    def __init__(self, scope: Scope, send: Send, *, is_secure: bool) -> None:
        self._scope = scope
        self._is_secure = is_secure
        self._send = send
        self._arrived = time.perf_counter()
        self._has_begun = False

    async def send(self, message: Message) -> None:
        """Pass one ASGI message on."""
        if message["type"] == "http.response.start":
            self._has_begun = True
            headers = MutableHeaders(scope=message)
            headers.update(security_headers(self._scope["path"], is_secure=self._is_secure))
            add_headers(self._scope, headers)
            if "cache-control" not in headers or self._scope["path"].startswith("/api/"):
                headers["cache-control"] = "no-store"
            route = self._scope.get("route")
            _REQUEST_SECONDS.labels(
                self._scope["method"] if route is not None else "any",
                getattr(route, "path_format", "none"),
                str(message["status"]),
            ).observe(time.perf_counter() - self._arrived)
        await self._send(message)

    async def fail(self, response: Callable[[Scope, Receive, Send], Awaitable[None]], error: Exception) -> None:
        """Answer with a problem, unless the answer has begun: then only breaking off is honest."""
        if self._has_begun:
            raise error
        await response(self._scope, _no_more, self.send)


async def _no_more() -> Message:
    return {"type": "http.disconnect"}


async def _checked_body(scope: Scope, receive: Receive) -> Receive:
    """Read the body and return a ``receive`` that gives it again."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return receive
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts += message.get("body", b"")
        if len(parts) > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            break
    body = bytes(parts)
    if body and "json" in headers.get("content-type", "") and not scope["path"].startswith(OPEN_PREFIXES):
        _check_json(body)
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"the body is larger than the limit of {MAX_BODY_BYTES:,} bytes")


def _check_json(body: bytes) -> None:
    # Stricter than what reads it later: no NaN, no lone surrogates, no bottomless nesting.
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayloadError(f"the body is not valid JSON: {error}") from error
    if _is_deeper_than(document, MAX_DEPTH):
        raise InvalidPayloadError(f"the body is nested deeper than {MAX_DEPTH} levels")
    if b"\\u0000" in body and _holds_nul(document):
        raise InvalidPayloadError("the body holds the character U+0000, which PostgreSQL cannot store; remove it")


def _is_deeper_than(document: object, levels: int) -> bool:
    layer: list[Any] = [document]
    while layer and levels > 0:
        levels -= 1
        layer = [child for item in layer for child in _children(item)]
    return bool(layer)


def _children(item: object) -> list[Any]:
    if isinstance(item, dict):
        return [value for value in item.values() if isinstance(value, dict | list)]
    if isinstance(item, list):
        return [value for value in item if isinstance(value, dict | list)]
    return []


def _holds_nul(document: object) -> bool:
    if isinstance(document, str):
        return "\0" in document
    if isinstance(document, dict):
        return any("\0" in key or _holds_nul(value) for key, value in document.items())
    if isinstance(document, list):
        return any(_holds_nul(value) for value in document)
    return False
