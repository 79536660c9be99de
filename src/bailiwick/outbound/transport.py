"""The transport that checks addresses where the connection is made, and follows redirects itself."""

import asyncio
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import anyio
import httpcore
import httpx

from bailiwick.outbound.allowing import AllowList, OutboundRefusedError
from bailiwick.outbound.failures import TRANSPORT_ERRORS, translated
from bailiwick.outbound.redirects import redirected
from bailiwick.outbound.resolving import Resolver, resolve
from bailiwick.outbound.response import BoundedBody


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a call may take.

    ``total_seconds`` counts from the request to the last byte of the answer,
    redirects included; ``silence_seconds`` is the longest wait for a
    connection, a byte to arrive or to leave. ``response_bytes`` is the size of
    an answer's body after decompression.
    """

    total_seconds: float = 60.0
    silence_seconds: float = 15.0
    response_bytes: int = 32 * 1024 * 1024
    redirects: int = 5


def _trusted() -> ssl.SSLContext:
    # The environment may only name certificates of the organization's own.
    file = os.environ.get("SSL_CERT_FILE")
    renewed_at = Path(file).stat().st_mtime_ns if file and Path(file).is_file() else None
    return _context(file, os.environ.get("SSL_CERT_DIR"), renewed_at)


@lru_cache(maxsize=4)
def _context(*_: str | int | None) -> ssl.SSLContext:
    """Return what certificates are checked by; reading them takes longer than many a call, so it is done once."""
    return httpx.create_ssl_context(trust_env=True)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Reaches only what the allow list and the public internet hold; see `bailiwick.outbound.client`."""

    def __init__(self, allow: AllowList, *, bounds: Bounds | None = None, resolver: Resolver | None = None) -> None:
        """Prepare the connection pool; nothing is connected yet."""
        self._bounds = bounds or Bounds()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trusted(),
            max_connections=20,
            max_keepalive_connections=5,
            keepalive_expiry=15.0,
            network_backend=_GuardedNetwork(allow, resolver or resolve),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, follow its redirects, and return the last answer with a bounded body.

        Raises:
            OutboundRefusedError: it, or one it is redirected to, may not be reached.
            httpx.TransportError: as httpx raises them; ReadTimeout when the total time is over.
            httpx.TooManyRedirects: more than the bounds allow.
        """
        deadline = asyncio.get_running_loop().time() + self._bounds.total_seconds
        request.headers["accept-encoding"] = "gzip"
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._followed(request)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the answer took longer than allowed", request=request) from error
        body = BoundedBody(answer, self._bounds.response_bytes, deadline)
        return httpx.Response(answer.status, headers=body.headers, stream=body, extensions=dict(answer.extensions))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def _followed(self, request: httpx.Request) -> httpcore.Response:
        for _ in range(self._bounds.redirects + 1):
            answer = await self._sent(request)
            try:
                following = redirected(request, answer.status, httpx.Headers(answer.headers))
            except BaseException:
                await answer.aclose()
                raise
            if following is None:
                return answer
            await answer.aclose()
            request = following
        raise httpx.TooManyRedirects(f"more than {self._bounds.redirects} redirects", request=request)

    async def _sent(self, request: httpx.Request) -> httpcore.Response:
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise OutboundRefusedError("only addresses that begin with http:// or https:// and name a host are called")
        silence = self._bounds.silence_seconds
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            # Only ours: a caller's "sni_hostname" would have the certificate of another name checked.
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), silence)},
        )
        try:
            return await self._pool.handle_async_request(asked)
        except TRANSPORT_ERRORS as error:
            raise translated(error, request) from error


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked: the only place where a name becomes a connection."""

    def __init__(self, allow: AllowList, resolver: Resolver) -> None:
        self._allow = allow
        self._resolver = resolver
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                addresses = await self._resolver(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"the name {host} is not resolved in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error
        if not addresses:
            raise httpcore.ConnectError(f"the name {host} has no address")
        self._allow.check(host, port, addresses)
        failure: Exception | None = None
        for address in addresses:
            try:
                # Text of numbers, so that nothing is left to resolve a second time.
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} cannot be reached")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class has it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise OutboundRefusedError("sockets of this machine are not called")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
